"""Leakage is counted as two plain loops count it, and a split without leaking users has none."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.datasets.catalog import load_log
from segue.data.diagnostics import leakage as module
from segue.data.diagnostics.leakage import (
    drop_leaking_users,
    leakage_warnings,
    leaking_test_users,
    measure_leakage,
    shared_events,
)
from segue.data.diagnostics.summary import summarise
from segue.data.splits import Split, given_split, leave_last_out
from segue.data.synthetic import from_sequences
from segue.errors import ConfigError

REAL = Path(os.environ.get("SEGUE_DATA", "nowhere"), "hcrnn_citeulike.parquet")


@st.composite
def splits(draw, items=3, longest=7):
    """Splits of short sequences with few items and times, so that many events are shared."""
    users = draw(st.integers(2, 7))
    lengths = draw(st.lists(st.integers(0, longest), min_size=users, max_size=users))
    rows = [draw(st.lists(st.integers(1, items), min_size=n, max_size=n)) for n in lengths]
    times = [sorted(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))) for n in lengths]
    parts = ["train", "test", *draw(st.lists(st.sampled_from(["train", "valid", "test"]), min_size=5, max_size=5))]
    log = from_sequences(rows, num_items=items, times=times)
    return given_split(replace(log, user_metadata=pl.DataFrame({"split": parts[:users]})), 0)


def events_of(split, start, stop):
    """The (item, time) of rows `start:stop`, user by user."""
    log = split.log
    return [
        list(zip(log.item[a:b].tolist(), log.time[a:b].tolist(), strict=True)) for a, b in zip(start, stop, strict=True)
    ]


@given(splits(), st.booleans())
def test_shared_events_agree_with_two_plain_loops(split, refit):
    log = split.log
    train = {e for user in events_of(split, log.start, split.test if refit else split.valid) for e in user}
    test = events_of(split, split.test, log.stop)
    shared = shared_events(split, refit=refit)
    hits = [[event in train for event in user] for user in test]
    every = [hit for user in hits for hit in user]
    test_users = [user for user in hits if user]
    assert shared.test_events == pytest.approx(np.mean(every) if every else 0)
    assert shared.test_users == pytest.approx(np.mean([any(user) for user in test_users]) if test_users else 0)
    fully = np.mean([all(user) for user in test_users]) if test_users else 0
    assert shared.fully_shared_users == pytest.approx(fully)
    assert leaking_test_users(split, refit=refit).tolist() == [any(user) for user in hits]
    clean = sum(max(len(user) - 1, 0) for user in hits if not any(user))
    assert shared.num_clean == clean
    assert shared.num_instances == sum(max(len(user) - 1, 0) for user in hits)
    later = {e for user in events_of(split, split.valid, log.stop) for e in user}
    leaking = [any(e in later for e in user) for user in events_of(split, log.start, split.valid)]
    assert shared.num_train_users == sum(leaking)


@given(splits())
def test_without_leaking_users_nothing_is_shared_and_the_test_part_is_complete(split):
    cleaned = drop_leaking_users(split)
    for refit in (False, True):
        assert shared_events(cleaned, refit=refit).test_events == 0
    assert np.array_equal(cleaned.instances("test").row, split.instances("test").row)
    assert cleaned.log.num_items == split.log.num_items
    dropped = (split.log.lengths > 0) & (cleaned.log.lengths == 0)
    assert dropped.sum() >= shared_events(split).num_train_users
    assert np.array_equal(cleaned.train.lengths[~dropped], split.train.lengths[~dropped])
    again = drop_leaking_users(cleaned)
    assert np.array_equal(again.log.stop, cleaned.log.stop)


@given(splits(items=2, longest=12))
def test_contained_sequences_are_those_of_a_text_search(split):
    log, text = split.log, "".join
    train = [text(map(str, log.item[a:b])) for a, b in zip(log.start, split.valid, strict=True)]
    tests = [text(map(str, log.item[a:b])) for a, b in zip(split.test, log.stop, strict=True)]
    long = [test for test in tests if len(test) >= module.LONG]
    leakage = measure_leakage(split)
    assert leakage.num_long == len(long)
    assert leakage.contained == pytest.approx(np.mean([any(test in t for t in train) for test in long]) if long else 0)
    times = [log.time[a:b] for a, b in zip(split.test, log.stop, strict=True)]
    before = [
        [old for old, then in zip(test, time, strict=True) if then < now]  # an exact copy is no return
        for test, time in zip(tests, times, strict=True)
        for now in time
    ]
    again = [item in earlier for item, earlier in zip("".join(tests), before, strict=True)]
    assert leakage.repeats == pytest.approx(np.mean(again) if again else 0)


def test_new_items_ties_and_popularity():
    log = from_sequences([[1, 1, 1, 2, 2, 3], [1, 2], [4, 3, 1]], times=[[1] * 6, [5, 6], [3, 3, 4]], num_items=5)
    split = Split(log, np.array([0, 6, 8, 8]), np.array([0, 6, 8, 8]), "each")
    leakage = measure_leakage(split)
    assert leakage.num_users == 1
    assert leakage.new_items == pytest.approx(1 / 3)
    assert leakage.ties == pytest.approx(1 / 2)
    assert leakage.popularity_recall == (1.0, 1.0), "five items are all among the first 20"
    assert any("33.3% have an item that is not in training" in line for line in leakage.sentences())


def test_recall_of_popularity_with_equal_counts():
    log = from_sequences([list(range(1, 31)), [1, 2, 3]])
    split = Split(log, np.array([0, 30, 30]), np.array([0, 30, 30]), "each")
    assert measure_leakage(split).popularity_recall == (0.0, 1.0), "all 30 items tie"


def test_shared_events_that_chance_explains_give_no_warning():
    """Six training users have both of two items on each day, so every test event coincides with one of theirs."""
    days = [[86_400 * day for day in range(20)] for _ in range(12)]
    rows = [[(user + day) % 2 + 1 for day in range(20)] for user in range(12)]
    parts = pl.DataFrame({"split": ["train"] * 6 + ["test"] * 6})
    shared = shared_events(given_split(replace(from_sequences(rows, times=days), user_metadata=parts), 0))
    assert shared.test_events == 1.0
    assert shared.by_chance == pytest.approx(np.mean([18, 19, 19, 18]) / 20)
    assert shared.warning is None
    unlikely = from_sequences([[1, 2, 3], [3, 2, 1]], times=[[0, 9, 20], [1, 9, 30]])
    shared = shared_events(given_split(replace(unlikely, user_metadata=pl.DataFrame({"split": ["train", "test"]})), 0))
    assert (shared.test_events, shared.by_chance) == (pytest.approx(1 / 3), 0)
    assert (shared.test_users, shared.fully_shared_users) == (1, 0)
    assert shared.warning.startswith("33.3% of the test's events also occur in training")


def test_a_log_without_times_has_no_shared_events():
    log = from_sequences([[1, 2, 3], [1, 2, 3]])
    split = leave_last_out(log)
    assert shared_events(split) is None
    assert leakage_warnings(split) == ()
    assert not leaking_test_users(split).any()
    assert summarise(log).test.shared is None


def test_a_split_that_cuts_users_cannot_drop_leaking_users():
    log = from_sequences([[1, 2, 3], [1, 2, 3]], times=[[1, 2, 3], [1, 2, 3]])
    with pytest.raises(ConfigError, match=r"leak='drop' leaves out whole users .* this split cuts 2 of them"):
        drop_leaking_users(leave_last_out(log))


def sessions(parts):
    """Six sessions; the first of training, the fourth and the last of the test have the same items at the same time."""
    rows = [[1, 2, 3], [2, 3, 4], [4, 1, 2], [1, 2, 3], [3, 1, 4], [1, 2, 3]]
    times = [[10, 20, 30], [41, 52, 63], [71, 83, 99], [10, 20, 30], [301, 402, 509], [10, 20, 30]]
    return given_split(replace(from_sequences(rows, times=times), user_metadata=pl.DataFrame({"split": parts})), 0)


@pytest.mark.parametrize(
    ("split", "advice"),
    [
        (sessions(["train"] * 3 + ["test"] * 3), ["--by leak", "--leak drop of segue run trains without the user who"]),
        (
            sessions(["train"] * 3 + ["test"] + ["valid"] + ["test"]),
            ["--leak drop of segue run trains without the user"],
        ),
        (sessions(["train"] + ["valid"] * 2 + ["test"] * 3), ["--by leak"]),
        (leave_last_out(from_sequences([[1, 2, 3], [2, 3, 4, 1]], times=[[1, 9, 30], [5, 30, 44, 57]])), ["--by leak"]),
    ],
)
def test_only_what_can_be_done_about_shared_events_is_advised(split, advice):
    (warning,) = leakage_warnings(split)
    start, *given = warning.split("; ")
    assert start.endswith("of its users")
    assert len(given) == len(advice)
    assert all(one.startswith(expected) for one, expected in zip(given, advice, strict=True))
    assert leakage_warnings(split, ranking=False) == (start,)


def test_copies_that_were_kept_are_named_as_a_cause():
    log = from_sequences([[1, 2, 2], [2, 3, 3]], times=[[10, 20, 20], [31, 42, 42]])
    (warning,) = leakage_warnings(replace(leave_last_out(log), valid=leave_last_out(log).test))
    assert warning.endswith("; --duplicates exact drops exact copies of rows, which are among them")


def test_a_log_without_times_has_no_leaking_users_to_drop():
    log = replace(from_sequences([[1, 2], [2, 1]]), user_metadata=pl.DataFrame({"split": ["train", "test"]}))
    with pytest.raises(ConfigError, match="sequences: leak='drop' compares the times of events, and this log has none"):
        drop_leaking_users(given_split(log, 0))


@pytest.mark.skipif(not REAL.is_file(), reason="SEGUE_DATA holds no hcrnn_citeulike.parquet")
def test_the_leakage_of_citeulike():
    log = load_log("citeulike")
    summary = summarise(log)
    shared = summary.test.shared
    shares = [f"{share:.1%}" for share in (shared.test_events, shared.test_users, shared.fully_shared_users)]
    assert shares == ["12.0%", "20.3%", "3.9%"]
    assert (shared.num_clean, shared.num_instances, shared.num_train_users) == (6_870, 9_140, 120)
    assert any(line.startswith("12.0% of the test's events also occur in training") for line in summary.warnings)
    split = given_split(log)
    cleaned = drop_leaking_users(split)
    assert (split.train.lengths > 0).sum() - (cleaned.train.lengths > 0).sum() == 120
    assert leakage_warnings(cleaned) == ()
    assert Counter(cleaned.instances("test").user.tolist()) == Counter(split.instances("test").user.tolist())
