"""A protocol is a value: it splits, selects instances, describes itself, and has a fingerprint of its settings."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from segue.data.log import Log, Vocab
from segue.data.split_kinds import SPLITS
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.protocols import PROTOCOLS, with_seen_rule, with_seen_rule_of_log
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.rating_protocol import RatingProtocol

from .worlds import FixedScores, make_log

LOG = make_log([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 4, 6], [1, 3]], 10)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_survive_json(name: str) -> None:
    protocol = PROTOCOLS[name]
    again = Protocol.from_dict(json.loads(json.dumps(protocol.as_dict())))
    assert again == protocol
    assert again.fingerprint == protocol.fingerprint
    assert protocol.name == name
    assert Protocol.named(name) is protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_describe_themselves_in_one_sentence(name: str) -> None:
    sentence = PROTOCOLS[name].describe()
    assert sentence[0].isupper() or sentence[0].isdigit()
    assert re.fullmatch(r"[^\n{}]+[^.]\.", sentence)
    for value in PROTOCOLS[name].arguments.values():
        if isinstance(value, float):
            assert f"{100 * value:g}%" in sentence


def test_sentences_say_what_differs() -> None:
    hgn, leave, recbole = (PROTOCOLS[n].describe() for n in ("hgn", "leave-one-out", "recbole"))
    assert "last 20% of each user's rows is the test, 10% of the rest before it the validation, both rounded up" in hgn
    assert "except those that the user has already had" in leave
    assert "those that the user has had too" in recbole
    assert "ranked behind other items" in hgn
    kind = RankingProtocol(
        name="x", by="ratio", arguments={"valid": 0.1, "test": 0.2}, ties="optimistic", min_history=3
    )
    assert "ranked before other items" in kind.describe()
    assert "the 10% before it the validation; the held-out" in kind.describe()
    assert "only instances with 3 or more earlier rows" in kind.describe()
    two = RankingProtocol(name="x", by="leave-last-out", arguments={"test": 2})
    assert (
        "the last 2 make the test, the 1 before them the validation; each part is the target set of one"
        in two.describe()
    )


def test_every_kind_of_split_can_be_described() -> None:
    needed: dict[str, dict[str, Any]] = {
        "ratio": {"valid": 0.1, "test": 0.2},
        "date": {"date": 7},
        "newer": {"after": 7},
    }
    for by in SPLITS:
        assert RankingProtocol(name="x", by=by, arguments=needed.get(by, {})).describe().endswith(".")


def test_every_option_of_a_split_is_one_of_its_arguments() -> None:
    for kind in SPLITS.values():
        assert set(kind.options) - {"date"} <= set(kind.hints), kind.name


def test_newer_events_are_rows_unless_there_is_a_gap() -> None:
    rows = RankingProtocol(name="x", by="newer", arguments={"after": 7})
    assert rows.arguments == {"after": 7, "gap": None}
    assert "every one is a target" in rows.describe()
    assert "every basket" in RankingProtocol(name="x", by="newer", arguments={"after": 7, "gap": 0}).describe()
    with pytest.raises(ConfigError, match="split newer: gap='1': must be of type int"):
        RankingProtocol(name="x", by="newer", arguments={"after": 7, "gap": "1"})


def test_the_fingerprint_covers_what_changes_a_number_and_nothing_else() -> None:
    base = PROTOCOLS["leave-one-out"]
    same = [{"name": "other"}, {"ks": (1,)}, {"arguments": {"valid": 1}}, {"arguments": {"test": 1, "valid": 1.0}}]
    different: list[dict[str, Any]] = [
        {"arguments": {"test": 2}},
        {"exclude_seen": False},
        {"ties": "optimistic"},
        {"min_history": 2},
        {"by": "whole-users", "arguments": {}},
        {"leak": "drop"},
        {"request_time": "known"},
        {"targets": ("buy",)},
        {"targets": ("buy", "cart")},
        {"by": "global-time", "arguments": {}, "update": True},
        {"by": "global-time", "arguments": {}, "retrain": "nightly"},
        {"by": "global-time", "arguments": {}, "retrain": "hourly"},
        {"by": "whole-users", "arguments": {}, "exclude_seen": False, "horizon": 5},
    ]
    assert re.fullmatch("[0-9a-f]{16}", base.fingerprint)
    assert {dataclasses.replace(base, **change).fingerprint for change in same} == {base.fingerprint}
    changed = {dataclasses.replace(base, **change).fingerprint for change in different}
    assert len(changed | {base.fingerprint}) == len(different) + 1
    assert PROTOCOLS["recbole"].fingerprint != base.fingerprint


def test_settings_that_came_later_leave_fingerprints_as_they_were() -> None:
    assert PROTOCOLS["leave-one-out"].fingerprint == "0ac98e11867229de"
    assert PROTOCOLS["session"].fingerprint == "7fa436d62a609b8b"


def test_fingerprints_of_the_named_protocols_never_change() -> None:
    assert {name: protocol.fingerprint for name, protocol in PROTOCOLS.items()} == {
        "hgn": "6b48d641b6e0493b",
        "leave-one-out": "0ac98e11867229de",
        "next-basket": "516d430a400985a5",
        "last-session": "d6f7b092f4f19043",
        "recbole": "7a2b7aa2e32da434",
        "global-time": "7f3e49cc3f923f1c",
        "prequential": "32f38420aa821b63",
        "whole-users": "e87c5b7b7f626666",
        "session": "7fa436d62a609b8b",
        "given": "7fa436d62a609b8b",
        "last-day": "a4d638185cb8ac63",
        "ratings": "878d158eacaa963d",
        "iarn-clothing": "3cdbd3b2664e2790",
        "iarn-amazon": "56f8dc12af35895d",
        "iarn-netflix": "569b021f3b6187ea",
    }


STORED_RANKING = {
    **{"name": "session", "by": "given", "arguments": {"valid": 0.1}, "exclude_seen": False},
    **{"ties": "conservative", "ks": [5, 10, 20], "min_history": 1, "ahead": 5, "leak": "keep"},
}
STORED_RATING = {
    **{"name": "ratings", "by": "global-time", "arguments": {"valid": 0.1, "test": 0.2}, "exclude_seen": True},
    **{"ties": "conservative", "ks": [5, 10, 20], "min_history": 3, "ahead": 1, "leak": "keep", "min_audience": 4},
    **{"histories": "rolling", "users": 5, "seed": 2},
}


@pytest.mark.parametrize(
    ("stored", "fingerprint"), [(STORED_RANKING, "44188249f196ff99"), (STORED_RATING, "cedc7a46d86bb2c5")]
)
def test_protocols_stored_by_earlier_versions_are_read(stored: dict[str, Any], fingerprint: str) -> None:
    protocol = Protocol.from_dict(stored)
    assert protocol.fingerprint == fingerprint
    assert Protocol.from_dict(json.loads(json.dumps(protocol.as_dict()))) == protocol
    if isinstance(protocol, RankingProtocol):
        assert protocol.horizon == 5
    else:
        assert isinstance(protocol, RatingProtocol)
        assert (protocol.min_item_history, protocol.users) == (4, 5)


def test_a_protocol_of_another_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="hgn is a protocol of the ranking task"):
        RatingProtocol.named("hgn")
    with pytest.raises(ConfigError, match="horizon=2: ratings is a protocol of the rating task, which has no such"):
        PROTOCOLS["ratings"].with_settings({"horizon": 2})
    with pytest.raises(ConfigError, match=r"unknown task 'rankin', did you mean 'ranking'\?"):
        Protocol.from_dict({**STORED_RANKING, "task": "rankin"})


def test_the_next_items_of_each_step() -> None:
    protocol = dataclasses.replace(PROTOCOLS["whole-users"], arguments={"valid": 0, "test": 0.4}, horizon=3)
    assert "the targets are the next 3 items" in protocol.describe()
    split = protocol.split(LOG)
    instances = protocol.instances(split, "test")
    ranks = protocol.rank(FixedScores(torch.arange(11.0).repeat(4, 1)), split, "test")
    assert instances.num_targets.max() == min(3, split.log.lengths[instances.user].max() - 1)
    assert ranks.next_steps is not None
    assert np.array_equal(np.diff(ranks.next_steps.offsets), instances.num_targets)
    assert np.array_equal(ranks.next_steps.rank, 11 - instances.targets())


def test_training_without_the_leak() -> None:
    times = np.arange(len(LOG), dtype=np.int64)
    times[LOG.start[2]] = 1  # user 2 has item 2 when user 1 has it
    log = dataclasses.replace(LOG, time=times, user_metadata=pl.DataFrame({"split": ["train", "test", "train"]}))
    session = PROTOCOLS["session"]
    keep, drop = (
        dataclasses.replace(session, arguments={"valid": 0}, leak=leak).split(log) for leak in ("keep", "drop")
    )
    assert keep.train.lengths.tolist() == [0, 10, 0, 2]
    assert drop.train.lengths.tolist() == [0, 0, 0, 2]
    assert len(drop.instances("test")) == len(keep.instances("test")) == 2
    assert "users who share an event" in dataclasses.replace(session, leak="drop").describe()


def test_split_instances_and_ranks() -> None:
    hgn = PROTOCOLS["hgn"]
    split = hgn.split(LOG)
    assert split.instances("test").num_targets.tolist() == [2, 1, 1]
    ranks = hgn.rank(FixedScores(torch.arange(11.0).repeat(4, 1)), split, "test")
    assert ranks.depth == hgn.depth == 20
    assert ranks.rank.tolist() == [1, 2, 5, 8]  # what each user had before is not in the way
    recbole = PROTOCOLS["recbole"]
    ranks = recbole.rank(FixedScores(torch.arange(11.0).repeat(4, 1)), recbole.split(LOG), "test")
    assert ranks.depth == 10
    assert ranks.rank.tolist() == [1, 5]
    late = RankingProtocol(name="late", by="leave-last-out", ties="optimistic", exclude_seen=False)
    assert late.rank(FixedScores(torch.zeros(4, 11)), late.split(LOG), "test").rank.tolist() == [1, 1]


def test_instances_with_a_short_history_are_dropped_and_reported() -> None:
    protocol = RankingProtocol(name="x", by="leave-last-out", min_history=3)
    instances = protocol.instances(protocol.split(LOG), "test")
    assert instances.user.tolist() == [1]
    assert instances.dropped["instances after fewer than 3 rows"] == 1
    assert instances.dropped["users with nothing held out for test"] == 1


def test_guess_depends_on_repeated_items() -> None:
    assert Protocol.guess(LOG) is PROTOCOLS["leave-one-out"]
    again = Protocol.guess(make_log([[1, 2, 1, 3]], 3))
    assert again.exclude_seen is False
    assert again.by == "leave-last-out"
    assert again.fingerprint == PROTOCOLS["recbole"].fingerprint
    once = list(range(1, 100))
    assert Protocol.guess(make_log([[*once, 1]], 99)).exclude_seen is True  # 1% is not more than 1%
    assert Protocol.guess(make_log([[*once[:-1], 1]], 99)).exclude_seen is False


def test_copies_of_events_do_not_decide_the_protocol() -> None:
    log = make_log([[1, 1, 2, 3], [3, 2, 1]], 3)
    copied = dataclasses.replace(log, time=np.array([1, 1, 2, 3, 4, 5, 6], np.int64))
    assert Protocol.guess(log).exclude_seen is False
    assert Protocol.guess(copied) is PROTOCOLS["leave-one-out"]


def test_the_log_says_whether_seen_items_may_be_in_the_next_basket() -> None:
    basket = PROTOCOLS["next-basket"]
    assert with_seen_rule_of_log(basket, make_log([[1, 2, 1, 3]], 3)) is basket
    once = with_seen_rule_of_log(basket, LOG)
    assert (once.name, once.as_dict()["exclude_seen"]) == ("next-basket, seen items left out", True)
    assert with_seen_rule_of_log(PROTOCOLS["recbole"], LOG) is PROTOCOLS["recbole"]
    assert with_seen_rule(once, exclude_seen=False) == basket
    named = with_seen_rule(PROTOCOLS["leave-one-out"], exclude_seen=False)
    assert with_seen_rule_of_log(PROTOCOLS["leave-one-out"], make_log([[1, 2, 1, 3]], 3)) == named
    assert with_seen_rule_of_log(PROTOCOLS["leave-one-out"], LOG) is PROTOCOLS["leave-one-out"]
    assert (named.name, named.fingerprint) == ("leave-one-out, repeats allowed", PROTOCOLS["recbole"].fingerprint)
    assert with_seen_rule(named, exclude_seen=True) == PROTOCOLS["leave-one-out"]
    with pytest.raises(ConfigError, match="ratings predicts ratings; it has no rule for seen items"):
        with_seen_rule(PROTOCOLS["ratings"], exclude_seen=False)


def test_a_warning_says_where_seen_items_are_ranked_in_vain() -> None:
    def warned(name: str, log: Log, **settings: Any) -> bool:
        protocol = dataclasses.replace(PROTOCOLS[name], **settings)
        return any("users of this log do not return" in text for text in protocol.check(protocol.split(log)).warnings)

    timed, again = (
        dataclasses.replace(log, time=np.arange(len(log.item), dtype=np.int64))
        for log in (make_log([[1, 2, 3, 4, 5, 6]] * 10, 6), make_log([[1, 2, 1, 3, 2, 1]] * 10, 6))
    )
    for name in ("global-time", "whole-users", "recbole"):
        assert warned(name, timed)
        assert not warned(name, again)
        assert not warned(name, timed, exclude_seen=True)
    assert not warned("leave-one-out", timed)
    assert not warned("whole-users", timed, horizon=2)  # it cannot leave them out
    asked = with_seen_rule(PROTOCOLS["leave-one-out"], exclude_seen=False)
    assert asked.check(asked.split(timed)).warnings == ()


def test_the_last_day_warns_of_ties_but_not_of_neighbours_in_a_session() -> None:
    last_day = dataclasses.replace(PROTOCOLS["last-day"], exclude_seen=True)
    log = make_log([[1, 2, 3, 4]] * 40, 4)
    start = np.repeat(np.arange(40, dtype=np.int64) * 10_000 + 1_600_000_000, 4)
    for step, warned in ((0, True), (1, False)):
        timed = dataclasses.replace(log, time=start + step * np.tile(np.arange(4), 40))
        warnings = last_day.check(last_day.split(timed)).warnings
        assert (
            any("of the test targets have the same time as the row before them" in text for text in warnings) is warned
        )
        assert not any("within a minute" in text for text in warnings)


def test_a_gap_is_part_of_the_fingerprint_and_of_the_description() -> None:
    minute = dataclasses.replace(PROTOCOLS["next-basket"], arguments={"gap": 60})
    assert minute.fingerprint != PROTOCOLS["next-basket"].fingerprint
    assert "with at most 60 s from each to the next are one basket" in minute.describe()
    assert "Rows of a user at the same time are one basket" in PROTOCOLS["next-basket"].describe()
    assert "users with fewer than 3 baskets only train" in minute.describe()


def test_session_popularity_is_a_baseline_where_users_return() -> None:
    again = make_log([[1, 2, 1, 3]], 3)
    usual = ("pop", "item-knn", "seq-knn", "ease", "vs-knn")
    assert Protocol.guess(again).baselines(again) == (*usual, "s-pop")
    assert PROTOCOLS["leave-one-out"].baselines(again) == usual  # seen items are left out: it would be pop
    assert PROTOCOLS["recbole"].baselines(LOG) == usual
    assert "s-pop" not in PROTOCOLS["ratings"].baselines(again)


def test_models_that_take_seconds_are_baselines_of_small_logs() -> None:
    protocol = PROTOCOLS["leave-one-out"]
    many_items = dataclasses.replace(LOG, items=Vocab(pl.Series(range(5_001))))
    assert protocol.baselines(many_items) == ("pop", "item-knn", "seq-knn", "vs-knn")
    many_events = make_log([[1, 2] * 50_001], 2)
    assert protocol.baselines(many_events) == ("pop", "item-knn", "seq-knn", "ease")


def test_targets_that_came_together_with_the_row_before_are_warned_about() -> None:
    log = dataclasses.replace(make_log([[1, 2, 3, 4]], 4), time=np.array([1, 2, 3, 3], np.int64))
    leave = PROTOCOLS["leave-one-out"]
    tied, (warning,) = leave.check(leave.split(log))
    assert tied == 1
    assert "100% of the test targets have the same time as the row before them: models predict one" in warning
    for name in ("hgn", "next-basket"):  # a set of targets; whole baskets
        protocol = with_seen_rule(PROTOCOLS[name], exclude_seen=True)
        assert protocol.check(protocol.split(log)).warnings == ()


def test_a_log_that_brings_its_split_is_measured_by_it() -> None:
    log = dataclasses.replace(LOG, user_metadata=pl.DataFrame({"split": ["train", "test", "train"]}))
    session = Protocol.guess(log)
    assert session is PROTOCOLS["session"]
    assert not session.exclude_seen
    split = session.split(log)
    assert session.instances(split, "test").targets().tolist() == [4, 6]
    ranks = session.rank(FixedScores(torch.arange(11.0).repeat(4, 1)), split, "test")
    assert ranks.rank.tolist() == [7, 5]  # what the session had before stands among the rest


def test_cut_offs_can_be_added() -> None:
    deeper = PROTOCOLS["session"].with_cut_offs((50, 5))
    assert deeper.ks == (5, 10, 20, 50)
    assert deeper.fingerprint == PROTOCOLS["session"].fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "ratios"}, "unknown split 'ratios', did you mean 'ratio'?; known: ratio, leave"),
        ({"arguments": {"tests": 1}}, "unknown argument of split leave-last-out 'tests', did you mean 'test'?"),
        ({"arguments": {"test": "1"}}, "split leave-last-out: test='1': must be of type int"),
        ({"arguments": {"test": 1.5}}, "split leave-last-out: test=1.5: must be of type int"),
        ({"arguments": {"test": True}}, "test=True: must be of type int"),
        ({"by": "ratio"}, "split ratio needs 'valid'"),
        ({"by": "ratio", "arguments": {"valid": 0.1, "test": float("nan")}}, "test=nan: must be of type float"),
        (
            {"by": "ratio", "arguments": {"valid": 0.1, "test": 0.2, "rounding": "up"}},
            "rounding='up': must be one of paper, author",
        ),
        ({"ties": "median"}, "ties='median': must be conservative or optimistic"),
        ({"horizon": 0}, "horizon=0: must be at least 1"),
        (
            {"horizon": 2},
            "horizon=2: only for splits with an instance at every step (last-session, global-time, date, whole-users,",
        ),
        ({"leak": "ignore"}, "leak='ignore': must be keep or drop"),
        ({"ks": (10, 5)}, "ks=(10, 5): must be rising whole numbers from 1"),
        ({"ks": (0, 5)}, "must be rising whole numbers from 1"),
        ({"ks": (5, 5)}, "must be rising whole numbers from 1"),
        ({"ks": (5, 7.5)}, "must be rising whole numbers from 1"),
        ({"ks": ()}, "must be rising whole numbers from 1"),
        ({"ks": 10}, "ks=10: must be a list of cut-offs"),
        ({"arguments": [1]}, "arguments=[1]: must be named values"),
        ({"exclude_seen": "no"}, "exclude_seen='no': must be true or false"),
        ({"min_history": 0}, "min_history=0: must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        RankingProtocol(**{"name": "x", "by": "leave-last-out", **change})


def test_unknown_and_missing_keys_are_refused() -> None:
    values = PROTOCOLS["hgn"].as_dict()
    with pytest.raises(ConfigError, match=r"unknown protocol setting 'exclude_sen', did you mean 'exclude_seen'\?"):
        Protocol.from_dict({**values, "exclude_sen": True})
    with pytest.raises(ConfigError, match="a protocol needs 'by'; found: name"):
        Protocol.from_dict({"name": "x"})
    with pytest.raises(ConfigError, match=r"unknown protocol 'hgm', did you mean 'hgn'\?"):
        Protocol.named("hgm")


def test_it_cannot_be_changed() -> None:
    arguments = {"test": 1}
    protocol = RankingProtocol(name="x", by="leave-last-out", arguments=arguments)
    arguments["test"] = 2
    assert protocol.arguments["test"] == 1
    with pytest.raises(TypeError):
        protocol.arguments["test"] = 2  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.by = "ratio"  # type: ignore[misc]
    assert np.array_equal(protocol.split(LOG).test, PROTOCOLS["leave-one-out"].split(LOG).test)


TYPED = replace(
    make_log([[1, 2, 3, 1], [2, 4, 6, 2, 5]], 10),
    event_type=np.array([1, 2, 1, 2, 2, 1, 2, 2, 1], np.int8),
    event_types=("view", "buy"),
)


def test_events_of_some_types_are_targets() -> None:
    protocol = PROTOCOLS["leave-one-out"].with_settings({"targets": ("buy",)})
    assert "only events of type buy are targets, and all are read" in protocol.describe()
    split = protocol.split(TYPED)
    instances = protocol.instances(split, "test")
    assert instances.targets().tolist() == [1, 2]
    assert instances.histories(None).tolist() == [[1, 2, 3], [2, 4, 6]], "what came before is read, whatever its type"
    assert protocol.instances(split, "valid").targets().tolist() == [2, 6]
    assert Protocol.from_dict(json.loads(json.dumps(protocol.as_dict()))) == protocol
    assert "targets" not in PROTOCOLS["leave-one-out"].as_dict(), "older versions read what has none"
    with pytest.raises(DataError, match="has no types of events, so that there are no targets buy"):
        protocol.split(LOG)


@pytest.mark.parametrize("name", ["hgn", "next-basket"])
def test_a_set_of_targets_has_no_types(name: str) -> None:
    with pytest.raises(ConfigError, match="targets=buy: types of events can be chosen only where an instance has one"):
        PROTOCOLS[name].with_settings({"targets": ("buy",)})


@pytest.mark.parametrize("targets", ["buy", 3, (1,)])
def test_targets_are_a_list_of_names(targets: object) -> None:
    with pytest.raises(ConfigError, match="must be a list of types of events"):
        PROTOCOLS["leave-one-out"].with_settings({"targets": targets})
