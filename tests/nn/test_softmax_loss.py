"""Cross-entropy over all items equals that of one matrix of scores in value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn import softmax_loss as softmax
from segue.nn.losses import cross_entropy
from segue.nn.softmax_loss import all_items_cross_entropy

ITEMS, DIM = 7, 3


@pytest.fixture(params=[1, 2, 5, 10**6], ids=lambda rows: f"{rows} rows at a time")
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "SOFTMAX_BLOCK_BYTES", request.param * ITEMS * 8)


def case(rows: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    query = torch.randn(rows, DIM, dtype=torch.double, generator=generator) * scale
    table = torch.randn(ITEMS + 1, DIM, dtype=torch.double, generator=generator)
    return query.requires_grad_(), table.requires_grad_(), torch.randint(1, ITEMS + 1, (rows,), generator=generator)


def plain(query: Tensor, table: Tensor, target: Tensor) -> Tensor:
    return cross_entropy(query @ table[1:].T, target).sum()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("rows", [1, 2, 5, 11])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_value_and_gradient(rows: int, scale: float) -> None:
    query, table, target = case(rows, scale)
    loss, expected = all_items_cross_entropy(query, table, target), plain(query, table, target)
    torch.testing.assert_close(loss, expected)
    gradients = [torch.autograd.grad(value * 0.3, [query, table]) for value in (loss, expected)]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)
    assert not gradients[0][1][0].any(), "padding is not an item and gets no gradient"


@pytest.mark.usefixtures("blocks")
def test_sigmoid_scores() -> None:
    query, table, target = case(11)
    loss = all_items_cross_entropy(query, table, target, sigmoid_scores=True)
    expected = cross_entropy((query @ table[1:].T).sigmoid(), target).sum()
    torch.testing.assert_close(loss, expected)
    gradients = (torch.autograd.grad(value, [query, table]) for value in (loss, expected))
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("blocks")
def test_gradients_through_computed_inputs() -> None:
    query, table, target = case(5)
    gradients = (
        torch.autograd.grad(loss(query.tanh(), torch.nn.functional.normalize(table, dim=1), target), [query, table])
        for loss in (all_items_cross_entropy, plain)
    )
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("which", [0, 1])
def test_one_of_the_two_needs_no_gradient(which: int) -> None:
    query, table, target = case(5)
    inputs = [query, table]
    inputs[which] = inputs[which].detach()
    all_items_cross_entropy(inputs[0], inputs[1], target).backward()
    plain_grad = torch.autograd.grad(plain(query, table, target), [query, table])
    other = [query, table][1 - which]
    torch.testing.assert_close(other.grad, plain_grad[1 - which])


def test_no_graph_without_gradients() -> None:
    query, table, target = case(5)
    with torch.no_grad():
        loss = all_items_cross_entropy(query, table, target)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, plain(query, table, target).detach())


def test_no_targets() -> None:
    query, table, target = case(0)
    loss = all_items_cross_entropy(query, table, target)
    assert loss == 0
    loss.backward()
    assert table.grad is not None
    assert not table.grad.any()


def test_one_item_is_certain() -> None:
    table = torch.tensor([[0.0], [3.0]], requires_grad=True)
    loss = all_items_cross_entropy(torch.tensor([[2.0], [-9.0]]), table, torch.tensor([1, 1]))
    assert loss == 0


def test_inputs_are_not_changed() -> None:
    query, table, target = case(5)
    before = query.clone(), table.clone()
    all_items_cross_entropy(query, table, target).backward()
    assert torch.equal(query, before[0])
    assert torch.equal(table, before[1])


def test_products_have_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel is made, and kept, for each shape: batches with any number of targets would take hundreds of MB."""
    monkeypatch.setattr(softmax, "SOFTMAX_BLOCK_BYTES", 70 * 20 * 4)  # 70 rows of scores
    shapes, mm = set(), torch.mm
    monkeypatch.setattr(torch, "mm", lambda one, two, **out: shapes.add(one.shape) or mm(one, two, **out))
    items = torch.randn(21, 4, requires_grad=True)
    for rows in range(1, 200):
        query = torch.randn(rows, 4, requires_grad=True)
        softmax.all_items_cross_entropy(query, items, torch.randint(1, 21, (rows,))).backward()
    assert {shape[0] for shape in shapes} == {32, 64}
