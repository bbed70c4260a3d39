"""Losses over shared negatives: those of `losses`, with the gradients of autograd, in blocks or whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn import losses
from segue.nn import sampled_loss as module
from segue.nn.sampled_loss import false_negatives, loss_with_autograd, sampled_loss

PLAIN = {
    "bpr": losses.mean_bpr,
    "top1": losses.top1,
    "top1-max": losses.top1_max,
    "bpr-max": losses.bpr_max,
    "sampled-ce": losses.sampled_cross_entropy,
    "bce": losses.bce,
    "gbce": losses.bce,
}
TARGET, SHARED = torch.tensor([3, 3, 8, 5, 1]), torch.tensor([3, 3, 8, 5, 1, 2, 8, 7, 2])
ALONE = torch.tensor([4, 4])  # the first target below is among nothing but itself


def numbers(*shape: int) -> Tensor:
    torch.manual_seed(sum(shape))
    return torch.randn(*shape, dtype=torch.double).requires_grad_()


@pytest.mark.parametrize("written_out", [False, True])
@pytest.mark.parametrize("among", [False, True])
@pytest.mark.parametrize("rows", [2, 100])
@pytest.mark.parametrize("name", PLAIN)
def test_loss_and_gradients(
    name: str, rows: int, among: bool, written_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLED_BLOCK_BYTES", rows * 8 * len(SHARED))
    if written_out and name not in losses.GRADIENTS:
        pytest.skip("its gradients come from autograd")
    loss_with_grad = losses.GRADIENTS[name] if written_out else loss_with_autograd(PLAIN[name])
    query, own, vectors = numbers(5, 4), numbers(6, 4), numbers(9, 4)
    own = own[:5].detach().requires_grad_()
    right = vectors[:5] if among else own
    expected = PLAIN[name]((query * right).sum(1), query @ vectors.T, TARGET[:, None] != SHARED).sum() * 3
    leaves = [query, vectors] if among else [query, vectors, own]
    gradients = torch.autograd.grad(expected, leaves)
    found = sampled_loss(query, None if among else own, vectors, (TARGET, SHARED), loss_with_grad) * 3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    for one, two in zip(torch.autograd.grad(found, leaves), gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in losses.GRADIENTS if not name.endswith("bce")])
def test_a_target_among_nothing_but_itself(name: str) -> None:
    query, own, vectors = numbers(2, 3), numbers(5, 3), numbers(2, 3)
    right = own[:2].detach().requires_grad_()
    loss = sampled_loss(query, right, vectors, (torch.tensor([4, 1]), ALONE), losses.GRADIENTS[name])
    known = torch.tensor([[False, False], [True, True]])
    expected = PLAIN[name]((query * right).sum(1), query @ vectors.T, known)
    torch.testing.assert_close(loss, expected.sum(), rtol=0, atol=1e-10)
    loss.backward()
    assert query.grad is not None
    assert right.grad is not None
    assert not query.grad[0].any()
    assert not right.grad[0].any()
    assert query.grad[1].all()


def test_no_targets_at_all() -> None:
    query, own, vectors = numbers(1, 4), numbers(1, 4), numbers(9, 4)
    nothing = torch.empty(0, dtype=torch.long)
    loss = sampled_loss(query[:0], own[:0], vectors, (nothing, SHARED), losses.bpr_max_with_grad)
    loss.backward()
    assert loss == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_clashes_of_ids_that_share_their_low_bits() -> None:
    far = module.LOW_BITS + 1
    row, column = false_negatives(torch.tensor([5, 5 + far]), torch.tensor([5 + far, 5, 5 + 2 * far, 6]))
    assert list(zip(row.tolist(), column.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_scores_far_apart_stay_finite() -> None:
    positive, negative = torch.tensor([90.0, -90.0]), torch.tensor([[-90.0, 80.0], [90.0, -80.0]])
    false_negatives = torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    for name, loss_with_grad in losses.GRADIENTS.items():
        for values in loss_with_grad(positive, negative.clone(), false_negatives):
            assert values.isfinite().all(), name
