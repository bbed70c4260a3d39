"""Dropout by shares of 64 random bits."""

from __future__ import annotations

import pytest
import torch

from segue.nn.dropout import dropout


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_share_and_mean(share: float) -> None:
    torch.manual_seed(0)
    values = torch.ones(401, 503)
    found = dropout(values, share, True)
    assert (found == 0).double().mean().item() == pytest.approx(share, abs=0.005)
    assert found.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-4)
    assert found.mean().item() == pytest.approx(1, abs=0.02)


def test_rows_and_columns_are_dropped_alike() -> None:
    torch.manual_seed(1)
    gone = (dropout(torch.ones(1000, 64), 0.25, True) == 0).double()
    assert gone.mean(0).sub(0.25).abs().max() < 0.06
    lagged = (gone.flatten()[1:] * gone.flatten()[:-1]).mean()  # neighbours share a draw of 64 bits
    assert lagged.item() == pytest.approx(0.0625, abs=0.005)


def test_gradient_is_that_of_what_was_kept() -> None:
    torch.manual_seed(2)
    values = torch.full((7, 5), 2.0, dtype=torch.double, requires_grad=True)
    found = dropout(values, 0.4, True)
    found.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, found.detach() / 2)


def test_nothing_is_dropped_where_nothing_is_to_be() -> None:
    values = torch.randn(3)
    assert dropout(values, 0.5, False) is values
    assert dropout(values, 0.0, True) is values
    assert dropout(values[:0], 0.5, True).shape == (0,)


def test_seed_decides() -> None:
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(dropout(torch.ones(50), 0.5, True))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
