"""`segue evaluate` on a newer log: what it says, and a protocol of its own, so that no figures are mixed up."""

from __future__ import annotations

import json
import re

import pytest

from .logs import events

T0 = 1_600_000_000


@pytest.fixture
def newer(here):
    """Events of the following day: of two known users, a new one, and with one unknown item."""
    rows = [
        ("u1", 7, 0),
        ("u1", 3, 1),
        ("u2", 99, 2),
        ("u2", 5, 3),
        ("new", 1, 4),
        ("new", 2, 5),
        ("u2", 4, 6),
        ("u3", 0, 7),
    ]
    lines = [f"{user},{item},{T0 + 90_000 + step}\n" for user, item, step in rows]
    (here / "newer.csv").write_text("user,item,time\n" + "".join(lines))
    (here / "whole.csv").write_text(events() + "".join(lines))
    return here


def test_what_is_evaluated_is_said(segue, newer):
    code, out, _ = segue("evaluate models/pop models/hgn --data newer.csv --json found.json")
    assert code == 0
    text = " ".join(out.split())
    assert "newer is another log than the models were trained on: this is an evaluation on its 8 events after" in text
    assert "after 2020-09-13 12:35:11 UTC, with all earlier events as histories." in text
    assert "Left out: 1 of them (12.5%), with 1 items that not all models know; counted as misses" in text
    assert "1 of their users are new; the model ranks for them by the history alone." in text
    assert "Protocol newer-events (" in text
    assert "those the models were trained on, later than 2020-09-13 12:35:11 UTC (time 1600000511)" in text
    found = json.loads((newer / "found.json").read_text())
    assert found["newer"] == {
        "after": T0 + 511,
        "events": 8,
        "unknown_events": 1,
        "unknown_items": 1,
        "new_users": 1,
    }
    assert found["protocol"]["name"] == "newer-events"
    usual = segue("evaluate models/pop --data events.csv --json usual.json")
    assert usual[0] == 0
    stored = json.loads((newer / "usual.json").read_text())
    assert stored["protocol"]["name"] == "leave-one-out"
    assert stored["protocol"]["fingerprint"] != found["protocol"]["fingerprint"]


def test_a_whole_log_and_models_of_different_ends(segue, newer):
    """The whole log has the validation and test events too, which are newer than the training. A model of it has seen
    some of the newer events, so only later ones are evaluated, for both models."""
    assert segue("run pop whole.csv --no-baselines -o models/whole")[0] == 0
    _, out, _ = segue("evaluate models/pop --data whole.csv --include-seen")
    alone = re.search(r"on its (\d+) events after (\S+ \S+) UTC", " ".join(out.split()))
    code, _, err = segue("evaluate models/pop models/whole --data whole.csv")
    assert code == 2, "there are returns in the whole log, so its protocol ranks what was seen"
    assert "models/pop and models/whole were trained under protocols with other rules: exclude_seen=True on one" in err
    assert "give --exclude-seen or --include-seen for all" in err
    code, out, _ = segue("evaluate models/pop models/whole --data whole.csv --include-seen")
    assert code == 0
    both = re.search(r"on its (\d+) events after (\S+ \S+) UTC", " ".join(out.split()))
    assert int(alone[1]) > int(both[1]) > 0
    assert alone[2] < both[2]


def test_the_model_of_another_log_is_named(segue, newer):
    rows = "".join(f"a{u},{100 + (3 * u + t) % 8},{T0 + 100 * t + u}\n" for u in range(12) for t in range(6))
    (newer / "other.csv").write_text(f"user,item,time\n{rows}")
    assert segue("run pop other.csv --no-baselines -o models/other")[0] == 0
    code, _, err = segue("evaluate models/pop models/other --data events.csv")
    assert code == 2
    assert "models/other: was trained on another log (other, fingerprint " in err
    assert "it knows 1" in err


def test_a_replaced_model_of_another_log_is_named(segue, newer, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    for _ in range(2):
        assert "replaced a model" not in segue("run pop events.csv --no-baselines -o models/one")[2]
    assert "; replaced a model there (pop of the log events, " in segue("fit pop newer.csv -o models/one")[2]


def test_groups_and_settings_apply(segue, newer):
    code, out, _ = segue("evaluate models/pop --data newer.csv -k 2 --min-history 2 --by history")
    assert code == 0
    assert "recall@2" in out
    assert "only instances with 2 or more earlier rows" in " ".join(out.split())


def test_a_range_over_orders_of_ties_is_refused_before_any_model_is_evaluated(segue, newer, monkeypatch):
    from segue.evaluation.ranking_protocol import RankingProtocol

    evaluated = []
    monkeypatch.setattr(RankingProtocol, "evaluate", lambda *args: evaluated.append(args))
    code, _, err = segue("evaluate models/pop --data newer.csv --tie-range 3")
    assert code == 2
    assert "--tie-range: needs the log that the models were trained on; this one has newer events" in err
    assert not evaluated


def test_models_of_ratings_are_refused(segue, newer):
    rows = "".join(f"u{u},{(3 * u + t) % 8},{T0 + 100 * t + u},{1 + t % 5}\n" for u in range(12) for t in range(6))
    (newer / "rated.csv").write_text(f"user,item,time,rating\n{rows}")
    assert segue("run biases rated.csv --protocol ratings --no-baselines")[0] == 0
    code, _, err = segue("evaluate models/biases --data newer.csv")
    assert code == 2
    assert "models/biases: was evaluated as a model of ratings; on newer events only models that rank" in err
