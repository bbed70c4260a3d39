"""Held-out tails: the two parts are the log, and what is held out is new and may be a target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.tails import MAX_TAIL, hold_out_tails

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=12)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 9))
def test_both_parts_are_the_log(lengths: list[int], count: int, seed: int) -> None:
    log = synthetic.from_sequences([[1 + i % 3 for i in range(n)] for n in lengths], num_items=3)
    training, held_out = hold_out_tails(log, count, np.random.default_rng(seed))
    assert len(held_out) == len(log) - len(training) <= count
    assert sorted([*training.rows(), *held_out.row]) == sorted(log.rows())
    tails = log.lengths - training.lengths
    assert ((tails == 0) | (tails == np.minimum(MAX_TAIL, log.lengths - 1))).all()
    assert (training.lengths[log.lengths > 0] >= 1).all()
    assert (held_out.row > log.start[held_out.user]).all()
    assert (held_out.row < log.stop[held_out.user]).all()


def test_as_many_rows_are_held_out_as_there_are() -> None:
    log = synthetic.from_sequences([[1, 2, 3]] * 300, num_items=3)
    _, held_out = hold_out_tails(log, 100, np.random.default_rng(0))
    assert len(held_out) == 100
    assert len(set(held_out.user)) == 50


def test_a_fifth_of_the_users_at_most_lose_rows() -> None:
    log = synthetic.from_sequences([[1, 2, 3]] * 300 + [[1]] * 50, num_items=3)
    _, held_out = hold_out_tails(log, 1_000, np.random.default_rng(0))
    assert len(set(held_out.user)) == 60


def test_what_may_be_no_target_is_not_asked_for() -> None:
    log = synthetic.from_sequences([[1, 2, 3, 4, 5, 6]] * 20, num_items=6)
    log = replace(log, is_target=log.item % 2 == 0)
    training, held_out = hold_out_tails(log, 60, np.random.default_rng(0))
    assert len(held_out) < len(log) - len(training)
    assert (held_out.targets() % 2 == 0).all()
