"""The permutation test finds order where there is one, and has no false alarms where there is none."""

import math
from itertools import chain, pairwise

import numpy as np
import pytest

from segue.data.diagnostics.order_test import OrderSignal, order_signal
from segue.data.synthetic import cycle, from_sequences, markov, random


def count_by_hand(sequences):
    """Pairs of users who share a transition between two different items, summed over transitions."""
    transitions = [{(a, b) for a, b in pairwise(s) if a != b} for s in sequences]
    return sum(len(one & two) for n, one in enumerate(transitions) for two in transitions[:n])


@pytest.mark.parametrize("seed", range(5))
def test_shared_transitions_agree_with_a_count_by_hand(seed):
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(1, 6, size=rng.integers(0, 9)).tolist() for _ in range(12)]
    signal = order_signal(from_sequences(sequences))
    assert signal.shared == count_by_hand(sequences)
    assert signal.transitions == sum(a != b for s in sequences for a, b in pairwise(s))


def test_the_shuffled_mean_is_the_mean_over_all_orders():
    # Either user has the one transition 1>2 or 2>1 with even odds, so they share it half of the time.
    signal = order_signal(from_sequences([[1, 2], [1, 2]]), shuffles=4000)
    assert signal.shared == 1
    assert abs(signal.shuffled - 0.5) < 0.04


def test_the_ratio_grows_with_the_strength_of_the_order():
    ratios = []
    for strength in (0.1, 0.3, 0.9):
        signal = order_signal(markov(300, 100, 20, strength=strength))
        assert signal.significant
        assert signal.verdict.startswith("order carries signal: users share transitions ")
        ratios.append(signal.ratio)
    assert ratios == sorted(ratios)
    assert order_signal(cycle()).ratio > 10


@pytest.mark.parametrize(
    "shape", [{}, {"num_users": 500, "num_items": 300, "length": 20, "skew": 1.0, "shortest": 2}, {"num_items": 3}]
)
def test_independent_items_give_no_signal(shape):
    z = np.array([order_signal(random(seed=seed, **shape), seed=seed).z for seed in range(60)])
    assert (z < 5).all()
    assert abs(z.mean()) < 0.6, "without order the count is as often above as below its mean"
    assert 0.6 < z.std() < 1.6, "and departs from it by about its deviation"
    assert "no significant signal" in order_signal(random(seed=0, **shape)).verdict


def shuffled(log, seed):
    """The same users with their items in another order."""
    rng = np.random.default_rng([seed, 17])
    return from_sequences([rng.permutation(log.history(u)).tolist() for u in range(1, log.num_users + 1)])


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_histories_give_no_signal(seed):
    log = markov(300, 50, 15, strength=0.5, seed=seed)
    assert order_signal(log).z > 20
    assert order_signal(shuffled(log, seed)).z < 5


def test_the_share_of_the_signal_inside_ties():
    rng = np.random.default_rng(0)
    moments = [[sorted(rng.integers(1, 40, size=3).tolist()) for _ in range(5)] for _ in range(200)]
    sequences = [list(chain(*user)) for user in moments]
    times = [[step // 3 for step in range(15)] for _ in sequences]
    inside = order_signal(from_sequences(sequences, times=times))
    assert inside.significant
    assert inside.in_ties > 0.9, "only the order of the file within a moment repeats"
    log = cycle(200, 40, 15)
    walks = [log.history(u).tolist() for u in range(1, 201)]
    assert order_signal(from_sequences(walks, times=times)).in_ties > 0.3
    assert order_signal(log).in_ties is None, "no ties"
    assert order_signal(from_sequences(walks)).in_ties is None, "no times"
    alternate = [[step if step else 1 for step in range(15)] for _ in sequences]
    assert order_signal(from_sequences(walks, times=alternate)).in_ties < 0.2


def test_large_logs_are_sampled_by_whole_users():
    log = cycle(1000, 20, 10)
    assert order_signal(log, max_rows=2000).transitions == 200 * 9
    assert order_signal(log, max_rows=3).transitions == 9, "one user at least"
    assert order_signal(log, max_rows=2000).significant


def test_the_seed_decides_the_result():
    log = markov()
    assert order_signal(log, seed=1) == order_signal(log, seed=1) != order_signal(log, seed=2)


@pytest.mark.parametrize("sequences", [[], [[], []], [[1], [2]], [[1, 1, 1], [1, 1]], [[1, 2], [3, 4]]])
def test_too_few_transitions_give_no_result(sequences):
    signal = order_signal(from_sequences(sequences))
    assert not signal.significant
    assert math.isfinite(signal.z)
    assert signal.verdict == "the test of order has no result: users share too few transitions"


def test_a_small_ratio_is_called_a_little_signal():
    assert OrderSignal(10_000, 5_200, 5_000.0, 20.0, None).verdict.startswith("order carries a little signal")
    assert OrderSignal(10, 20, 0.0, 1.0, None).ratio == math.inf
    assert math.isnan(OrderSignal(0, 0, 0.0, 1.0, None).ratio)
