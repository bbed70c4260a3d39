"""The opinion pool against its equations and its limits, and where a feature says which model is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.nn.opinion_pool import LOWEST, OWN_FEATURES, Opinion, OpinionPool, confidence, log_softmax

ITEMS = 6


def opinions(rows: int, seed: int = 0) -> list[Tensor]:
    """The logarithms of two distributions for each row, over items 1..ITEMS."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(rows, ITEMS + 1, generator=generator, dtype=torch.float64) for _ in range(2)]
    for one in values:
        one[:, 0] = -torch.inf
    return [one.log_softmax(1) for one in values]


def of(values: list[Tensor], features: Tensor) -> list[Opinion]:
    """The opinions of two models; all features are of the first."""
    return [Opinion(values[0], features), Opinion(values[1], features[:, :0])]


def pool(num_features: int = 1, seed: int | None = None) -> OpinionPool:
    """A pool of two models in float64, with weights that are drawn at random if a seed is given."""
    made = OpinionPool(2, num_features).double()
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 2)
    return made


def test_scores_equal_the_equations() -> None:
    made, values = pool(seed=1), opinions(3)
    features = torch.randn(3, 2 * OWN_FEATURES + 1, dtype=torch.float64)
    made.mean.fill_(0.25)
    made.deviation.fill_(2.0)
    scores = made(of(values, features))
    rho, temperature = math.exp(made.log_rho), made.log_temperature.exp().tolist()
    for row in range(3):
        x = ((features[row] - 0.25) / 2).numpy()
        logits = made.weight.numpy() + x @ made.weight_of_features.numpy()
        shares = np.exp(logits) / np.exp(logits).sum()
        tau = math.exp(float(made.log_tau) + float(x @ made.log_tau_of_features.numpy()))
        for item in range(1, ITEMS + 1):
            total = sum(shares[k] * math.exp(values[k][row, item]) ** (rho * temperature[k]) for k in range(2))
            assert float(scores[row, item]) == pytest.approx(tau / rho * math.log(total), abs=1e-10)
    assert (scores[:, 0] == -torch.inf).all()


@pytest.mark.parametrize("rho", [1.0, 1e-6])
def test_the_limits_are_a_mixture_and_a_product(rho: float) -> None:
    made, values = pool(), opinions(4)
    made.log_rho.fill_(math.log(rho))
    made.log_tau.fill_(0.0)
    made.weight.copy_(torch.tensor([0.8, 0.0], dtype=torch.float64))
    first = math.exp(0.8) / (1 + math.exp(0.8))
    scores = made(of(values, torch.zeros(4, 2 * OWN_FEATURES + 1, dtype=torch.float64)))[:, 1:]
    one, two = (part[:, 1:] for part in values)
    expected = (first * one.exp() + (1 - first) * two.exp()).log() if rho == 1 else first * one + (1 - first) * two
    torch.testing.assert_close(scores, expected, atol=1e-4 if rho < 1 else 1e-10, rtol=0)


def test_a_pool_learns_which_model_is_right_when() -> None:
    rng = np.random.default_rng(0)
    rows = 600
    values = opinions(rows)
    feature = torch.from_numpy(rng.choice([-1.0, 1.0], rows))
    drawn = [torch.multinomial(part.exp(), 1, generator=torch.Generator().manual_seed(3)).squeeze(1) for part in values]
    target = torch.where(feature > 0, *drawn)
    features = torch.cat([torch.zeros(rows, 2 * OWN_FEATURES, dtype=torch.float64), feature.unsqueeze(1)], 1)
    made = pool()
    assert not made.is_learnt
    start = torch.nn.functional.cross_entropy(made(of(values, features)), target)
    made.learn(of(values, features), target, rows=torch.arange(rows), passes=10, lr=0.05, batch_size=32)
    assert torch.nn.functional.cross_entropy(made(of(values, features)), target) < start - 0.1
    shares = made.shares(features)
    assert shares[feature > 0, 0].mean() > 0.75
    assert shares[feature < 0, 0].mean() < 0.25
    assert made.is_learnt
    assert not any(weight.requires_grad for weight in made.parameters())


def test_rows_that_are_left_out_are_not_learnt_from() -> None:
    values, features = opinions(20), torch.randn(20, 2 * OWN_FEATURES + 1, dtype=torch.float64)
    target, rows = torch.arange(20) % ITEMS + 1, torch.arange(10)
    one, two = pool(), pool()
    one.learn(of(values, features), target, rows=rows, passes=2, lr=0.1, batch_size=4)
    other = torch.where(torch.arange(20) < 10, target, 1)
    features[10:] = 7.0
    two.learn(of(values, features), other, rows=rows, passes=2, lr=0.1, batch_size=4)
    for key, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[key]), key
    untouched = pool()
    untouched.learn(of(values, features), target, rows=rows[:0], passes=2, lr=0.1, batch_size=4)
    assert torch.equal(untouched.weight_of_features, pool().weight_of_features)


def test_a_feature_that_is_the_same_in_all_examples_counts_nothing() -> None:
    """Such as those of popularity, which change a little when it is counted anew, with more rows."""
    values = [part.float() for part in opinions(50)]
    features = torch.randn(50, 2 * OWN_FEATURES + 1, generator=torch.Generator().manual_seed(0))
    features[:, 1] = 2.7 + 1e-6 * torch.arange(50)
    made = OpinionPool(2, 1)
    made.learn(
        of(values, features), torch.arange(50) % ITEMS + 1, rows=torch.arange(50), passes=3, lr=0.1, batch_size=8
    )
    other = features.clone()
    other[:, 1] = 2.8
    assert torch.equal(made(of(values, other)), made(of(values, features)))
    assert made.is_learnt
    assert all(value.isfinite().all() for value in made.state_dict().values())  # others cannot be saved


def test_excluded_items_have_no_share() -> None:
    scores = torch.tensor([[-torch.inf, 1.0, 2.0, 5.0]], dtype=torch.float64)
    excluded = torch.tensor([[True, False, False, True]])
    values, total = log_softmax(scores, excluded)
    assert float(values[0, 1:3].exp().sum()) == pytest.approx(1)
    assert float(values[0, 3] - values[0, 2]) == pytest.approx(3)
    assert float(total) == pytest.approx(math.log(math.e + math.e**2))
    one, two = (float(value.exp()) for value in values[0, 1:3])
    expected = [-(one * math.log(one) + two * math.log(two)), math.log(two), math.log(two / one)]
    assert confidence(values, excluded)[0].tolist() == pytest.approx(expected)


def test_scores_are_finite_where_all_items_are_excluded() -> None:
    values, total = log_softmax(torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool))
    assert torch.cat([values, total], 1).isfinite().all()
    assert confidence(values, torch.ones(1, 3, dtype=torch.bool))[0, 1] == LOWEST
