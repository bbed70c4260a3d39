"""Cells: their written-out derivatives are autograd's, and a walk is one step after another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from segue.nn.recurrent.gru import EPS, GRU, InnerGRU, NormGRU
from segue.nn.recurrent.lstm import LSTM
from segue.nn.recurrent.packing import STRIDE, RecurrentCell, Stack, final_state, run, step

READS, DIM = 3, 4
Step = Callable[[Tensor, Tensor], Tensor]


def inner(cell: InnerGRU) -> Step:
    def step(x: Tensor, h: Tensor) -> Tensor:
        w, u = cell.w.chunk(3), cell.u.chunk(3)
        r, z = (torch.sigmoid(x @ w[k].T + h @ u[k].T) for k in (0, 1))
        return (1 - z) * h + z * torch.tanh(x @ w[2].T + (r * h) @ u[2].T)

    return step


def normed(cell: NormGRU) -> Step:
    def even(raw: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        groups = [table.split(cell.groups, -1) for table in (raw, gain, bias)]
        return torch.cat([layer_norm(part, part.shape[1:], g, b, EPS) for part, g, b in zip(*groups, strict=True)], 1)

    def step(x: Tensor, h: Tensor) -> Tensor:
        read = even(x @ cell.w.T, cell.read_gain, cell.read_bias).chunk(3, 1)
        held = even(h @ cell.u.T, cell.state_gain, cell.state_bias).chunk(3, 1)
        r, z = (torch.sigmoid(read[k] + held[k]) for k in (0, 1))
        return (1 - z) * h + z * torch.tanh(read[2] + r * held[2])

    return step


def lstm(cell: LSTM) -> Step:
    def step(x: Tensor, state: Tensor) -> Tensor:
        c, h = state.chunk(2, 1)
        i, f, o, g = (x @ cell.w.T + h @ cell.u.T + cell.b).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat([c, o.sigmoid() * c.tanh()], 1)

    return step


def stacked(cells: list[nn.Module]) -> Step:
    below, above = inner(cells[0]), lstm(cells[1])  # type: ignore[arg-type]

    def step(x: Tensor, state: Tensor) -> Tensor:
        first = below(x, state[:, :DIM])
        return torch.cat([first, above(first, state[:, DIM:])], 1)

    return step


def torchs(*, products: bool) -> tuple[RecurrentCell, Step, list[Tensor]]:
    """Torch's own cell; with `products`, what is read is W x already."""
    theirs = nn.GRUCell(3 * DIM if products else READS, DIM).double()
    weights = [theirs.weight_hh, theirs.bias_ih, theirs.bias_hh]
    if products:
        nn.init.eye_(theirs.weight_ih)
        return GRU(None, *weights), theirs, weights
    return GRU(theirs.weight_ih, *weights), theirs, [theirs.weight_ih, *weights]


def kinds(name: str) -> tuple[RecurrentCell, Step, list[Tensor]]:
    """A cell with random weights, its step in plain torch, and its weights."""
    torch.manual_seed(3)
    if name in ("gru", "products"):
        return torchs(products=name == "products")
    module: nn.Module
    if name == "stack":
        module = nn.ModuleList([InnerGRU(READS, DIM), LSTM(DIM, DIM)])
    else:
        module = {
            "inner": lambda: InnerGRU(READS, DIM),
            "joint": lambda: NormGRU(READS, DIM),
            "gate": lambda: NormGRU(READS, DIM, "gate"),
            "lstm": lambda: LSTM(READS, DIM),
        }[name]()
    module.double()
    weights = list(module.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.randn_like(weight))
    if isinstance(module, nn.ModuleList):
        return Stack([*module]), stacked([*module]), weights
    plain = {"inner": inner, "joint": normed, "gate": normed, "lstm": lstm}[name]
    return module, plain(module), weights  # type: ignore[return-value,operator]


NAMES = ["gru", "products", "inner", "joint", "gate", "lstm", "stack"]


def size(name: str) -> int:
    """Of what the cell reads."""
    return 3 * DIM if name == "products" else READS


def histories(name: str) -> tuple[Tensor, Tensor]:
    """Histories of every length, and vectors of items."""
    history = torch.randint(1, 20, (6, STRIDE + 3))
    for row, length in enumerate((0, 1, 5, STRIDE, STRIDE + 1, STRIDE + 3)):
        history[row, : history.shape[1] - length] = 0
    return history, torch.randn(20, size(name), dtype=torch.double)


@pytest.mark.parametrize("name", NAMES)
def test_a_walk_is_one_step_after_another(name: str) -> None:
    cell, plain_step, _ = kinds(name)
    history, table = histories(name)
    found, ended = run(history, table.__getitem__, cell), final_state(history, table.__getitem__, cell)
    for row, items in enumerate(history):
        state = torch.zeros(1, cell.width, dtype=torch.double)
        for place, item in enumerate(items):
            if item:
                following = step(table[item][None], state, cell)
                state = plain_step(table[item][None], state)
                torch.testing.assert_close(following, state, rtol=0, atol=1e-10)
            told = state[0, -cell.dim :] if item else torch.zeros(cell.dim, dtype=torch.double)
            torch.testing.assert_close(found[row, place], told, rtol=0, atol=1e-10)
        torch.testing.assert_close(ended[row], state[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_autograd(name: str) -> None:
    """By everything that is read, by the state at the beginning, and by all weights; rows end at different steps."""
    cell, step, weights = kinds(name)
    alive = [4, 3, 1]
    read = torch.randn(sum(alive), size(name), dtype=torch.double, requires_grad=True)
    begin = torch.randn(alive[0], cell.width, dtype=torch.double, requires_grad=True)
    leaves = [read, begin, *weights]
    probe = torch.randn(sum(alive), cell.width, dtype=torch.double)
    states, at, state = [], 0, begin
    for rows in alive:
        state = step(read[at : at + rows], state[:rows])
        states.append(state)
        at += rows
    expected = torch.autograd.grad((torch.cat(states) * probe).sum(), leaves)
    found = torch.autograd.grad((cell.steps(alive, read, begin) * probe).sum(), leaves)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3)])
def test_nobody_and_nothing(shape: tuple[int, int]) -> None:
    cell, _, _ = kinds("lstm")
    _, table = histories("lstm")
    empty = torch.zeros(shape, dtype=torch.long)
    assert not final_state(empty, table.__getitem__, cell).any()
    assert run(empty, table.__getitem__, cell).shape == (*shape, DIM)


def test_what_stands_between_two_layers_is_left_out_in_part() -> None:
    cells = [InnerGRU(READS, DIM), InnerGRU(DIM, DIM)]
    read, begin = torch.randn(5, READS), torch.zeros(5, 2 * DIM)
    torch.manual_seed(0)
    still, shaken = Stack(cells).steps([5], read, begin), Stack(cells, 0.5).steps([5], read, begin)
    assert torch.equal(still[:, :DIM], shaken[:, :DIM])
    assert not torch.equal(still[:, DIM:], shaken[:, DIM:])


def test_a_forget_gate_begins_open() -> None:
    bias = LSTM(READS, DIM).b
    assert bias.tolist() == [0.0] * DIM + [1.0] * DIM + [0.0] * 2 * DIM
