"""Types of events: which events are targets, how they are read, split, filtered, stored and merged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.event_types import item_weights, target_rows, target_weights, with_targets
from segue.data.log import Log
from segue.data.newer import merge_newer
from segue.data.readers.ingest import read_log
from segue.data.splits import Split, global_time, leave_last_out
from segue.data.store import open_log, save_log
from segue.data.synthetic import from_sequences
from segue.errors import ArtefactError, DataError
from segue.experiments.tie_range import reordered

TYPES = ("view", "cart", "buy")
FRAME = pl.DataFrame(
    {
        "user": ["a", "a", "a", "b", "b", "b", "a"],
        "item": ["i", "i", "j", "j", "k", "j", "k"],
        "time": [1, 1, 2, 1, 3, 4, 5],
        "action": ["view", "buy", "view", "view", "cart", "buy", "search"],
        "page": ["x"] * 7,
    }
)


@st.composite
def typed_logs(draw: st.DrawFn) -> Log:
    """Logs whose events have one of three types, and a random time."""
    histories = draw(st.lists(st.lists(st.integers(1, 6), max_size=8), min_size=1, max_size=6))
    times = [sorted(draw(st.lists(st.integers(1, 20), min_size=len(h), max_size=len(h)))) for h in histories]
    log = from_sequences(histories, num_items=6, times=times)
    types = draw(st.lists(st.integers(1, 3), min_size=len(log), max_size=len(log)))
    return replace(log, event_type=np.array(types, np.int8), event_types=TYPES)


def rows_of_user(log: Log, user: int) -> list[tuple[int, str]]:
    """The items of a user, each with the type of its event."""
    rows = range(log.start[user], log.stop[user])
    return [(int(log.item[row]), log.event_types[log.known_event_types[row] - 1]) for row in rows]


def test_types_are_read_in_the_order_in_which_they_are_named() -> None:
    log = read_log(FRAME, event="action", events=["buy", "view"])
    assert log.event_types == ("buy", "view")
    assert rows_of_user(log, 1) == [(1, "view"), (1, "buy"), (2, "view")], "one time, two types: no copies"
    assert rows_of_user(log, 2) == [(2, "view"), (2, "buy")]
    assert log.num_items == 2, "the item of the cart and of the search is not read"
    assert read_log(FRAME, events="buy").event_types == ("buy",), "the column is found by its name"
    every = read_log(FRAME, event="action")
    assert every.event_types == ("buy", "cart", "search", "view")
    assert len(every) == 7
    assert len({every.fingerprint, log.fingerprint, read_log(FRAME).fingerprint}) == 3
    assert read_log(FRAME).event_type is None
    assert not any("types of events" in warning for warning in every.warnings), "they are read: no warning"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"event": "acton"}, "no column 'acton' for the event, did you mean 'action'"),
        ({"events": ["sale"]}, "column 'action' never has the value 'sale'; it has 'buy', 'cart', 'search', 'view'"),
        ({"events": []}, "name at least one type of event, and each once"),
        ({"events": ["buy", "buy"]}, "name at least one type of event, and each once"),
        ({"event": "time", "time": ""}, None),
        ({"event": "item"}, "column 'item' cannot be both the item and the event"),
        (
            {"events": ["buy", "view"], "where": {"action": ["view", "cart"]}},
            r"column 'action': 'cart' is selected, and is none of the types that are read \(buy, view\); name",
        ),
    ],
)
def test_wrong_types_are_refused(options: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert read_log(FRAME, **options).event_types == ("1", "2", "3", "4", "5")
        return
    with pytest.raises(DataError, match=message):
        read_log(FRAME, **options)


@pytest.mark.parametrize(
    ("values", "names"),
    [([2.0, 1.0, 1.0], [1, 2]), (["2.0", "1.0", "1.0"], ["1", "2"]), ([False, True, True], ["True", "false"])],
)
def test_types_are_found_as_conditions_find_them(values: list[Any], names: list[Any]) -> None:
    frame = FRAME[:3].drop("action").with_columns(user=pl.Series(["a", "b", "b"]), kind=pl.Series(values))
    log = read_log(frame, events=names)
    assert (log.event_types, log.event_type.tolist()) == (tuple(map(str, names)), [2, 1, 1])


def test_columns_without_types_are_refused() -> None:
    with pytest.raises(DataError, match=r"no column looks as if it held types of events; .*--event-col"):
        read_log(FRAME.drop("action"), events=["buy"])
    with pytest.raises(DataError, match="the columns action, type may hold types of events"):
        read_log(FRAME.with_columns(type=pl.col("action")), events=["buy"])
    with pytest.raises(DataError, match=r"column 'action', row 2: empty, as in 1 of 7 rows; .*--events"):
        read_log(FRAME.with_columns(action=pl.when(pl.int_range(7) != 1).then("action")), event="action")
    many = pl.DataFrame({"user": ["a", "b"] * 60, "item": ["i", "j"] * 60, "event": [str(n) for n in range(120)]})
    with pytest.raises(DataError, match="120 different values, such as 0, 1, 10, are no types of events"):
        read_log(many, event="event", duplicates="keep")


def test_targets_are_of_known_types() -> None:
    log = read_log(FRAME, event="action")
    assert with_targets(log, ()) is log
    with pytest.raises(
        DataError, match=r"no events of type 'by', did you mean 'buy'.* it has: buy, cart, search, view"
    ):
        with_targets(log, ("by",))
    with pytest.raises(DataError, match=r"has no types of events, so that there are no targets buy; .*--event-col"):
        with_targets(read_log(FRAME), ("buy",))


@given(typed_logs(), st.sets(st.sampled_from(TYPES), min_size=1))
def test_target_rows_and_counts(log: Log, wanted: set[str]) -> None:
    log = with_targets(log, tuple(wanted))
    view = log.until(log.start + log.lengths // 2)
    expected = [
        item for user in range(1, log.num_users + 1) for item, kind in rows_of_user(view, user) if kind in wanted
    ]
    assert log.item[target_rows(view)].tolist() == expected
    assert (
        item_weights(view, target_weights(view, {})).tolist()
        == np.bincount(expected, minlength=log.num_items + 1).tolist()
    )


def targets_of(split: Split, part: Any) -> list[tuple[int, list[tuple[int, str]], tuple[int, str]]]:
    """User, events before, and target of every instance."""
    log, instances = split.log, split.instances(part)
    assert (instances.num_targets == 1).all()
    rows = [rows_of_user(log, user) for user in instances.user.tolist()]
    places = (instances.row - log.start[instances.user]).tolist()
    return [(user, row[:n], row[n]) for user, row, n in zip(instances.user.tolist(), rows, places, strict=True)]


@given(typed_logs(), st.sets(st.sampled_from(TYPES), min_size=1))
def test_leave_one_out_holds_out_the_last_two_targets(log: Log, wanted: set[str]) -> None:
    split = leave_last_out(with_targets(log, tuple(wanted)))
    valid, test = [], []
    for user in range(1, log.num_users + 1):
        rows = rows_of_user(log, user)
        places = [place for place, (_, kind) in enumerate(rows) if kind in wanted]
        if len(places) >= 2 and places[-2] > 0:
            valid.append((user, rows[: places[-2]], rows[places[-2]]))
            test.append((user, rows[: places[-1]], rows[places[-1]]))
    assert targets_of(split, "valid") == valid
    assert targets_of(split, "test") == test
    held_out = {(user, *target) for user, _, target in test}
    trained = {
        (user, place) for user in range(1, log.num_users + 1) for place in range(split.train_valid.lengths[user])
    }
    assert not {(user, len(past)) for user, past, _ in test} & trained, held_out


@given(typed_logs().filter(len), st.sets(st.sampled_from(TYPES), min_size=1))
def test_every_step_of_a_split_by_time_asks_for_targets_alone(log: Log, wanted: set[str]) -> None:
    every = targets_of(global_time(log, 0.2, 0.4), "test")
    some = targets_of(global_time(with_targets(log, tuple(wanted)), 0.2, 0.4), "test")
    assert some == [one for one in every if one[2][1] in wanted]


@given(typed_logs())
def test_a_saved_log_keeps_its_types(tmp_path_factory: pytest.TempPathFactory, log: Log) -> None:
    again = open_log(save_log(log, tmp_path_factory.mktemp("log") / "log"), verify=True)
    assert again.fingerprint == log.fingerprint
    assert again.event_types == TYPES
    assert again.known_event_types.tolist() == log.known_event_types.tolist()
    other = replace(log, event_type=4 - log.known_event_types)
    assert (other.fingerprint == log.fingerprint) == (log.column(log.known_event_types) == 2).all()


def test_a_saved_log_with_types_that_cannot_be_is_refused(tmp_path: Path) -> None:
    log = read_log(FRAME, event="action")
    with pytest.raises(DataError, match="event_type has a type outside 1 to 2"):
        save_log(replace(log, event_types=("a", "b")), tmp_path / "log")
    with pytest.raises(DataError, match="event_type has 4 names of types, which must be distinct"):
        save_log(replace(log, event_types=("a", "b", "a", "c")), tmp_path / "log")
    save_log(log, tmp_path / "log")
    np.save(tmp_path / "log" / "event_type.npy", np.ones(7, np.int8))
    with pytest.raises(ArtefactError, match=r"event_type\.npy"):
        open_log(tmp_path / "log")
    with pytest.raises(DataError, match="a saved log has its columns already; leave out events"):
        read_log(save_log(log, tmp_path / "other"), events=["buy"])


def test_types_move_with_their_events() -> None:
    log = with_targets(read_log(FRAME, event="action"), ("buy",))
    other, source = reordered(log, 3)
    assert log.is_target is not None
    assert other.is_target is not None
    assert other.known_event_types.tolist() == log.known_event_types[source].tolist()
    assert other.is_target.tolist() == log.is_target[source].tolist()
    filtered = read_log(FRAME, event="action", item_core=2)
    assert [kind for _, kind in rows_of_user(filtered, 1)] == ["view", "buy", "view", "search"]
    assert [kind for _, kind in rows_of_user(filtered, 2)] == ["view", "cart", "buy"]


def test_newer_events_keep_the_types_of_the_saved_log() -> None:
    saved = read_log(FRAME, event="action", events=["view", "buy"])
    later = pl.DataFrame({"user": ["a", "b"], "item": ["j", "i"], "time": [8, 9], "action": ["buy", "cart"]})
    merged = merge_newer([saved], [4], read_log(pl.concat([FRAME.drop("page"), later]), event="action")).log
    assert merged.event_types == ("view", "buy", "cart")
    assert [kind for _, kind in rows_of_user(merged, 1)] == ["view", "buy", "view", "buy"]
    assert [kind for _, kind in rows_of_user(merged, 2)] == ["view", "buy", "cart"]
    with pytest.raises(DataError, match=r"its events do not have types, and those of the model do; .*--event-col"):
        merge_newer([saved], [4], read_log(later))
