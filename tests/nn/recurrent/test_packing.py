"""Recurrent cells over packed sequences compute their equations one step after another, with the right gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from segue.nn.recurrent.gru import EPS, GRUCell, LayerNormGRUCell, ResetBeforeGRUCell
from segue.nn.recurrent.lstm import LSTMCell
from segue.nn.recurrent.packing import CHUNK, RecurrentCell, StackedCells, final_state, pack, run_recurrence, step

INPUT, DIM = 3, 4
Step = Callable[[Tensor, Tensor], Tensor]


def reset_before(cell: ResetBeforeGRUCell) -> Step:
    def step(x: Tensor, h: Tensor) -> Tensor:
        w, u = cell.w.chunk(3), cell.u.chunk(3)
        r, z = (torch.sigmoid(x @ w[k].T + h @ u[k].T) for k in (0, 1))
        return (1 - z) * h + z * torch.tanh(x @ w[2].T + (r * h) @ u[2].T)

    return step


def normed(cell: LayerNormGRUCell) -> Step:
    def normalised(blocks: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        groups = [table.split(cell.groups, -1) for table in (blocks, gain, bias)]
        return torch.cat([layer_norm(part, part.shape[1:], g, b, EPS) for part, g, b in zip(*groups, strict=True)], 1)

    def step(x: Tensor, h: Tensor) -> Tensor:
        x_blocks = normalised(x @ cell.w.T, cell.input_gain, cell.input_bias).chunk(3, 1)
        h_blocks = normalised(h @ cell.u.T, cell.state_gain, cell.state_bias).chunk(3, 1)
        r, z = (torch.sigmoid(x_blocks[k] + h_blocks[k]) for k in (0, 1))
        return (1 - z) * h + z * torch.tanh(x_blocks[2] + r * h_blocks[2])

    return step


def lstm(cell: LSTMCell) -> Step:
    def step(x: Tensor, state: Tensor) -> Tensor:
        c, h = state.chunk(2, 1)
        i, f, o, g = (x @ cell.w.T + h @ cell.u.T + cell.b).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat([c, o.sigmoid() * c.tanh()], 1)

    return step


def stacked(cells: list[nn.Module]) -> Step:
    below, above = reset_before(cells[0]), lstm(cells[1])  # type: ignore[arg-type]

    def step(x: Tensor, state: Tensor) -> Tensor:
        first = below(x, state[:, :DIM])
        return torch.cat([first, above(first, state[:, DIM:])], 1)

    return step


def torch_gru(*, projected: bool) -> tuple[RecurrentCell, Step, list[Tensor]]:
    """Torch's own cell; with `projected`, the inputs are W x already."""
    reference = nn.GRUCell(3 * DIM if projected else INPUT, DIM).double()
    weights = [reference.weight_hh, reference.bias_ih, reference.bias_hh]
    if projected:
        nn.init.eye_(reference.weight_ih)
        return GRUCell(None, *weights), reference, weights
    return GRUCell(reference.weight_ih, *weights), reference, [reference.weight_ih, *weights]


def kinds(name: str) -> tuple[RecurrentCell, Step, list[Tensor]]:
    """A cell with random weights, its step in plain torch, and its weights."""
    torch.manual_seed(3)
    if name in ("gru", "projected"):
        return torch_gru(projected=name == "projected")
    module: nn.Module
    if name == "stack":
        module = nn.ModuleList([ResetBeforeGRUCell(INPUT, DIM), LSTMCell(DIM, DIM)])
    else:
        module = {
            "reset before": lambda: ResetBeforeGRUCell(INPUT, DIM),
            "joint": lambda: LayerNormGRUCell(INPUT, DIM),
            "gate": lambda: LayerNormGRUCell(INPUT, DIM, "gate"),
            "lstm": lambda: LSTMCell(INPUT, DIM),
        }[name]()
    module.double()
    weights = list(module.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.randn_like(weight))
    if isinstance(module, nn.ModuleList):
        return StackedCells([*module]), stacked([*module]), weights
    plain = {"reset before": reset_before, "joint": normed, "gate": normed, "lstm": lstm}[name]
    return module, plain(module), weights  # type: ignore[return-value,operator]


NAMES = ["gru", "projected", "reset before", "joint", "gate", "lstm", "stack"]


def size(name: str) -> int:
    """Size of the inputs of the cell."""
    return 3 * DIM if name == "projected" else INPUT


def histories(name: str) -> tuple[Tensor, Tensor]:
    """Histories of every length, and vectors of items."""
    history = torch.randint(1, 20, (6, CHUNK + 3))
    for row, length in enumerate((0, 1, 5, CHUNK, CHUNK + 1, CHUNK + 3)):
        history[row, : history.shape[1] - length] = 0
    return history, torch.randn(20, size(name), dtype=torch.double)


@pytest.mark.parametrize("name", NAMES)
def test_run_and_final_state_equal_single_steps(name: str) -> None:
    cell, plain_step, _ = kinds(name)
    history, table = histories(name)
    output, final = run_recurrence(history, table.__getitem__, cell), final_state(history, table.__getitem__, cell)
    for row, items in enumerate(history):
        state = torch.zeros(1, cell.state_dim, dtype=torch.double)
        for place, item in enumerate(items):
            if item:
                following = step(table[item][None], state, cell)
                state = plain_step(table[item][None], state)
                torch.testing.assert_close(following, state, rtol=0, atol=1e-10)
            expected = state[0, -cell.output_dim :] if item else torch.zeros(cell.output_dim, dtype=torch.double)
            torch.testing.assert_close(output[row, place], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(final[row], state[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_those_of_single_steps(name: str) -> None:
    """Gradients of inputs, initial state and all weights, where rows end at different steps."""
    cell, step, weights = kinds(name)
    batch_sizes = [4, 3, 1]
    inputs = torch.randn(sum(batch_sizes), size(name), dtype=torch.double, requires_grad=True)
    initial = torch.randn(batch_sizes[0], cell.state_dim, dtype=torch.double, requires_grad=True)
    leaves = [inputs, initial, *weights]
    probe = torch.randn(sum(batch_sizes), cell.state_dim, dtype=torch.double)
    states, at, state = [], 0, initial
    for rows in batch_sizes:
        state = step(inputs[at : at + rows], state[:rows])
        states.append(state)
        at += rows
    expected = torch.autograd.grad((torch.cat(states) * probe).sum(), leaves)
    gradients = torch.autograd.grad((cell.run_packed(batch_sizes, inputs, initial) * probe).sum(), leaves)
    for one, two in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3)])
def test_no_rows_and_no_items(shape: tuple[int, int]) -> None:
    cell, _, _ = kinds("lstm")
    _, table = histories("lstm")
    empty = torch.zeros(shape, dtype=torch.long)
    assert not final_state(empty, table.__getitem__, cell).any()
    assert run_recurrence(empty, table.__getitem__, cell).shape == (*shape, DIM)


def test_dropout_between_two_layers() -> None:
    cells = [ResetBeforeGRUCell(INPUT, DIM), ResetBeforeGRUCell(DIM, DIM)]
    inputs, initial = torch.randn(5, INPUT), torch.zeros(5, 2 * DIM)
    torch.manual_seed(0)
    without, with_dropout = (
        StackedCells(cells).run_packed([5], inputs, initial),
        StackedCells(cells, 0.5).run_packed([5], inputs, initial),
    )
    assert torch.equal(without[:, :DIM], with_dropout[:, :DIM])
    assert not torch.equal(without[:, DIM:], with_dropout[:, DIM:])


def test_the_forget_gate_has_an_initial_bias() -> None:
    bias = LSTMCell(INPUT, DIM).b
    assert bias.tolist() == [0.0] * DIM + [1.0] * DIM + [0.0] * 2 * DIM


def test_the_longest_rows_come_first() -> None:
    packing = pack(torch.tensor([0, 2, 6, 7]), torch.tensor([2, 4, 1, 4]))
    assert packing.batch_sizes == [4, 3, 2, 2]
    assert packing.sorted_indices.tolist() == [1, 3, 0, 2]
    assert packing.unsorted_indices.tolist() == [2, 0, 3, 1]
    assert packing.indices.tolist() == [2, 7, 0, 6, 3, 8, 1, 4, 9, 5, 10]
    assert packing.offsets.tolist() == [0, 4, 7, 9]


def test_no_rows_take_no_step() -> None:
    empty = torch.zeros(0, dtype=torch.long)
    packing = pack(empty, empty)
    assert packing.batch_sizes == []
    assert len(packing.indices) == 0


def test_the_layout_is_that_of_torch() -> None:
    rows = [torch.arange(10 * row, 10 * row + size) for row, size in enumerate((2, 4, 1, 4))]
    reference = nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
    length = torch.tensor([len(row) for row in rows])
    packing = pack(length.cumsum(0) - length, length)
    assert packing.batch_sizes == reference.batch_sizes.tolist()
    order = packing.sorted_indices
    assert length[order].tolist() == length[reference.sorted_indices].tolist()
    assert torch.cat(rows)[packing.indices].sort().values.equal(reference.data.sort().values)
