"""The unit with its reset gate inside the product: its equations, and its written-out gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn.recurrent.gru import InnerGRU
from segue.nn.recurrent.packing import run

DIM, WIDE = 3, 2


def unit(*, bias: bool, hard: bool) -> InnerGRU:
    generator = torch.Generator().manual_seed(4)
    made = InnerGRU(WIDE, DIM, bias=bias, hard=hard).double()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, generator=generator)
    return made


def by_hand(x: Tensor, h: Tensor, unit: InnerGRU) -> Tensor:
    """One step, line by line."""
    w, u = unit.w.chunk(3), unit.u.chunk(3)
    b = (0, 0, 0) if unit.b is None else unit.b.chunk(3)

    def sigma(value: Tensor) -> Tensor:
        return (value / 5 + 0.5).clamp(0, 1) if unit.hard else value.sigmoid()

    r = sigma(w[0] @ x + u[0] @ h + b[0])
    z = sigma(w[1] @ x + u[1] @ h + b[1])
    n = torch.tanh(w[2] @ x + u[2] @ (r * h) + b[2])
    return (1 - z) * h + z * n


kinds = pytest.mark.parametrize(("bias", "hard"), [(False, False), (True, False), (True, True)])


@kinds
def test_walking_is_one_step_after_the_other(bias: bool, hard: bool) -> None:
    one = unit(bias=bias, hard=hard)
    table = torch.randn(9, WIDE, dtype=torch.double, generator=torch.Generator().manual_seed(0)) * 3
    history = torch.tensor([[1, 2, 3, 4], [0, 0, 5, 6], [0, 0, 0, 0], [0, 7, 8, 1]])
    found = run(history, table.__getitem__, one)
    for row, items in enumerate(history):
        h = torch.zeros(DIM, dtype=torch.double)
        for place, item in enumerate(items):
            h = by_hand(table[item], h, one) if item else h
            torch.testing.assert_close(found[row, place], h, rtol=0, atol=1e-12)


@kinds
def test_gradients(bias: bool, hard: bool) -> None:
    one = unit(bias=bias, hard=hard)
    read = torch.randn(9, WIDE, dtype=torch.double, requires_grad=True)
    begin = torch.randn(4, DIM, dtype=torch.double, requires_grad=True)

    def steps(read: Tensor, begin: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(dict(one.named_parameters()), weights, strict=True))
        return torch.func.functional_call(one, named, ([4, 3, 2], read, begin))

    one.forward = one.steps
    assert torch.autograd.gradcheck(steps, (read, begin, *one.parameters()))
