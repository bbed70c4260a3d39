"""`sampled_loss` equals the loss of one matrix of scores in value and gradient, whatever the size of its blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from segue.nn import losses
from segue.nn import sampled_loss as module
from segue.nn.sampled_loss import LossWithGrad, false_negatives, loss_with_autograd, sampled_loss

DIM = 3
LOSSES: dict[str, tuple[Callable[..., Tensor], LossWithGrad]] = {
    "top1": (losses.top1, losses.GRADIENTS["top1"]),
    "bpr-max": (partial(losses.bpr_max, bpreg=0.4), partial(losses.GRADIENTS["bpr-max"], bpreg=0.4)),
    "sampled-ce": (losses.sampled_cross_entropy, losses.GRADIENTS["sampled-ce"]),
    "bpr": (losses.mean_bpr, loss_with_autograd(losses.mean_bpr)),
    "bce": (losses.bce, losses.GRADIENTS["bce"]),
    "gbce": (partial(losses.bce, beta=0.3), partial(losses.GRADIENTS["gbce"], beta=0.3)),
    "top1-max": (losses.top1_max, loss_with_autograd(losses.top1_max)),
}
each = pytest.mark.parametrize("name", LOSSES)


@pytest.fixture(params=[1, 3, 10**6], ids=lambda rows: f"{rows} rows at a time")
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLED_BLOCK_BYTES", request.param * 8 * 8)


def case(rows: int, scale: float = 1.0) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    """(query, positive, negative), and the ids of targets and of eight negatives; some of these are targets."""
    generator = torch.Generator().manual_seed(rows)
    query, positive, negative = (
        torch.randn(n, DIM, dtype=torch.double, generator=generator) * scale for n in (rows, rows, 8)
    )
    target, shared = (torch.randint(1, 6, (n,), generator=generator) for n in (rows, 8))
    return [one.requires_grad_() for one in (query, positive, negative)], (target, shared)


def plain(loss: Callable[..., Tensor], leaves: list[Tensor], ids: tuple[Tensor, Tensor]) -> Tensor:
    query, positive, negative = leaves
    return loss((query * positive).sum(1), query @ negative.T, ids[0].unsqueeze(1) != ids[1]).sum()


def assert_same(loss: Tensor, expected: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(loss, expected)
    gradients = (torch.autograd.grad(value * 0.3, leaves) for value in (loss, expected))
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("blocks")
@each
@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_value_and_gradient(name: str, rows: int, scale: float) -> None:
    leaves, ids = case(rows, scale)
    loss, loss_with_grad = LOSSES[name]
    assert_same(sampled_loss(*leaves, ids, loss_with_grad), plain(loss, leaves, ids), leaves)


@pytest.mark.usefixtures("blocks")
@each
def test_targets_that_are_the_first_negatives(name: str) -> None:
    """In-batch negatives: the targets of the other rows, whose vectors are not looked up again."""
    (query, _, negative), (_, shared) = case(5)
    loss, loss_with_grad = LOSSES[name]
    ids = shared[:5], shared
    expected = plain(loss, [query, negative[:5], negative], ids)
    assert_same(sampled_loss(query, None, negative, ids, loss_with_grad), expected, [query, negative])


@each
def test_a_row_whose_negatives_are_all_its_target(name: str) -> None:
    leaves, (target, _) = case(2)
    target[:] = torch.tensor([3, 4])
    ids = target, torch.full((8,), 3)
    loss, loss_with_grad = LOSSES[name]
    assert_same(sampled_loss(*leaves, ids, loss_with_grad), plain(loss, leaves, ids), leaves)


@each
def test_no_targets(name: str) -> None:
    leaves, ids = case(0)
    loss = sampled_loss(*leaves, ids, LOSSES[name][1])
    assert loss == 0
    loss.backward()
    assert leaves[2].grad is not None
    assert not leaves[2].grad.any()


@given(st.lists(st.integers(1, 50_000), max_size=6), st.lists(st.integers(1, 50_000), max_size=6), st.integers(0, 3))
def test_false_negatives_in_loops(target: list[int], shared: list[int], common: int) -> None:
    shared = shared + target[:common]
    row, column = false_negatives(torch.tensor(target, dtype=torch.long), torch.tensor(shared, dtype=torch.long))
    pairs = sorted(zip(row.tolist(), column.tolist(), strict=True))
    assert pairs == [(i, j) for i, t in enumerate(target) for j, s in enumerate(shared) if t == s]
