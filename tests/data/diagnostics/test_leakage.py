"""What test and training share is what two loops find, and leaving it out leaves none."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.datasets.catalog import load
from segue.data.diagnostics import leakage as module
from segue.data.diagnostics.leakage import overlap, shared_events, sharing, warnings, without_sharing
from segue.data.diagnostics.summary import audit
from segue.data.splits import Split, given_split, leave_last_out
from segue.data.synthetic import from_sequences
from segue.errors import ConfigError

REAL = Path(os.environ.get("SEGUE_DATA", "nowhere"), "hcrnn_citeulike.parquet")


@st.composite
def splits(draw, items=3, longest=7):
    """Sequences with times that meet often; each is train, valid or test."""
    users = draw(st.integers(2, 7))
    sizes = draw(st.lists(st.integers(0, longest), min_size=users, max_size=users))
    rows = [draw(st.lists(st.integers(1, items), min_size=n, max_size=n)) for n in sizes]
    times = [sorted(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))) for n in sizes]
    parts = ["train", "test", *draw(st.lists(st.sampled_from(["train", "valid", "test"]), min_size=5, max_size=5))]
    log = from_sequences(rows, num_items=items, times=times)
    return given_split(replace(log, user_metadata=pl.DataFrame({"split": parts[:users]})), 0)


def rows_of(split, start, stop):
    """By user, the (item, time) of some of its rows."""
    log = split.log
    return [
        list(zip(log.item[a:b].tolist(), log.time[a:b].tolist(), strict=True)) for a, b in zip(start, stop, strict=True)
    ]


@given(splits(), st.booleans())
def test_shared_events_are_those_of_two_loops(split, refit):
    log = split.log
    train = {e for user in rows_of(split, log.start, split.test if refit else split.valid) for e in user}
    test = rows_of(split, split.test, log.stop)
    found = shared_events(split, refit=refit)
    hits = [[event in train for event in user] for user in test]
    every = [hit for user in hits for hit in user]
    held = [user for user in hits if user]
    assert found.events == pytest.approx(np.mean(every) if every else 0)
    assert found.holders == pytest.approx(np.mean([any(user) for user in held]) if held else 0)
    assert found.whole == pytest.approx(np.mean([all(user) for user in held]) if held else 0)
    assert sharing(split, refit=refit).tolist() == [any(user) for user in hits]
    clean = sum(max(len(user) - 1, 0) for user in hits if not any(user))
    assert (found.clean, found.questions) == (clean, sum(max(len(user) - 1, 0) for user in hits))
    later = {e for user in rows_of(split, split.valid, log.stop) for e in user}
    givers = [any(e in later for e in user) for user in rows_of(split, log.start, split.valid)]
    assert found.givers == sum(givers)


@given(splits())
def test_without_sharing_nothing_is_shared_and_the_test_is_whole(split):
    less = without_sharing(split)
    for refit in (False, True):
        assert shared_events(less, refit=refit).events == 0
    assert np.array_equal(less.instances("test").row, split.instances("test").row)
    assert less.log.num_items == split.log.num_items
    gone = (split.log.lengths > 0) & (less.log.lengths == 0)
    assert gone.sum() >= shared_events(split).givers
    kept = ~gone
    assert np.array_equal(less.train.lengths[kept], split.train.lengths[kept])
    again = without_sharing(less)
    assert np.array_equal(again.log.stop, less.log.stop)


@given(splits(items=2, longest=12))
def test_contained_sequences_are_those_of_a_search(split):
    log, text = split.log, "".join
    train = [text(map(str, log.item[a:b])) for a, b in zip(log.start, split.valid, strict=True)]
    tests = [text(map(str, log.item[a:b])) for a, b in zip(split.test, log.stop, strict=True)]
    long = [test for test in tests if len(test) >= module.LONG]
    found = overlap(split)
    assert found.long == len(long)
    assert found.contained == pytest.approx(np.mean([any(test in t for t in train) for test in long]) if long else 0)
    again = [(item in tests[u][:n]) for u in range(len(tests)) for n, item in enumerate(tests[u])]
    assert found.repeats == pytest.approx(np.mean(again) if again else 0)


def test_what_else_is_counted():
    log = from_sequences([[1, 1, 1, 2, 2, 3], [1, 2], [4, 3, 1]], times=[[1] * 6, [5, 6], [3, 3, 4]], num_items=5)
    split = Split(log, np.array([0, 6, 8, 8]), np.array([0, 6, 8, 8]), "each")
    found = overlap(split)
    assert found.users == 1
    assert found.unknown == pytest.approx(1 / 3)
    assert found.ties == pytest.approx(1 / 2)
    assert found.popular == (1.0, 1.0), "five items are all among the first 20"
    assert any("33.3% have one new to training" in line for line in found.told())


def test_popularity_in_ties():
    log = from_sequences([list(range(1, 31)), [1, 2, 3]])
    split = Split(log, np.array([0, 30, 30]), np.array([0, 30, 30]), "each")
    assert overlap(split).popular == (0.0, 1.0), "all items alike: none of 30 is safe, each could be first"


def test_a_coincidence_is_no_leak():
    """Six users do both of two items every day, in turn: whoever comes meets them."""
    days = [[86_400 * day for day in range(20)] for _ in range(12)]
    rows = [[(user + day) % 2 + 1 for day in range(20)] for user in range(12)]
    parts = pl.DataFrame({"split": ["train"] * 6 + ["test"] * 6})
    found = shared_events(given_split(replace(from_sequences(rows, times=days), user_metadata=parts), 0))
    assert found.events == 1.0
    assert found.chance == pytest.approx(np.mean([18, 19, 19, 18]) / 20)
    assert found.warning is None
    alone = from_sequences([[1, 2, 3], [3, 2, 1]], times=[[0, 9, 20], [1, 9, 30]])
    found = shared_events(given_split(replace(alone, user_metadata=pl.DataFrame({"split": ["train", "test"]})), 0))
    assert (found.events, found.chance, found.holders, found.whole) == (pytest.approx(1 / 3), 0, 1, 0)
    assert found.warning.startswith("33.3% of the test's events stand in training too")


def test_a_log_without_times_shares_no_events():
    log = from_sequences([[1, 2, 3], [1, 2, 3]])
    split = leave_last_out(log)
    assert shared_events(split) is None
    assert warnings(split) == ()
    assert not sharing(split).any()
    assert audit(log).test.shared is None


def test_users_are_left_out_whole_or_not_at_all():
    log = from_sequences([[1, 2, 3], [1, 2, 3]], times=[[1, 2, 3], [1, 2, 3]])
    with pytest.raises(ConfigError, match=r"leak='drop' leaves out whole users .* this split cuts 2 of them"):
        without_sharing(leave_last_out(log))


@pytest.mark.skipif(not REAL.is_file(), reason="SEGUE_DATA holds no hcrnn_citeulike.parquet")
def test_the_leak_of_citeulike():
    log = load("citeulike")
    report = audit(log)
    shared = report.test.shared
    told = [f"{share:.1%}" for share in (shared.events, shared.holders, shared.whole)]
    assert told == ["12.0%", "20.3%", "3.9%"]
    assert (shared.clean, shared.questions, shared.givers) == (6_870, 9_140, 120)
    assert any(line.startswith("12.0% of the test's events stand in training too") for line in report.warnings)
    split = given_split(log)
    less = without_sharing(split)
    assert (split.train.lengths > 0).sum() - (less.train.lengths > 0).sum() == 120
    assert warnings(less) == ()
    assert Counter(less.instances("test").user.tolist()) == Counter(split.instances("test").user.tolist())
