"""Exact copies of rows are found, counted and dropped; they neither pass for returns nor decide the protocol."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.copies import exact_copies
from segue.data.datasets.catalog import DATASETS, load_dataset
from segue.data.diagnostics.leakage import measure_leakage
from segue.data.diagnostics.repeats import repeat_share
from segue.data.diagnostics.summary import summarise
from segue.data.readers.ingest import read_log
from segue.data.splits import leave_last_out
from segue.data.store import save_log
from segue.errors import DataError
from segue.evaluation.protocols import guess

SCHEMA = ["user", "item", "time", "rating"]
events = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 4), st.integers(1, 2))


def frame(rows, columns=SCHEMA):
    return pl.DataFrame([row[: len(columns)] for row in rows], schema=list(columns), orient="row")


def names(log):
    """(user, item, time) of every row."""
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), log.column(log.time).tolist(), strict=True))


@given(st.lists(events, min_size=1, max_size=40))
def test_exact_copies_are_the_rows_that_a_set_would_not_keep(rows):
    rows = [*rows, (1, 1, 9, 1), (2, 2, 9, 1)]
    log = read_log(frame(rows), duplicates="keep")
    assert len(log) == len(rows)
    assert exact_copies(log).sum() == len(rows) - len(set(rows))
    assert exact_copies(log, ratings=False).sum() == len(rows) - len({row[:3] for row in rows})
    once = read_log(frame(rows))
    first = list(dict.fromkeys(rows))
    assert names(once) == [row[:3] for row in sorted(first, key=lambda row: (row[0], row[2]))]
    assert once.fingerprint == read_log(frame(first)).fingerprint
    assert not exact_copies(once).any()
    moments = {row[:3] for row in rows}
    assert repeat_share(log) == pytest.approx(1 - len({row[:2] for row in rows}) / len(moments))
    view = log.until(log.stop - np.array([0, *(log.lengths[1:] > 1)]))
    assert len(exact_copies(view)) == len(view)


ROWS = [("ann", "tea", 10, 5.0), ("ann", "tea", 10, 5.0), ("ann", "tea", 10, 4.0), ("ann", "jam", 20, 1.0)]
ROWS += [("ann", "tea", 30, 5.0), ("bob", "tea", 10, 5.0), ("bob", "tea", 10, 5.0)]


def test_what_was_dropped_or_kept_is_said():
    once, kept = read_log(frame(ROWS)), read_log(frame(ROWS), duplicates="keep")
    assert [(step.rule, step.rows) for step in once.steps[1:]] == [
        ("2 exact copies dropped (same user, item, time and rating; --duplicates keep to keep)", 5)
    ]
    assert once.warnings == ()
    assert (len(kept), kept.steps[1:]) == (7, ())
    assert kept.warnings == ("2 rows are exact copies of others (same user, item and time) and kept",)
    without = read_log(frame(ROWS, SCHEMA[:3]))
    assert without.steps[1].rule == "3 exact copies dropped (same user, item and time; --duplicates keep to keep)"
    assert read_log(frame(ROWS), duplicates="exact").fingerprint == once.fingerprint
    assert len(read_log(frame(ROWS), duplicates="last")) == 3
    assert read_log(frame(once_more(2)), duplicates="last").warnings == ()


def once_more(copies, users=100, length=24):
    """A log in which nobody returns, and copies of its first rows."""
    rows = [
        (f"u{u}", f"i{(7 * u + 3 * n) % 75}", 1_600_000_000 + 86_400 * n + u, 5.0)
        for u in range(users)
        for n in range(length)
    ]
    assert len({row[:2] for row in rows}) == len(rows) == 2_400
    return [*rows, *rows[:copies]]


@pytest.mark.parametrize("copies", [0, 24, 26, 240, 2_400])
def test_copies_decide_nothing(copies):
    plain = read_log(frame(once_more(0)))
    assert read_log(frame(once_more(copies))).fingerprint == plain.fingerprint
    kept = read_log(frame(once_more(copies)), duplicates="keep")
    assert len(kept) == 2_400 + copies
    assert guess(kept) == guess(plain)
    summary = summarise(kept)
    assert (summary.repeats, summary.copies, summary.density) == (0.0, copies, summarise(plain).density)
    assert not any("do not exclude" in warning for warning in summary.warnings)
    assert measure_leakage(leave_last_out(kept)).repeats == 0


def test_a_copy_of_the_newest_event_is_no_return():
    rows = [
        ("ann", "jam", 1),
        ("ann", "tea", 5),
        ("ann", "tea", 5),
        ("bob", "tea", 1),
        ("bob", "jam", 2),
        ("bob", "tea", 3),
    ]
    log = read_log(frame(rows, SCHEMA[:3]), duplicates="keep")
    assert measure_leakage(leave_last_out(log)).repeats == 0.5


def test_rows_with_the_same_place_in_the_order_are_copies():
    rows = [(1, 7, 1), (1, 7, 2), (1, 7, 2), (2, 8, 1), (2, 8, 1)]
    log = read_log(frame(rows, ["user", "item", "order"]))
    assert log.history(1).tolist() == [1, 1]
    assert log.time is None
    assert log.steps[1].rule.startswith("2 exact copies dropped")
    kept = read_log(frame(rows, ["user", "item", "order"]), duplicates="keep")
    assert (len(kept), kept.time) == (5, None)
    assert len(read_log(frame(rows, ["user", "item", "order"]), duplicates="exact")) == 3


def test_without_times_nothing_is_a_copy():
    rows = [(1, 7), (1, 7), (2, 8)]
    log = read_log(frame(rows, SCHEMA[:2]))
    assert (len(log), log.warnings, len(log.steps)) == (3, (), 1)
    assert not exact_copies(log).any()
    with pytest.raises(DataError, match="log: exact copies have the same time, and this log has no times; name their"):
        read_log(frame(rows, SCHEMA[:2]), duplicates="exact")


def test_a_saved_log_keeps_its_rows_unless_asked(tmp_path):
    folder = save_log(read_log(frame(ROWS), duplicates="keep"), tmp_path / "saved")
    assert len(read_log(folder)) == 7
    assert "exact copies of others" in read_log(folder).warnings[0]
    assert len(read_log(folder, duplicates="exact")) == 5


def test_copies_that_a_saved_log_keeps_are_said_once(tmp_path):
    log = read_log(frame(ROWS), duplicates="keep")
    said = read_log(save_log(log, tmp_path / "saved"), duplicates="keep")
    assert said.warnings == log.warnings
    unsaid = read_log(save_log(replace(log, warnings=()), tmp_path / "other"), duplicates="keep")
    assert unsaid.warnings == log.warnings


def test_named_data_sets_keep_every_row(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    rows = [(1, 7, 10.0, "train"), (1, 7, 10.0, "train"), (2, 8, 11.0, "test"), (2, 7, 12.0, "test")]
    frame(rows, ["user", "item", "timestamp", "split"]).write_parquet(tmp_path / "yoochoose-100k.parquet")
    dataset = next(d for d in DATASETS.values() if d.name == "yoochoose-100k")
    tiny = type(dataset)(**{**vars(dataset), "num_users": 2, "num_items": 2, "num_rows": 4})
    log = load_dataset(tiny)
    assert len(log) == 4
    assert log.warnings == ("1 row is an exact copy of another (same user, item and time) and kept",)
    assert len(load_dataset(tiny, duplicates="exact")) == 3
