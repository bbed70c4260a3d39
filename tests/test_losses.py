"""Losses: known values, extremes, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.losses import bpr, cross_entropy, l2


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
    """Seven items, all alike: the first column is item 1."""
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


def test_cross_entropy_leaves_the_scores_alone() -> None:
    scores = torch.ones(2, 4)
    cross_entropy(scores, torch.tensor([1, 2]))
    assert torch.equal(scores, torch.ones(2, 4))


def test_l2_is_a_factor_times_the_squares() -> None:
    assert l2([torch.tensor([3.0, 4.0]), torch.tensor([[2.0]])], 0.5).item() == pytest.approx(14.5)
