"""Sessions side by side: every step once, in the order of a plain simulation, and what a row says of its past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.batches.session_parallel import SessionParallel, session_schedule
from segue.data import synthetic
from segue.data.log import Log

ITEMS = 9
logs = st.lists(st.lists(st.integers(1, ITEMS), max_size=6), min_size=1, max_size=9)


def simulated(sessions: list[list[int]], slots: int) -> list[list[tuple[int, int, int] | None]]:
    """(item before, item now, item next) of each slot at each time; None where it has nothing left."""
    waiting = [session for session in sessions if len(session) >= 2]
    walking: list[tuple[list[int], int] | None] = [None] * min(slots, max(len(waiting), 1))
    steps = []
    while True:
        for slot, at in enumerate(walking):
            if at is None or at[1] + 1 >= len(at[0]):
                walking[slot] = (waiting.pop(0), 0) if waiting else None
        if not any(walking):
            return steps
        steps.append([at and (at[0][at[1] - 1] if at[1] else 0, at[0][at[1]], at[0][at[1] + 1]) for at in walking])
        walking = [at and (at[0], at[1] + 1) for at in walking]


@given(sessions=logs, slots=st.integers(1, 4))
def test_session_parallel_equals_a_simulation(sessions: list[list[int]], slots: int) -> None:
    log = synthetic.from_sequences(sessions, num_items=ITEMS)
    batches = list(SessionParallel().batches(log, slots, np.random.default_rng(0)))
    expected = simulated(sessions, slots)
    assert len(batches) == len(expected)
    for batch, rows in zip(batches, expected, strict=True):
        assert batch.history.shape == (len(rows), 2)
        for row, step in enumerate(rows):
            has_step = bool(batch.target_mask[row, 0])
            assert has_step == (step is not None)
            found = (*batch.history[row].tolist(), int(batch.target[row, 0]))
            assert found == (step or (0, 0, 0))
            assert (batch.user[row] > 0) == has_step


def test_sessions_begin_in_order_of_time() -> None:
    log = synthetic.from_sequences([[1, 2], [3, 4], [5, 6]])
    assert log.time is None
    timed = replace(log, time=np.array([50, 60, 10, 20, 30, 90]))
    users, rows = session_schedule(timed, 1)
    assert users[:, 0].tolist() == [2, 3, 1]
    assert rows[:, 0].tolist() == [3, 5, 1]
    assert session_schedule(log, 1)[0][:, 0].tolist() == [1, 2, 3]


def test_a_view_uses_its_own_rows_only() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [4, 5, 6], [7, 8]])
    stop = log.stop - [0, 0, 1, 1]  # there is no user 0
    assert session_schedule(log.until(stop), 2)[1].tolist() == [[1, 4], [2, 0]]


def test_a_log_of_single_events_has_no_batches() -> None:
    assert not list(
        SessionParallel(num_shared=3).batches(synthetic.from_sequences([[1], [2]]), 2, np.random.default_rng(0))
    )


def one(log: Log, **settings: int) -> list:
    return list(SessionParallel(**settings).batches(log, 3, np.random.default_rng(1)))


@given(sessions=logs)
def test_shared_negatives_begin_with_the_targets(sessions: list[list[int]]) -> None:
    for batch in one(synthetic.from_sequences(sessions, num_items=ITEMS), num_shared=4):
        target = batch.target[batch.target_mask]
        assert batch.shared_negatives[: len(target)].tolist() == target.tolist()
        assert len(batch.shared_negatives) == len(target) + 4
        assert batch.shared_negatives.min() >= 1


def test_expected_negatives() -> None:
    """Item 1 is half of the events, so is expected half as often as there are slots, and among 8 even draws twice."""
    log = synthetic.from_sequences([[1, 2], [1, 3], [1, 4]])
    batch = one(log, num_shared=8, sample_alpha=0)[0]
    np.testing.assert_allclose(batch.log_expected_count.exp()[1:], [1.5 + 2, 0.5 + 2, 0.5 + 2, 0.5 + 2])
    assert one(log, num_shared=0)[0].log_expected_count.exp()[1:].tolist() == pytest.approx([1.5, 0.5, 0.5, 0.5])


def test_own_negatives_are_untouched() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [4, 5], [1, 4]], num_items=ITEMS)
    for batch in one(log, num_negatives=5):
        assert batch.negatives.shape == (3, 1, 1, 5)
        for user, drawn in zip(batch.user.tolist(), batch.negatives.flatten(1).tolist(), strict=True):
            if user:
                assert not set(drawn) & {0, *log.history(user).tolist()}
