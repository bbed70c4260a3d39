"""The GRU whose reset gate is applied before the product: its equations and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn.recurrent.gru import ResetBeforeGRUCell
from segue.nn.recurrent.packing import run_recurrence

DIM, INPUT = 3, 2


def build(*, bias: bool, hard: bool) -> ResetBeforeGRUCell:
    generator = torch.Generator().manual_seed(4)
    cell = ResetBeforeGRUCell(INPUT, DIM, bias=bias, hard_sigmoid=hard).double()
    for weight in cell.parameters():
        torch.nn.init.normal_(weight, generator=generator)
    return cell


def by_hand(x: Tensor, h: Tensor, unit: ResetBeforeGRUCell) -> Tensor:
    """One step, line by line."""
    w, u = unit.w.chunk(3), unit.u.chunk(3)
    b = (0, 0, 0) if unit.b is None else unit.b.chunk(3)

    def sigma(value: Tensor) -> Tensor:
        return (value / 5 + 0.5).clamp(0, 1) if unit.hard_sigmoid else value.sigmoid()

    r = sigma(w[0] @ x + u[0] @ h + b[0])
    z = sigma(w[1] @ x + u[1] @ h + b[1])
    n = torch.tanh(w[2] @ x + u[2] @ (r * h) + b[2])
    return (1 - z) * h + z * n


kinds = pytest.mark.parametrize(("bias", "hard"), [(False, False), (True, False), (True, True)])


@kinds
def test_run_equals_the_equations_step_by_step(bias: bool, hard: bool) -> None:
    cell = build(bias=bias, hard=hard)
    table = torch.randn(9, INPUT, dtype=torch.double, generator=torch.Generator().manual_seed(0)) * 3
    history = torch.tensor([[1, 2, 3, 4], [0, 0, 5, 6], [0, 0, 0, 0], [0, 7, 8, 1]])
    output = run_recurrence(history, table.__getitem__, cell)
    for row, items in enumerate(history):
        h = torch.zeros(DIM, dtype=torch.double)
        for position, item in enumerate(items):
            h = by_hand(table[item], h, cell) if item else h
            torch.testing.assert_close(output[row, position], h, rtol=0, atol=1e-12)


@kinds
def test_gradients_by_finite_differences(bias: bool, hard: bool) -> None:
    cell = build(bias=bias, hard=hard)
    inputs = torch.randn(9, INPUT, dtype=torch.double, requires_grad=True)
    initial = torch.randn(4, DIM, dtype=torch.double, requires_grad=True)

    def run_packed(inputs: Tensor, initial: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(dict(cell.named_parameters()), weights, strict=True))
        return torch.func.functional_call(cell, named, ([4, 3, 2], inputs, initial))

    cell.forward = cell.run_packed
    assert torch.autograd.gradcheck(run_packed, (inputs, initial, *cell.parameters()))
