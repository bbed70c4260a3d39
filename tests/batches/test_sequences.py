"""Windows and pairs against loops over users and places."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import SequenceBatch
from segue.batches.sequences import CausalSequences, SlidingWindows, event_ages, user_item_pairs
from segue.data import synthetic
from segue.data.log import Log
from segue.data.splits import leave_last_out

ITEMS = 9
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=9), min_size=1, max_size=5)
Window = tuple[int, tuple[int, ...], tuple[int, ...]]


def expected_windows(
    histories: list[list[int]], window: int, targets: int, positions: Literal["full", "every"]
) -> list[Window]:
    """(user, window padded on the left, targets padded on the right) of every window, in plain loops."""
    found = []
    for user, history in enumerate(histories, 1):
        places = [p for p in range(1, len(history)) if positions == "every" and p <= max(1, len(history) - targets)]
        if positions == "full":
            places = list(range(window, len(history) - targets + 1))
            if not places and len(history) >= 2:
                places = [max(1, len(history) - targets)]
        for place in places:
            before, after = history[max(0, place - window) : place], history[place : place + targets]
            padded = (0,) * (window - len(before)) + tuple(before)
            found.append((user, padded, tuple(after) + (0,) * (targets - len(after))))
    return found


def targets_in_window(batch: SequenceBatch, window: int) -> list[Window]:
    """The same of a batch."""
    targets = batch.target.shape[1] - batch.target_mask.shape[1] + 1
    return [
        (int(batch.user[row]), tuple(batch.history[row, c : c + window].tolist()), tuple(target.tolist()))
        for row, c in batch.target_mask.nonzero().tolist()
        for target in [batch.target[row, c : c + targets]]
    ]


@settings(max_examples=300)
@given(
    histories=HISTORIES,
    window=st.integers(1, 5),
    targets=st.integers(1, 4),
    per_row=st.integers(1, 4),
    positions=st.sampled_from(["full", "every"]),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_every_question_once_with_its_history_and_targets(
    histories: list[list[int]], window: int, targets: int, per_row: int, positions: Any, batch_size: int, seed: int
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    windows = SlidingWindows(
        window=window, num_targets=targets, windows_per_row=per_row, num_negatives=2, positions=positions
    )
    batches = list(windows.batches(log, batch_size, np.random.default_rng(seed)))
    found = [row for batch in batches for row in targets_in_window(batch, window)]
    assert Counter(found) == Counter(expected_windows(histories, window, targets, positions))
    for batch in batches:
        rows = len(batch)
        assert batch.history.shape == (rows, window + per_row - 1)
        assert batch.target.shape == (rows, targets + per_row - 1)
        assert batch.negatives.shape == (rows, per_row, targets, 2)
        assert batch.target_mask.shape == (rows, per_row)
        assert batch.target_mask.any(1).all(), "a row has no targets"
        if per_row == 1:
            assert rows <= batch_size


@settings(max_examples=100)
@given(histories=HISTORIES, per_row=st.integers(1, 4), seed=st.integers(0, 99))
def test_negatives_are_never_the_users_own(histories: list[list[int]], per_row: int, seed: int) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    windows = SlidingWindows(window=2, num_targets=2, windows_per_row=per_row, num_negatives=3, positions="every")
    # a window without targets may still have sampled negatives
    streams = windows.batches(log, 4, np.random.default_rng(seed)), user_item_pairs(log, 4, np.random.default_rng(seed))
    for batch in (batch for stream in streams for batch in stream):
        for user, drawn in zip(batch.user.tolist(), batch.negatives, strict=True):
            own = set(histories[user - 1])
            wanted = {0} if len(own) == ITEMS else set(range(1, ITEMS + 1)) - own
            assert set(drawn.flatten().tolist()) <= wanted


def test_where_chunks_begin_changes_from_epoch_to_epoch() -> None:
    log = synthetic.random(1, ITEMS, 30, seed=1)
    windows = SlidingWindows(window=2, windows_per_row=4)
    rng = np.random.default_rng(0)
    begins = {min(len(targets_in_window(b, 2)) for b in windows.batches(log, 4, rng)) for _ in range(30)}
    assert len(begins) > 1


def test_neighbouring_windows_share_a_row() -> None:
    """The picture in the module's docstring: items a b c d, targets (d e), (e f)."""
    log = synthetic.from_sequences([[1, 2, 3, 4, 5, 6]])
    (batch,) = SlidingWindows(window=3, num_targets=2, windows_per_row=2).batches(log, 2, np.random.default_rng(0))
    assert batch.history.tolist() == [[1, 2, 3, 4]]
    assert batch.target.tolist() == [[4, 5, 6]]
    assert batch.target_mask.tolist() == [[True, True]]
    assert batch.negatives.shape[3] == 0


def test_full_windows_and_short_users() -> None:
    histories = [[1, 2, 3, 4, 5], [6, 7, 8], [9, 1], [2], []]
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    (batch,) = SlidingWindows(window=3, num_targets=2).batches(log, 64, np.random.default_rng(0))
    assert sorted(targets_in_window(batch, 3)) == [
        (1, (1, 2, 3), (4, 5)),
        (2, (0, 0, 6), (7, 8)),
        (3, (0, 0, 9), (1, 0)),
    ]


@pytest.mark.parametrize("histories", [[], [[]], [[1], [2]]])
def test_no_targets_give_no_batch(histories: list[list[int]]) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    assert list(SlidingWindows(window=3, num_negatives=1).batches(log, 8, np.random.default_rng(0))) == []


def test_a_view_does_not_use_held_out_rows() -> None:
    log = synthetic.from_sequences([[1, 2, 3, 8, 9], [4, 5, 6, 8, 9]])
    view = leave_last_out(log).train
    for batch in SlidingWindows(window=4, num_targets=2, windows_per_row=3, positions="every").batches(
        view, 8, np.random.default_rng(0)
    ):
        assert max(batch.history.max(), batch.target.max()) <= 6


def test_order_is_drawn_anew_and_from_the_seed_alone() -> None:
    log = synthetic.random(40, ITEMS, 8, seed=1)

    def epoch(windows: SlidingWindows, rng: np.random.Generator) -> list[Any]:
        return [q for batch in windows.batches(log, 16, rng) for q in targets_in_window(batch, 3)]

    windows, rng = SlidingWindows(window=3, windows_per_row=2), np.random.default_rng(5)
    first, second = epoch(windows, rng), epoch(windows, rng)
    assert first != second
    assert sorted(first) == sorted(second)
    assert first == epoch(windows, np.random.default_rng(5))


@settings(max_examples=100)
@given(histories=HISTORIES, batch_size=st.integers(1, 12), seed=st.integers(0, 99))
def test_pairs_are_the_rows_of_the_log(histories: list[list[int]], batch_size: int, seed: int) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    found: Counter[tuple[int, int]] = Counter()
    for batch in user_item_pairs(log, batch_size, np.random.default_rng(seed)):
        assert 1 <= len(batch) <= batch_size
        assert batch.history.shape == (len(batch), 0)
        assert batch.target.shape == (len(batch), 1)
        assert batch.target_mask.shape == (len(batch), 1)
        assert batch.target_mask.all()
        found.update(zip(batch.user.tolist(), batch.target.flatten().tolist(), strict=True))
    assert found == Counter((user, item) for user, history in enumerate(histories, 1) for item in history)


def test_a_log_of_scattered_rows() -> None:
    """Users' rows need not lie one behind the other."""
    whole = synthetic.from_sequences([[1, 2, 3], [4, 5, 6]])
    scattered = Log(whole.users, whole.items, np.array([0, 4, 0]), np.array([0, 7, 3]), np.array([4, 5, 6, 9, 1, 2, 3]))
    (batch,) = SlidingWindows(window=2).batches(scattered, 8, np.random.default_rng(0))
    assert sorted(targets_in_window(batch, 2)) == [(1, (1, 2), (3,)), (2, (4, 5), (6,))]


# ---------------------------------------------------------------------------------------- stretches

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=5)


def apart(lengths: list[int]) -> list[list[int]]:
    """Users with so many items, none of them twice: an item tells its user and its place."""
    last = np.cumsum(lengths).tolist()
    return [list(range(end - size + 1, end + 1)) for end, size in zip(last, lengths, strict=True)]


def stretches(batch: SequenceBatch) -> list[tuple[int, list[int], list[int], list[bool]]]:
    """(user, history, target, target mask) of every row."""
    return list(
        zip(batch.user.tolist(), batch.history.tolist(), batch.target.tolist(), batch.target_mask.tolist(), strict=True)
    )


def check_stretch(history: list[int], seen: list[int], target: list[int], target_mask: list[bool]) -> list[int]:
    """Check a row against the user's items; returns its targets."""
    window = len(seen)
    end = history.index(target[-1])
    padded = [0] * window + history
    assert seen == padded[end : end + window], "the window before the newest target, padded on the left"
    assert target == padded[end + 1 : end + 1 + window], "each target is the next item"
    count = sum(target_mask)
    assert target_mask == [False] * (window - count) + [True] * count, "only the newest positions have targets"
    assert all(seen[window - count :]), "padding has no targets"
    return target[window - count :]


@settings(max_examples=300)
@given(
    lengths=LENGTHS,
    window=st.integers(1, 6),
    new_targets=st.none() | st.integers(1, 8),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_training_sequences_have_every_pair_once(
    lengths: list[int], window: int, new_targets: int | None, batch_size: int, seed: int
) -> None:
    histories = apart(lengths)
    log = synthetic.from_sequences(histories, num_items=sum(lengths) or 1)
    most = min(new_targets or window, window)
    expected_targets: list[int] = []
    for batch in CausalSequences(window=window, new_targets=new_targets).batches(
        log, batch_size, np.random.default_rng(seed)
    ):
        assert len(batch) <= batch_size
        assert batch.negatives.shape[3] == 0
        for user, *row in stretches(batch):
            found = check_stretch(histories[user - 1], *row)
            assert 1 <= len(found) <= most
            expected_targets += found
    assert sorted(expected_targets) == sorted(item for history in histories for item in history[1:])


def test_training_sequences_start_elsewhere_in_each_epoch() -> None:
    log = synthetic.from_sequences([list(range(1, 31))])
    sequences, rng = CausalSequences(window=4, new_targets=3), np.random.default_rng(0)
    begins = {min(row[1][-1] for b in sequences.batches(log, 64, rng) for row in stretches(b)) for _ in range(30)}
    assert begins == {1, 2, 3}


def test_the_example_of_the_docstring() -> None:
    """The one in the docstring of `CausalSequences`: items a..f, a window of 4."""
    log = synthetic.from_sequences([[1, 2, 3, 4, 5, 6]])
    (last,) = CausalSequences(window=4, coverage="last").batches(log, 8, np.random.default_rng(0))
    assert stretches(last) == [(1, [2, 3, 4, 5], [3, 4, 5, 6], [True] * 4)]
    for seed in range(9):
        (batch,) = CausalSequences(window=4).batches(log, 8, np.random.default_rng(seed))
        if (1, [2, 3, 4, 5], [3, 4, 5, 6], [True] * 4) in stretches(batch):
            assert (1, [0, 0, 0, 1], [0, 0, 1, 2], [False] * 3 + [True]) in stretches(batch)
            return
    raise AssertionError("the picture was never drawn")


def test_ages_are_shares_of_what_came_after() -> None:
    timed = synthetic.from_sequences([[1, 2], [3, 4, 5]], num_items=ITEMS, times=[[10, 40], [20, 30, 40]])
    assert event_ages(timed).tolist() == pytest.approx([4 / 5, 0, 3 / 5, 2 / 5, 0])
    train = leave_last_out(timed).train  # a b, and c
    assert event_ages(train).tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    untimed = synthetic.from_sequences([[1, 2], [3, 4, 5]], num_items=ITEMS)
    assert event_ages(untimed).tolist() == pytest.approx([1 / 2, 0, 2 / 3, 1 / 3, 0])


def test_recent_pairs_come_more_often() -> None:
    """Ages 3/4, 2/4, 1/4, 0, of two users: each 1/4 of age halves the chance where recency is 1 / (4 ln 2)."""
    log = synthetic.from_sequences([[1, 3], [2, 4]], num_items=ITEMS, times=[[1, 3], [2, 4]])
    count: Counter[int] = Counter()
    for seed in range(2000):
        for batch in user_item_pairs(log, 3, np.random.default_rng(seed), recency=1 / (4 * np.log(2))):
            count.update(batch.target.flatten().tolist())
            for user, drawn in zip(batch.user.tolist(), batch.negatives.flatten().tolist(), strict=True):
                assert drawn not in log.history(user)
    assert count.total() == 8000
    share = np.array([count[item] for item in (1, 2, 3, 4)]) / 8000
    assert share == pytest.approx(np.array([1, 2, 4, 8]) / 15, abs=0.02)


def test_nothing_recent_in_an_empty_log() -> None:
    assert (
        list(user_item_pairs(synthetic.from_sequences([[]], num_items=ITEMS), 3, np.random.default_rng(0), recency=0.1))
        == []
    )


@given(HISTORIES, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_times_are_those_of_the_events_and_of_the_last_query(
    histories: list[list[int]], window: int, targets: int, per_row: int, seed: int
) -> None:
    """Each event has a time of its own here, which tells its item."""
    times = [[100 * user + place for place in range(1, len(h) + 1)] for user, h in enumerate(histories, 1)]
    log = synthetic.from_sequences(histories, num_items=ITEMS, times=times)
    item_at = {
        time: item
        for row, history in zip(times, histories, strict=True)
        for time, item in zip(row, history, strict=True)
    }
    windows = SlidingWindows(window=window, num_targets=targets, windows_per_row=per_row, times=True)
    for batch in windows.batches(log, 4, np.random.default_rng(seed)):
        assert batch.times is not None
        assert batch.time is not None
        assert [[item_at.get(time, 0) for time in row] for row in batch.times.tolist()] == batch.history.tolist()
        after_newest = [item_at.get(time, 0) for time in batch.time.tolist()]
        assert after_newest == batch.target[:, per_row - 1].tolist()
