"""Stretches for causal models against loops over users and places."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.batches.batch import SequenceBatch
from segue.batches.sequences import CausalSequences
from segue.data import synthetic
from segue.data.log import Log

ITEMS = 9
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=12), min_size=1, max_size=5)
SEEDS = st.integers(0, 10**6)


def items_of(log: Log, user: int) -> list[int]:
    return log.item[log.start[user] : log.stop[user]].tolist()


def questions(batches: list[SequenceBatch]) -> Counter[tuple[int, tuple[int, ...], int]]:
    """(user, what is seen, target) of every question."""
    found: Counter[tuple[int, tuple[int, ...], int]] = Counter()
    for batch in batches:
        for row, place in batch.target_mask.nonzero().tolist():
            seen = [item for item in batch.history[row, : place + 1].tolist() if item]
            found[int(batch.user[row]), tuple(seen), int(batch.target[row, place])] += 1
    return found


@given(HISTORIES, st.integers(1, 6), st.one_of(st.none(), st.integers(1, 8)), st.integers(1, 4), SEEDS)
def test_coverage_all_has_every_pair_once(
    histories: list[list[int]], window: int, new_targets: int | None, batch_size: int, seed: int
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    sequences = CausalSequences(window=window, new_targets=new_targets)
    found = questions(list(sequences.batches(log, batch_size, np.random.default_rng(seed))))
    pairs = Counter((user, target) for (user, _, target), n in found.items() for _ in range(n))
    expected = Counter((user, item) for user in range(1, log.num_users + 1) for item in items_of(log, user)[1:])
    assert pairs == expected
    for user, seen, target in found:
        items = items_of(log, user)
        assert 1 <= len(seen) <= window
        assert any(
            tuple(items[end - len(seen) : end]) == seen and items[end] == target for end in range(1, len(items))
        ), "what is seen does not come right before the target"


@given(HISTORIES, st.integers(1, 6), st.integers(1, 4), SEEDS)
def test_coverage_last_has_the_newest_items_only(
    histories: list[list[int]], window: int, batch_size: int, seed: int
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    found = questions(
        list(CausalSequences(window=window, coverage="last").batches(log, batch_size, np.random.default_rng(seed)))
    )
    expected: Counter[tuple[int, tuple[int, ...], int]] = Counter()
    for user in range(1, log.num_users + 1):
        stretch = items_of(log, user)[-window - 1 :]
        for end in range(1, len(stretch)):
            expected[user, tuple(stretch[:end]), stretch[end]] += 1
    assert found == expected


@pytest.mark.parametrize("new_targets", [None, 2])
def test_the_newest_stands_last_and_long_histories_are_seen(new_targets: int | None) -> None:
    log = synthetic.from_sequences([list(range(1, 10))], num_items=ITEMS)
    rng = np.random.default_rng(0)
    (batch,) = CausalSequences(window=5, new_targets=new_targets).batches(log, 10, rng)
    assert [4, 5, 6, 7, 8] in batch.history.tolist()
    if new_targets:
        assert batch.target_mask.sum(1).max() <= new_targets
        full = batch.history[(batch.history > 0).all(1)]
        assert len(full) > 1


def test_the_shortest_come_first() -> None:
    log = synthetic.from_sequences([[1] * n for n in (4, 2, 7, 3, 9, 5)], num_items=ITEMS)
    for batch in CausalSequences(window=6, coverage="last").batches(log, 4, np.random.default_rng(1)):
        lengths = (batch.history > 0).sum(1).tolist()
        assert lengths == sorted(lengths)


def test_negatives_are_the_users_own() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [4, 5], [6, 6, 1, 2]], num_items=ITEMS)
    for batch in CausalSequences(window=4, num_negatives=3).batches(log, 2, np.random.default_rng(2)):
        assert batch.negatives.shape[1:] == (4, 1, 3)
        for user, drawn in zip(batch.user.tolist(), batch.negatives, strict=True):
            assert not set(drawn.flatten().tolist()) & {0, *items_of(log, user)}


@given(HISTORIES, st.integers(1, 6), st.integers(1, 4), SEEDS)
def test_times_are_those_of_the_events_and_of_the_newest_target(
    histories: list[list[int]], window: int, batch_size: int, seed: int
) -> None:
    """Each event has a time of its own here, which tells its item."""
    times = [[100 * user + place for place in range(1, len(h) + 1)] for user, h in enumerate(histories, 1)]
    log = synthetic.from_sequences(histories, num_items=ITEMS, times=times)
    item_at = {
        time: item
        for row, history in zip(times, histories, strict=True)
        for time, item in zip(row, history, strict=True)
    }
    for batch in CausalSequences(window=window, times=True).batches(log, batch_size, np.random.default_rng(seed)):
        assert batch.times is not None
        assert batch.time is not None
        found = [[item_at.get(time, 0) for time in row] for row in batch.times.tolist()]
        assert found == batch.history.tolist()
        assert [item_at[time] for time in batch.time.tolist()] == batch.target[:, -1].tolist()
