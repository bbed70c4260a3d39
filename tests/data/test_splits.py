"""Cut points divide the rows of a log, and no history contains its targets."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.split_kinds import SPLITS
from segue.data.splits import Split, given_split, global_time, leave_last_out, newest_users, ratio, whole_users
from segue.data.synthetic import from_sequences
from segue.errors import ConfigError, DataError


@st.composite
def logs(draw):
    """A log with times in which every row has a different item, so that items identify rows."""
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=8))
    ends = np.cumsum([0, *lengths])
    rows = [list(range(a + 1, b + 1)) for a, b in pairwise(ends)]
    times = [sorted(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))) for n in lengths]
    return from_sequences(rows, times=times)


def with_parts(log, parts, column="split"):
    """The log with user metadata whose column says the part of each user."""
    return replace(log, user_metadata=pl.DataFrame({column: parts}, schema={column: pl.String}))


def splits(log):
    """One split of every kind that this log allows."""
    made = [ratio(log, 0.1, 0.2), ratio(log, 0.1, 0.2, rounding="author"), whole_users(log, 0.3, 0.3, seed=1)]
    made += [leave_last_out(log, 1, 1), leave_last_out(log, 0, 2), leave_last_out(log, 2, 3)]
    if log.num_users > 1:
        parts = [("train", "test", "train", "valid")[u % 4] for u in range(log.num_users)]
        made += [
            given_split(with_parts(log, parts)),
            given_split(with_parts(log, ["train", *["test"] * (log.num_users - 1)]), 0.5),
        ]
    return [*made, global_time(log, 0.2, 0.3)] if len(log) else made


@given(logs())
def test_cut_points_divide_the_rows(log):
    for split in splits(log):
        parts = [log.start, split.valid, split.test, log.stop]
        items = [log.item[a:b] for cuts in zip(*parts, strict=True) for a, b in pairwise(cuts)]
        assert np.concatenate(items).tolist() == log.item.tolist()
        assert len(split.train) + int((log.stop - split.valid).sum()) == len(log)
        assert len(split.train_valid) + int((log.stop - split.test).sum()) == len(log)


@given(logs(), st.sampled_from(["valid", "test"]), st.sampled_from([None, 1, 3, 20]))
def test_a_history_is_the_rows_before_the_targets(log, part, window):
    for split in splits(log):
        instances = split.instances(part)
        histories, targets = (
            instances.histories(window),
            np.split(instances.targets(), np.cumsum(instances.num_targets)[:-1]),
        )
        longest = max((len(log.history(u)) for u in instances.user), default=0)
        for n, user in enumerate(instances.user):
            rows = log.history(user).tolist()
            first = int(instances.row[n] - log.start[user])
            history = [int(item) for item in histories[n] if item]
            assert history == rows[max(0, first - (window or longest)) : first]
            assert targets[n].tolist() == rows[first : first + instances.num_targets[n]]
            assert not set(history) & set(rows[first:])
            assert histories[n].tolist() == [0] * (histories.shape[1] - len(history)) + history
        assert (instances.num_targets >= 1).all()
        assert (instances.row > log.start[instances.user]).all()


@given(logs(), st.sampled_from(["valid", "test"]))
def test_targets_are_not_in_the_training_rows(log, part):
    for split in splits(log):
        train = split.train if part == "valid" else split.train_valid
        targets = split.instances(part).targets()
        assert not set(targets.tolist()) & set(train.events()[1].tolist())


def test_ratio_by_hand_as_in_the_paper_and_as_in_the_authors_program():
    log = from_sequences([[1] * n for n in (5, 10, 12, 23)])
    paper, author = ratio(log, 0.1, 0.2), ratio(log, 0.1, 0.2, rounding="author")
    # paper: round(.2 n) of test, round(.1 n) before; author: ceil(.2 n) of test, ceil(.1 of the rest) before
    assert _counts(paper) == [(4, 0, 1), (7, 1, 2), (9, 1, 2), (16, 2, 5)]
    assert _counts(author) == [(3, 1, 1), (7, 1, 2), (8, 1, 3), (16, 2, 5)]


def _counts(split):
    log = split.log
    lengths = np.stack([split.valid - log.start, split.test - split.valid, log.stop - split.test], axis=1)
    return [tuple(row) for row in lengths[1:].tolist()]


def test_leave_last_out_by_hand():
    split = leave_last_out(from_sequences([[1, 2, 3, 4], [5, 6], [7, 8, 9]]))
    assert _counts(split) == [(2, 1, 1), (2, 0, 0), (1, 1, 1)]
    test = split.instances("test")
    assert test.histories(None).tolist() == [[1, 2, 3], [0, 7, 8]]
    assert test.targets().tolist() == [4, 9]
    assert test.dropped == {"users with nothing held out for test": 1}
    assert split.instances("valid").histories(1).tolist() == [[2], [7]]
    assert split.instances("valid").targets().tolist() == [3, 8]


def test_global_time_by_hand():
    log = from_sequences([[1, 2, 3, 4], [5, 6, 7], [8, 9, 10]], times=[[0, 2, 5, 8], [1, 3, 8], [7, 8, 9]])
    split = global_time(log, 0.3, 0.3)
    # the ten times are 0 1 2 3 5 7 8 8 8 9: test begins at 8, validation at 5
    assert _counts(split) == [(2, 1, 1), (2, 0, 1), (0, 1, 2)]
    assert split.instances("test").targets().tolist() == [4, 7, 9, 10]
    assert split.instances("valid").targets().tolist() == [3]
    assert split.instances("valid").dropped == {"instances without a history": 1}


@given(logs().filter(len))
def test_a_split_by_time_trains_on_nothing_newer_than_its_targets(log):
    split = global_time(log, 0.2, 0.3)
    newest = split.train_valid.column(log.time).max(initial=-1)
    instances = split.instances("test")
    assert (log.time[instances.row] > newest).all()


def test_whole_users_are_held_out_completely_and_reproducibly():
    log = from_sequences([[1, 2, 3]] * 10)
    split = whole_users(log, 0.2, 0.3, seed=4)
    assert sorted(_counts(split)) == sorted([(3, 0, 0)] * 5 + [(0, 3, 0)] * 2 + [(0, 0, 3)] * 3)
    assert len(split.instances("test")) == 3 * 2  # the first step of a user has no history
    assert split.instances("test").dropped == {"instances without a history": 3}
    assert (whole_users(log, 0.2, 0.3, seed=4).test == split.test).all()
    assert any((whole_users(log, 0.2, 0.3, seed=s).test != split.test).any() for s in range(5, 9))


def test_a_given_split_holds_out_the_users_of_the_source():
    log = with_parts(from_sequences([[1, 2, 3], [4, 5], [1, 2], [3, 4, 5]]), ["train", "valid", "train", "test"])
    split = given_split(log, 0.5)  # the source has validation users: none are taken from training
    assert _counts(split) == [(3, 0, 0), (0, 2, 0), (2, 0, 0), (0, 0, 3)]
    assert split.instances("test").targets().tolist() == [4, 5]
    assert split.instances("valid").targets().tolist() == [5]
    assert split.instances("test").dropped == {"instances without a history": 1}
    assert len(split.train) == 5
    assert len(split.train_valid) == 7


def test_without_validation_in_the_source_the_newest_training_users_are_taken():
    parts = ["train", "train", "test", "train", "train"]
    log = from_sequences([[1, 2]] * 5)
    assert _counts(given_split(with_parts(log, parts), 0.5)) == [(2, 0, 0), (2, 0, 0), (0, 0, 2), (0, 2, 0), (0, 2, 0)]
    assert _counts(given_split(with_parts(log, parts), 0)) == [(2, 0, 0), (2, 0, 0), (0, 0, 2), (2, 0, 0), (2, 0, 0)]
    timed = with_parts(from_sequences([[1, 2]] * 5, times=[[0, 9], [1, 2], [8, 9], [5, 6], [0, 3]]), parts)
    assert _counts(given_split(timed, 0.5)) == [
        (0, 2, 0),
        (2, 0, 0),
        (0, 0, 2),
        (0, 2, 0),
        (2, 0, 0),
    ]


@pytest.mark.parametrize(
    ("parts", "column", "message"),
    [
        (["train", "test"], "fold", r"brings no split of its own; read it with a column .split. in its rows .*--users"),
        (["train", "tset"], "split", r"the column split says 'tset' of user 2; it may say train, valid, test"),
        (["train", None], "split", "the column split says nothing of user 2"),
        (["train", "train"], "split", "no user has test in the column split"),
        (["test", "valid"], "split", "no user has train in the column split"),
    ],
)
def test_an_invalid_given_split_is_refused(parts, column, message):
    with pytest.raises(DataError, match=message):
        given_split(with_parts(from_sequences([[1, 2], [3, 4]]), parts, column))
    with pytest.raises(DataError, match="brings no split of its own"):
        given_split(from_sequences([[1, 2], [3, 4]]))


def test_instances_can_be_selected():
    instances = leave_last_out(from_sequences([[1, 2, 3], [4, 5, 6], [7, 8, 9]])).instances("test")
    assert instances.take(np.array([2, 0])).targets().tolist() == [9, 3]
    assert instances.take(slice(1, None)).histories(2).tolist() == [[4, 5], [7, 8]]


@pytest.mark.parametrize(
    ("split", "fractions"),
    [
        ("ratio", (0.5, 0.5)),
        ("ratio", (-0.1, 0.2)),
        ("ratio", (0.1, 0)),
        ("ratio", (float("nan"), 0.2)),
        ("leave-last-out", (-1, 1)),
        ("leave-last-out", (1, 0)),
        ("global-time", (0.1, 1.0)),
        ("whole-users", (0.6, 0.6)),
        ("given", (1.0,)),
    ],
)
def test_fractions_without_training_rows_are_refused(split, fractions):
    log = from_sequences([[1, 2, 3]], times=[[1, 2, 3]])
    with pytest.raises(ConfigError, match="valid="):
        SPLITS[split].make(log, *fractions)


def test_a_split_by_time_needs_times():
    with pytest.raises(DataError, match="a split by time needs times; this log has only an order"):
        global_time(from_sequences([[1, 2]]))


def test_crossing_cut_points_are_refused():
    log = from_sequences([[1, 2, 3]])
    for valid, test in (([0, 2], [0, 1]), ([0, 1], [0, 4]), ([0, -1], [0, 1])):
        with pytest.raises(DataError, match="start <= valid <= test <= stop for every user"):
            Split(log, np.array(valid), np.array(test))


DAY = 86_400
BUSY = from_sequences(
    [[1, 2], [3, 4], [5], [6, 7], [8, 9], []],
    times=[[0, 1], [DAY, 2 * DAY + 6], [2 * DAY + 6], [9, 3 * DAY], [3 * DAY, 3 * DAY + 6], []],
)
DATED = replace(BUSY, time=BUSY.time + 1_600_000_000)


def test_the_newest_users_have_the_latest_last_rows():
    split = newest_users(DATED)
    assert (log_part(split, "test"), log_part(split, "valid")) == ([4, 5], [2, 3])
    split = newest_users(DATED, valid=1, test=2)
    assert (log_part(split, "test"), log_part(split, "valid")) == ([2, 3, 4, 5], [])
    fine = replace(DATED, time=DATED.time * 1000)
    assert log_part(newest_users(fine), "test") == [4, 5]
    assert newest_users(DATED).instances("test").targets().tolist() == [7, 9]


def log_part(split, part):
    start, stop = (split.test, split.log.stop) if part == "test" else (split.valid, split.test)
    return np.flatnonzero(stop > start).tolist()


def test_a_split_by_days_needs_days():
    with pytest.raises(
        DataError, match=r"this log has none; read it with a column of times, or choose the protocol session"
    ):
        newest_users(from_sequences([[1, 2]]))
    with pytest.raises(
        DataError, match=r"times from 0 to 259,206 are not dates, so they cannot be counted in seconds or days; choose"
    ):
        newest_users(BUSY)
    with pytest.raises(ConfigError, match="test=0 must be numbers of days, test above 0"):
        newest_users(DATED, test=0)


@given(logs(), st.integers(1, 6))
def test_the_horizon_ends_with_the_part(log, horizon):
    for split in splits(log):
        if split.target_mode != "each":
            continue
        wide = replace(split, horizon=horizon)
        for part in ("valid", "test"):
            one, more = split.instances(part), wide.instances(part)
            end = split.test if part == "valid" else log.stop
            assert np.array_equal(one.row, more.row)
            assert np.array_equal(more.stop, np.minimum(more.row + horizon, end[more.user]))
