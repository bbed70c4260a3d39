"""`embedding` equals `table[ids]` in value and gradient, except that row 0, which is padding, gets no gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn.embedding import embedding

SHAPES = [(5,), (2, 3), (2, 3, 4), (0,), (3, 0), (0, 4)]


def table() -> Tensor:
    return torch.randn(7, 3, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def ids(shape: tuple[int, ...]) -> Tensor:
    return torch.randint(7, shape, generator=torch.Generator().manual_seed(3))


def weigh(values: Tensor) -> Tensor:
    """A loss that weighs every element differently."""
    return (values * torch.linspace(-1, 2, values.numel(), dtype=torch.double).view_as(values)).square().sum()


def expected(*shapes: tuple[int, ...]) -> Tensor:
    """The gradient of plain indexing, summed over several lookups; zero for padding."""
    plain = table().requires_grad_()
    for shape in shapes:
        weigh(plain[ids(shape)]).backward()
    assert plain.grad is not None
    plain.grad[0] = 0
    return plain.grad


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradient(shape: tuple[int, ...]) -> None:
    weight = table().requires_grad_()
    vectors = embedding(weight, ids(shape))
    assert torch.equal(vectors, table()[ids(shape)])
    weigh(vectors).backward()
    torch.testing.assert_close(weight.grad, expected(shape))


def test_gradients_accumulate_in_place() -> None:
    weight = table().requires_grad_()
    weight.grad = torch.zeros_like(weight)
    before = weight.grad.data_ptr()
    for shape in ((5,), (2, 3)):
        weigh(embedding(weight, ids(shape))).backward()
    torch.testing.assert_close(weight.grad, expected((5,), (2, 3)))
    assert weight.grad.data_ptr() == before


def test_two_lookups_in_one_loss() -> None:
    weight = table().requires_grad_()
    (weigh(embedding(weight, ids((5,)))) + weigh(embedding(weight, ids((2, 3))))).backward()
    torch.testing.assert_close(weight.grad, expected((5,), (2, 3)))


def test_dense_use_beside_a_lookup() -> None:
    """HGN with cross-entropy: the item table is looked up and multiplied whole in one loss."""
    weight, plain = table().requires_grad_(), table().requires_grad_()
    weigh(embedding(weight, ids((5,))) @ weight.T).backward()
    weigh(plain[ids((5,))] @ plain.T).backward()
    torch.testing.assert_close(weight.grad[1:], plain.grad[1:])


def test_gradient_that_is_not_contiguous() -> None:
    weight, plain = table().requires_grad_(), table().requires_grad_()
    weigh(embedding(weight, ids((2, 3))).transpose(0, 1).contiguous()).backward()
    weigh(plain[ids((2, 3))].transpose(0, 1).contiguous()).backward()
    torch.testing.assert_close(weight.grad[1:], plain.grad[1:])
    assert not weight.grad[0].any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_graph_without_gradients(shape: tuple[int, ...]) -> None:
    weight = table().requires_grad_()
    with torch.no_grad():
        vectors = embedding(weight, ids(shape))
    assert not vectors.requires_grad
    frozen = embedding(table(), ids(shape))
    assert not frozen.requires_grad
    assert torch.equal(vectors, frozen)


def test_a_computed_table() -> None:
    """The gradient of a table that is not a leaf goes on to what it was computed from."""
    weight, plain = table().requires_grad_(), table().requires_grad_()
    weigh(embedding(weight * 2, ids((2, 3)))).backward()
    weigh((plain * 2)[ids((2, 3))]).backward()
    torch.testing.assert_close(weight.grad, plain.grad)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sparse_gradients_are_the_same_numbers(shape: tuple[int, ...]) -> None:
    weight = table().requires_grad_()
    vectors = embedding(weight, ids(shape), sparse=True)
    assert torch.equal(vectors, table()[ids(shape)])
    weigh(vectors).backward()
    assert weight.grad is not None
    assert weight.grad.is_sparse
    torch.testing.assert_close(weight.grad.to_dense(), expected(shape))
