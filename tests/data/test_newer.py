"""`merge_newer` and the split `newer`: what is history, what is evaluated, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.data.log import Log, Vocab
from segue.data.newer import NewerEvents, merge_newer
from segue.data.splits import newer_events
from segue.errors import DataError

Row = tuple[Any, Any, int]
OLD: list[Row] = [("u1", "a", 1), ("u1", "b", 2), ("u2", "c", 3), ("u1", "c", 4), ("u2", "a", 5)]
NEW: list[Row] = [("u1", "d", 6), ("u1", "a", 7), ("u3", "b", 8), ("u3", "c", 9), ("u2", "b", 9)]


def log_of(rows: list[Row], name: str = "log") -> Log:
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    users, items = (Vocab(pl.Series(sorted({row[column] for row in rows}))) for column in (0, 1))
    lengths = np.bincount(users.ids([row[0] for row in rows]), minlength=len(users) + 1)
    stop = np.cumsum(lengths)
    item = items.ids([row[1] for row in rows]).astype(np.int32)
    return Log(users, items, stop - lengths, stop, item, np.array([row[2] for row in rows], np.int64), name=name)


def rows_of(log: Log) -> list[Row]:
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), log.column(log.time).tolist(), strict=True))  # type: ignore[arg-type]


def test_a_continuation() -> None:
    """The model was trained up to time 3. The newer log lacks what the saved one has later, so that is no target."""
    merged = merge_newer([log_of(OLD)], [3], log_of(NEW))
    assert rows_of(merged.log) == [
        *[("u1", "a", 1), ("u1", "b", 2), ("u1", "c", 4), ("u1", "a", 7)],
        *[("u2", "c", 3), ("u2", "a", 5), ("u2", "b", 9)],
        *[("u3", "b", 8), ("u3", "c", 9)],
    ]
    numbers = (merged.after, merged.events, merged.unknown_events, merged.unknown_items, merged.new_users)
    assert numbers == (5, 5, 1, 1, 1)
    instances = newer_events(merged.log, merged.after).instances("test")
    assert merged.log.items.names(instances.targets()) == ["a", "b", "c"]
    assert instances.dropped["instances without a history"] == 1, "u3 begins with it"


def test_a_whole_log_again() -> None:
    """The newer log has all earlier events too: each counts once, and all after the training are evaluated."""
    merged = merge_newer([log_of(OLD)], [3], log_of(OLD + NEW))
    assert rows_of(merged.log) == rows_of(merge_newer([log_of(OLD)], [3], log_of(NEW)).log)
    assert (merged.after, merged.events) == (3, 7)


def test_models_with_different_ends_have_the_same_instances() -> None:
    """Items that one model does not know are left out for both; the events begin after the later training."""
    later = log_of([*OLD, ("u1", "d", 6), ("u3", "b", 8)])
    merged = merge_newer([log_of(OLD), later], [4, 8], log_of(OLD + NEW))
    assert (merged.after, merged.events, merged.unknown_events, merged.new_users) == (8, 2, 0, 0)
    assert merged.log.items.tokens.to_list() == ["a", "b", "c"]


def test_numbers_and_texts_are_the_same_names() -> None:
    old = log_of([(int(user[1:]), item, time) for user, item, time in OLD])
    new = log_of([(user[1:], item, time) for user, item, time in NEW])
    merged = merge_newer([old], [5], new)
    assert [merged.log.lengths[index] for index in merged.log.users.ids(["1", "2", "3"])] == [4, 3, 2]


def test_baskets_are_targets_together() -> None:
    """u1 has a basket at 6 that ends at 7, with a gap of 1 second, and u2 one that began before the cut."""
    rows = [
        ("u1", "a", 1),
        ("u1", "b", 6),
        ("u1", "c", 7),
        ("u1", "a", 9),
        ("u2", "a", 1),
        ("u2", "b", 5),
        ("u2", "c", 6),
    ]
    second = 10**9
    log = log_of([(user, item, second + time) for user, item, time in rows])
    instances = newer_events(log, second + 5, gap=1).instances("test")
    assert [log.items.names(one.targets()) for one in (instances.take(slice(i, i + 1)) for i in range(2))] == [
        ["b", "c"],
        ["a"],
    ]
    assert len(instances) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (OLD, OLD, r"new: has no newer events: its newest is of 5 \(time 5\).*up to 5 .*give the data and the reading"),
        (OLD, [("u1", "a", 4)], r"new: has no newer events: its newest is of 4"),
        (OLD, [("u1", "x", 9)], r"new: none of its 1 items is known to the model; it knows a, b, c .*this log has x"),
        (
            OLD,
            [("u1", "a", 1_600_000_000)],
            r"new: its times are in seconds, and those of the model in an unknown unit",
        ),
    ],
)
def test_logs_that_do_not_continue(old: list[Row], new: list[Row], message: str) -> None:
    with pytest.raises(DataError, match=message):
        merge_newer([log_of(old)], [5], log_of(new, "new"))


def test_times_are_needed() -> None:
    timeless = replace(log_of(OLD, "timeless"), time=None)
    with pytest.raises(DataError, match="timeless: has no times, so it is unknown which events are newer"):
        merge_newer([log_of(OLD)], [5], timeless)
    with pytest.raises(DataError, match="log: has no event after 9; its newest one is at 5"):
        newer_events(log_of(OLD), 9)


EVENTS = st.lists(
    st.tuples(st.sampled_from("uvwx"), st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=25, unique=True
)


@given(EVENTS, EVENTS, st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_no_target_was_trained_on_and_nothing_is_lost(old: list[Row], new: list[Row], until: int) -> None:
    saved, newer = log_of(old), log_of(new)
    try:
        merged: NewerEvents = merge_newer([saved], [until], newer)
    except DataError:
        return
    assert merged.after >= until
    known = set(saved.items.tokens)
    expected = {row for row in [*old, *new] if row[1] in known}
    assert set(rows_of(merged.log)) == expected
    instances = newer_events(merged.log, merged.after).instances("test")
    assert merged.log.time is not None
    assert (merged.log.time[instances.row] > merged.after).all()
    later = {row for row in rows_of(merged.log) if row[2] > merged.after}
    assert later <= set(new), "what only the saved log has is history"
    assert (np.diff(merged.log.time[merged.log.start[1] : merged.log.stop[1]]) >= 0).all()
