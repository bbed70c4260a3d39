"""Dropout with four decisions from 64 random bits."""

from __future__ import annotations

import pytest
import torch

from segue.nn.dropout import dropout


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_rate_and_mean(p: float) -> None:
    torch.manual_seed(0)
    values = torch.ones(401, 503)
    output = dropout(values, p, True)
    assert (output == 0).double().mean().item() == pytest.approx(p, abs=0.005)
    assert output.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-4)
    assert output.mean().item() == pytest.approx(1, abs=0.02)


def test_entries_are_dropped_independently() -> None:
    torch.manual_seed(1)
    dropped = (dropout(torch.ones(1000, 64), 0.25, True) == 0).double()
    assert dropped.mean(0).sub(0.25).abs().max() < 0.06
    lagged = (dropped.flatten()[1:] * dropped.flatten()[:-1]).mean()  # neighbours share a draw of 64 bits
    assert lagged.item() == pytest.approx(0.0625, abs=0.005)


def test_the_gradient_flows_through_the_remaining_entries() -> None:
    torch.manual_seed(2)
    values = torch.full((7, 5), 2.0, dtype=torch.double, requires_grad=True)
    output = dropout(values, 0.4, True)
    output.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, output.detach() / 2)


def test_nothing_is_dropped_in_evaluation_or_at_rate_0() -> None:
    values = torch.randn(3)
    assert dropout(values, 0.5, False) is values
    assert dropout(values, 0.0, True) is values
    assert dropout(values[:0], 0.5, True).shape == (0,)


def test_the_seed_decides() -> None:
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(dropout(torch.ones(50), 0.5, True))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
