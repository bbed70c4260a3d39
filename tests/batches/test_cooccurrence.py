"""Pairs out of sets: who may meet whom, how often, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.cooccurrence import CooccurrencePairs
from segue.data import synthetic
from segue.data.log import Ids


def drawn(sets: CooccurrencePairs, passes: int, batch_size: int = 7, seed: int = 0) -> Ids:
    """(n, 2) all pairs."""
    found = [np.stack(two, 1) for two in sets.pairs(passes, batch_size, np.random.default_rng(seed))]
    return np.concatenate([np.zeros((0, 2), np.int64), *found])


@settings(max_examples=60)
@given(
    histories=st.lists(st.lists(st.integers(1, 6), max_size=9), min_size=1, max_size=5),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_partners_are_different_items_of_one_user(histories: list[list[int]], batch_size: int, seed: int) -> None:
    log = synthetic.from_sequences(histories, num_items=6)
    together = {(a, b) for items in histories for a in items for b in items if a != b}
    found = drawn(CooccurrencePairs(log), 30, batch_size, seed)
    assert {*map(tuple, found.tolist())} <= together
    assert len(found) > 0 or not together


def test_a_user_counts_what_the_objective_says() -> None:
    """n - 1 pairs a pass for n items, each of the n (n - 1) as often; an item that came twice is there once."""
    log = synthetic.from_sequences([[1, 2, 2, 1], [3, 4, 5, 6, 7]], num_items=7)
    found = drawn(CooccurrencePairs(log), 20_000)
    pair, count = np.unique(found, axis=0, return_counts=True)
    assert len(pair) == 2 + 20
    small = pair[:, 0] <= 2
    assert count[small] / 20_000 == pytest.approx(np.full(2, 1 / 2), abs=0.02)
    assert count[~small] / 20_000 == pytest.approx(np.full(20, 1 / 5), abs=0.02)


def test_frequent_items_are_left_out() -> None:
    """Item 1 has half of all events: with rho = 1/8 it stays in every second pass, and its partners with it."""
    log = synthetic.from_sequences([[1, 2], [1, 3], [1, 4], [1, 5]], num_items=5)
    sets = CooccurrencePairs(log, rho=1 / 8)
    assert sets.keep_probability[1:] == pytest.approx([0.5, 1, 1, 1, 1])
    assert len(drawn(sets, 5_000)) / 5_000 == pytest.approx(4 * 1 / 2, abs=0.05)


def test_only_one_batch_of_pairs_is_made_at_a_time() -> None:
    log = synthetic.from_sequences([[*range(1, 2001)]])
    stream = CooccurrencePairs(log).pairs(10**9, 64, np.random.default_rng(0))
    assert [len(next(stream)[0]) <= 64 for _ in range(50)] == [True] * 50
