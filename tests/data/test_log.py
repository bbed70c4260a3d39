"""The log: rows, views, names and fingerprints."""

import doctest
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data import log as module
from segue.data.log import FEW, Log, Vocab, ranges
from segue.data.synthetic import from_sequences
from segue.errors import DataError

sequences = st.lists(st.lists(st.integers(1, 9), max_size=7), max_size=7)


@st.composite
def views(draw):
    """(log, a view of it, the expected items of the view by user)."""
    rows = draw(sequences)
    stops = [draw(st.integers(0, len(row))) for row in rows]
    log = from_sequences(rows, num_items=9)
    return log, log.until(log.start + np.array([0, *stops])), [row[:n] for row, n in zip(rows, stops, strict=True)]


def test_the_unit_of_the_times_is_that_of_a_view():
    day = 1_577_836_800  # 2020 in seconds
    log = from_sequences([[1, 2], [3]], times=[[day, 10 * day], [day + 5]], num_items=9)
    assert log.time_unit is None, "the year 2469"
    with pytest.raises(DataError, match=r"times from 1,577,836,800 to 15,778,368,000 are not dates"):
        _ = log.ticks_per_second
    view = log.until(log.stop - np.array([0, 1, 0]))
    assert (view.time_unit, view.ticks_per_second) == ("seconds", 1)
    untimed = from_sequences([[1]], num_items=9)
    assert untimed.time_unit is None
    with pytest.raises(DataError, match="has no times"):
        _ = untimed.ticks_per_second


def test_from_columns_puts_the_rows_of_users_one_after_the_other():
    names = Vocab(pl.Series(["a", "b", "c"]))
    log = Log.from_columns(names, names, np.array([0, 2, 0, 1]), item=np.array([3, 1, 2], np.int32), name="x")
    assert [log.history(user).tolist() for user in range(4)] == [[], [3, 1], [], [2]]
    assert log.start.dtype == log.stop.dtype == np.int64


@given(views())
def test_a_view_has_the_rows_before_its_cut(case):
    log, view, rows = case
    flat = [item for row in rows for item in row]
    assert [view.history(u).tolist() for u in range(1, view.num_users + 1)] == rows
    assert len(view) == len(flat)
    assert view.column(view.item).tolist() == flat
    assert view.events()[1].tolist() == flat
    assert view.events()[0].tolist() == [u for u, row in enumerate(rows, 1) for _ in row]
    assert view.counts().tolist() == [flat.count(item) for item in range(10)]
    assert view.item is log.item
    assert len(view.history(0)) == 0


@given(views())
def test_a_fingerprint_depends_on_the_rows_of_the_view_alone(case):
    _, view, rows = case
    assert view.fingerprint == from_sequences(rows, num_items=9).fingerprint


def test_a_fingerprint_depends_on_every_part():
    log = from_sequences([[1, 2], [2, 1]], times=[[1, 2], [1, 2]])
    others = [
        from_sequences([[1, 2], [1, 2]], times=[[1, 2], [1, 2]]),
        from_sequences([[1, 2, 2], [1]], times=[[1, 2, 2], [1]]),
        from_sequences([[1, 2], [2, 1]], times=[[1, 3], [1, 2]]),
        from_sequences([[1, 2], [2, 1]], times=[[1, 2], [1, 2]], num_items=3),
        replace(log, time=None),
        replace(log, rating=np.ones(4, np.float32)),
        replace(log, users=Vocab(pl.Series([1, 3]))),
        replace(log, items=Vocab(pl.Series(["1", "3"]))),
        log.until(log.stop - np.array([0, 0, 1])),
        *(
            replace(log, user_metadata=pl.DataFrame({"split": parts}))
            for parts in (["train", "test"], ["test", "train"])
        ),
    ]
    prints = [log.fingerprint, *(other.fingerprint for other in others)]
    assert len(set(prints)) == len(prints)
    assert replace(log, name="other").fingerprint == log.fingerprint
    assert replace(log, user_metadata=pl.DataFrame({"age": [1, 2]})).fingerprint == log.fingerprint
    assert len(log.fingerprint) == 16


def test_a_cut_outside_the_rows_of_its_user_is_refused():
    log = from_sequences([[1, 2], [1]])
    for cut in ([0, 3, 3], [0, 2, 1], [0, 2]):
        with pytest.raises(DataError, match="sequences: a cut lies outside its user's rows"):
            log.until(np.array(cut))
    view = log.until(np.array([0, 1, 2]))
    with pytest.raises(DataError, match="outside"):
        view.until(log.stop)


def test_names_and_ids_are_inverse():
    text, whole = Vocab(pl.Series(["a", "b", "7"])), Vocab(pl.Series([7, 30, -1]))
    assert text.ids(["b", 7, "zz", "a"]).tolist() == [2, 3, 0, 1]
    assert whole.ids(["30", 7, "x", None, 8]).tolist() == [2, 1, 0, 0, 0]
    assert text.names([3, 1]) == ["7", "a"]
    assert whole.names(np.array([1, 3])) == [7, -1]
    assert len(whole) == 3


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_few_names_and_many_are_looked_up_alike(count):
    log = from_sequences([list(range(1, 151))])
    log = replace(log, item_metadata=pl.DataFrame({"title": [f"title {i}" for i in range(1, 151)]}))
    ids = np.arange(150, 150 - count, -1)
    assert log.items.names(ids) == ids.tolist()
    assert log.titles(ids) == [f"title {i}" for i in ids]
    for look_up in (log.items.names, log.titles):
        for outside in (0, 151):
            with pytest.raises((IndexError, pl.exceptions.OutOfBoundsError)):
                look_up([*ids[1:], outside])


def test_titles_default_to_names():
    log = from_sequences([[1, 2]])
    assert log.titles([2, 1]) == ["2", "1"]
    assert replace(log, item_metadata=pl.DataFrame({"year": [1, 2]})).titles([2]) == ["2"]
    assert replace(log, item_metadata=pl.DataFrame({"title": ["one", "two"]})).titles([2, 1]) == ["two", "one"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=6))
def test_ranges(spans):
    start = np.array([a for a, _ in spans], np.int64)
    stop = np.array([a + n for a, n in spans], np.int64)
    assert ranges(start, stop).tolist() == [row for a, n in spans for row in range(a, a + n)]


def test_the_text_of_a_log_shows_its_size():
    assert repr(from_sequences([[1, 2], [1]], name="tiny")) == "Log('tiny': 3 rows, 2 users, 2 items)"


def test_examples():
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
