"""Losses: known values, extreme values, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.nn import losses
from segue.nn.losses import bpr, cross_entropy, l2_penalty


@given(st.floats(-30, 30))
def test_bpr_is_minus_log_sigma(difference: float) -> None:
    value = bpr(torch.tensor([difference], dtype=torch.double)).item()
    assert value == pytest.approx(math.log1p(math.exp(-difference)), rel=1e-12)


def test_bpr_stays_finite_where_sigma_is_zero() -> None:
    difference = torch.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    loss = bpr(difference)
    assert loss.tolist() == pytest.approx([1e4, math.log(2), 0])
    loss.sum().backward()
    assert difference.grad is not None
    assert difference.grad.tolist() == pytest.approx([-1, -0.5, 0])


def test_cross_entropy_of_equal_scores() -> None:
    """Seven items with equal scores: the first column is item 1."""
    assert cross_entropy(torch.zeros(3, 7), torch.tensor([1, 7, 3])).tolist() == pytest.approx([math.log(7)] * 3)


def test_cross_entropy_of_the_best_and_the_worst() -> None:
    scores = torch.tensor([[80.0, 0.0, 0.0]] * 3)
    assert cross_entropy(scores, torch.tensor([1, 2, 3])).tolist() == pytest.approx([0, 80, 80])


def test_cross_entropy_of_padding_is_zero() -> None:
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss = cross_entropy(scores, torch.tensor([0, 2, 0, 5]))
    assert loss[0] == loss[2] == 0
    assert (loss[[1, 3]] > 0).all()
    loss.sum().backward()
    assert scores.grad is not None
    assert not scores.grad[[0, 2]].any()
    assert scores.grad[[1, 3]].all()


def test_cross_entropy_does_not_change_the_scores() -> None:
    scores = torch.ones(2, 4)
    cross_entropy(scores, torch.tensor([1, 2]))
    assert torch.equal(scores, torch.ones(2, 4))


def test_l2_penalty_is_a_factor_times_the_squares() -> None:
    assert l2_penalty([torch.tensor([3.0, 4.0]), torch.tensor([[2.0]])], 0.5).item() == pytest.approx(14.5)


# ---------------------------------------------------------------------------------------- a target among negatives

LOSSES = {
    "bpr": losses.mean_bpr,
    "bce": losses.bce,
    "top1": losses.top1,
    "top1-max": losses.top1_max,
    "bpr-max": losses.bpr_max,
    "sampled-ce": losses.sampled_cross_entropy,
}
each_loss = pytest.mark.parametrize("name", LOSSES)


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def expected_loss(name: str, positive_score: float, negative_scores: list[float]) -> float:
    """The formulas of the module, in plain floats."""
    if name == "bce":
        return -math.log(sigma(positive_score)) - sum(math.log(1 - sigma(r)) for r in negative_scores)
    if name == "sampled-ce":
        return -math.log(math.exp(positive_score) / (math.exp(positive_score) + sum(map(math.exp, negative_scores))))
    if not negative_scores:
        return 0.0
    share = [math.exp(r) / sum(map(math.exp, negative_scores)) for r in negative_scores]
    difference = [sigma(r - positive_score) + sigma(r * r) for r in negative_scores]
    if name == "bpr-max":
        won = sum(s * sigma(positive_score - r) for s, r in zip(share, negative_scores, strict=True))
        return -math.log(won) + sum(s * r * r for s, r in zip(share, negative_scores, strict=True))
    return {
        "bpr": sum(-math.log(sigma(positive_score - r)) for r in negative_scores) / len(negative_scores),
        "top1": sum(difference) / len(negative_scores),
        "top1-max": sum(s * d for s, d in zip(share, difference, strict=True)),
    }[name]


@each_loss
@given(
    positive=st.lists(st.floats(-4, 4), min_size=1, max_size=3),
    scores=st.lists(st.tuples(st.floats(-4, 4), st.booleans()), min_size=1, max_size=5),
)
def test_losses_equal_their_formulas(name: str, positive: list[float], scores: list[tuple[float, bool]]) -> None:
    """Masked negatives do not count, whatever their score."""
    negative, mask = ([pair[i] for pair in scores] for i in (0, 1))
    rows = len(positive)
    loss = LOSSES[name](
        torch.tensor(positive, dtype=torch.double),
        torch.tensor([negative] * rows, dtype=torch.double),
        torch.tensor([mask] * rows),
    )
    assert loss.shape == (rows,)
    negative_scores = [score for score, there in scores if there]
    assert loss.tolist() == pytest.approx(
        [expected_loss(name, positive_score, negative_scores) for positive_score in positive], rel=1e-9, abs=1e-12
    )


@each_loss
def test_masked_negatives_get_no_gradient(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    positive = torch.randn(4, generator=generator, requires_grad=True)
    negative = torch.randn(4, 5, generator=generator, requires_grad=True)
    mask = torch.rand(4, 5, generator=generator) < 0.6
    mask[0] = False
    LOSSES[name](positive, negative, mask).sum().backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert positive.grad.isfinite().all()
    assert not negative.grad[~mask].any()
    assert negative.grad[mask].all()


@each_loss
@pytest.mark.parametrize("size", [80.0, 1e4])
def test_extreme_scores_stay_finite(name: str, size: float) -> None:
    positive = torch.tensor([size, -size, 0.0], requires_grad=True)
    negative = torch.tensor([[-size, -size], [size, -size], [size, size]], requires_grad=True)
    loss = LOSSES[name](positive, negative, torch.ones(3, 2, dtype=torch.bool))
    assert loss.isfinite().all()
    assert loss[1] >= loss[0]
    loss.sum().backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert positive.grad.isfinite().all()
    assert negative.grad.isfinite().all()


def test_gbce_beta_goes_from_1_to_the_sampling_rate() -> None:
    """Petrov and Macdonald, eq. (10): beta = 1 at t = 0, and the sampling rate at t = 1."""
    assert losses.gbce_beta(5, 101, 0.0) == pytest.approx(1)
    assert losses.gbce_beta(5, 101, 1.0) == pytest.approx(0.05)
    assert losses.gbce_beta(5, 101, 0.75) == pytest.approx(0.05 * 0.75 + 0.25)


def test_beta_weighs_the_target_only() -> None:
    positive, negative = torch.tensor([0.3]), torch.tensor([[1.0, -2.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    full, half = (losses.bce(positive, negative, mask, beta) for beta in (1.0, 0.5))
    assert (full - half).item() == pytest.approx(0.5 * bpr(positive).item())


def test_the_softmax_of_negatives_excludes_the_target() -> None:
    share = losses.negatives_softmax(
        torch.tensor([[1.0, 2.0, 9.0], [0.0, 0.0, 0.0]]), torch.tensor([[True, True, False], [False] * 3])
    )
    assert share[0].tolist() == pytest.approx([sigma(-1), sigma(1), 0])
    assert share[1].tolist() == [0, 0, 0]
