"""Softplus against its equation, in double precision and beyond torch's limit of 20."""

from __future__ import annotations

import math

import pytest
import torch

from segue.models.sequential.hcrnn.topic_posterior import TopicPosterior
from segue.nn.losses import sampled_cross_entropy
from segue.nn.softplus import softplus

VALUES = (-800.0, -30.0, -1.0, 0.0, 3.0, 19.9, 20.1, 23.0, 30.0, 39.9, 40.1, 800.0)


def exact(value: float) -> float:
    """ln(1 + e^value), without overflow."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_softplus_is_its_equation_everywhere(beta: float) -> None:
    values = torch.tensor(VALUES, dtype=torch.float64)
    expected = [exact(beta * value) / beta for value in VALUES]
    torch.testing.assert_close(softplus(values, beta), torch.tensor(expected, dtype=torch.float64), rtol=1e-15, atol=0)


def test_gradient_is_a_sigmoid() -> None:
    values = torch.tensor(VALUES, dtype=torch.float64, requires_grad=True)
    softplus(values).sum().backward()
    torch.testing.assert_close(values.grad, values.detach().sigmoid(), rtol=1e-15, atol=0)


def test_sigma_of_hcrnn_is_exact_where_torch_is_linear() -> None:
    posterior = TopicPosterior(2, 3, deviation="softplus", noise=1.0, dropout=0.0).double().eval()
    with torch.no_grad():
        posterior.deviation.weight.zero_()
        posterior.deviation.bias.fill_(21.0)
        sigma = posterior.posterior(torch.ones(1, 2, dtype=torch.float64)).deviation
    torch.testing.assert_close(sigma, torch.full((1, 3), exact(21.0) + 1e-6, dtype=torch.float64), rtol=1e-14, atol=0)


def test_sampled_cross_entropy_is_exact_where_torch_is_linear() -> None:
    positive, negative = torch.tensor([-10.5]).double(), torch.tensor([[10.0]]).double()
    loss = sampled_cross_entropy(positive, negative, torch.ones(1, 1, dtype=torch.bool))
    torch.testing.assert_close(loss, torch.tensor([exact(20.5)], dtype=torch.float64), rtol=1e-14, atol=0)
