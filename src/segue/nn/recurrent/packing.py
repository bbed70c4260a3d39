"""Packed sequences: rows of unequal length laid out step by step, so that no step computes padding.

    a b c d         inputs         a e g   b f   c   d
    e f             batch_sizes    3       2     1   1
    g

This is the layout of `torch.nn.utils.rnn.PackedSequence`: rows are sorted by length, the longest first, so the rows
that take step t are the first `batch_sizes[t]` ones. A cell projects all inputs in one matrix product, and then takes
one short step after another under autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.dropout import dropout

CHUNK = 64  # steps that `final_state` holds in memory at a time


class Packing(NamedTuple):
    """Where the n items of B rows lie in a packed layout.

    Attributes:
        batch_sizes: how many rows take the first step, the second step, and so on.
        sorted_indices: the rows, the longest first.
        unsorted_indices: the position of each row in that order.
        indices: the index of each packed item in the flat data.
        offsets: where each step begins in the packed data.
    """

    batch_sizes: list[int]
    sorted_indices: Int[Tensor, "B"]
    unsorted_indices: Int[Tensor, "B"]
    indices: Int[Tensor, "n"]
    offsets: Int[Tensor, "T"]


@runtime_checkable
class RecurrentCell(Protocol):
    """A recurrent layer over packed inputs. The last `output_dim` entries of its state are its output."""

    @property
    def output_dim(self) -> int:
        """The size of the output at each step."""

    @property
    def state_dim(self) -> int:
        """The size of the state."""

    def run_packed(
        self, batch_sizes: list[int], inputs: Float[Tensor, "n x"], initial_state: Float[Tensor, "B s"]
    ) -> Float[Tensor, "n s"]:
        """The state after every step, in packed order."""


def pack(start: Int[Tensor, "B"], length: Int[Tensor, "B"]) -> Packing:
    """The packed layout of rows whose items lie one behind the other in flat data.

    Args:
        start: the index of the first item of each row.
        length: the number of items of each row.
    """
    order = length.argsort(descending=True, stable=True)
    step = torch.arange(int(length.max()) if len(length) else 0, device=length.device).unsqueeze(1)  # (T, 1)
    active = step < length[order]  # (T, B)
    sizes = active.sum(1)
    indices = (start[order] + step)[active]  # (n,)
    return Packing(sizes.tolist(), order, order.argsort(), indices, sizes.cumsum(0) - sizes)


def run_recurrence(
    history: Int[Tensor, "B T"], embed: Callable[[Tensor], Tensor], cell: RecurrentCell
) -> Float[Tensor, "B T h"]:
    """The output of the cell after every item of left-padded histories; zeros at padding.

    Args:
        history: item ids; 0 is padding.
        embed: the input vectors of items.
        cell: a recurrent layer.
    """
    if torch.compiler.is_exporting():
        return _padded_states(history, embed, cell)[:, :, -cell.output_dim :] * (history > 0).unsqueeze(2)
    start, length = _rows(history)
    packing = pack(start, length)
    inputs = embed(history.flatten()[packing.indices])  # (n, x)
    output = inputs.new_zeros(history.numel(), cell.output_dim)
    if len(packing.indices):
        initial_state = output.new_zeros(packing.batch_sizes[0], cell.state_dim)
        states = cell.run_packed(packing.batch_sizes, inputs, initial_state)  # (n, s)
        output = output.index_copy(0, packing.indices, states[:, -cell.output_dim :])
    return output.view(*history.shape, cell.output_dim)


def final_state(
    history: Int[Tensor, "B T"], embed: Callable[[Tensor], Tensor], cell: RecurrentCell
) -> Float[Tensor, "B s"]:
    """The state of the cell after the newest item of left-padded histories; zeros where there is no item.

    Long histories are read in chunks of steps, to save memory.
    """
    if torch.compiler.is_exporting():
        return _padded_states(history, embed, cell)[:, -1]
    start, length = _rows(history)
    state = embed(history.new_zeros(0)).new_zeros(len(history), cell.state_dim)
    for begin in range(0, int(length.max()) if len(length) else 0, CHUNK):
        size = (length - begin).clamp(0, CHUNK)
        packing = pack(start + begin, size)
        rows = packing.sorted_indices[: packing.batch_sizes[0]]  # those that still have items
        inputs = embed(history.flatten()[packing.indices])
        states = cell.run_packed(packing.batch_sizes, inputs, state[rows])
        newest = packing.offsets[size[rows] - 1] + torch.arange(len(rows), device=rows.device)
        state = state.index_copy(0, rows, states[newest])
    return state


def step(inputs: Float[Tensor, "B x"], state: Float[Tensor, "B s"], cell: RecurrentCell) -> Float[Tensor, "B s"]:
    """The state after one more step of every row."""
    return cell.run_packed([len(state)], inputs, state)


def _padded_states(
    history: Int[Tensor, "B T"], embed: Callable[[Tensor], Tensor], cell: RecurrentCell
) -> Float[Tensor, "B T s"]:
    """The state after every position, padding included, which leaves it as it is.

    It computes what the packed layout leaves out, but its shapes do not depend on the lengths, so it can be exported.
    """
    state = embed(history[:, :1])[:, 0].new_zeros(len(history), cell.state_dim)
    states = []
    for item in history.unbind(1):
        state = torch.where(item.unsqueeze(1) > 0, step(embed(item), state, cell), state)
        states.append(state)
    return torch.stack(states, 1)


def _rows(history: Int[Tensor, "B T"]) -> tuple[Int[Tensor, "B"], Int[Tensor, "B"]]:
    """Where each row of left-padded histories begins in `history.flatten()`, and how many items it has."""
    length = (history > 0).sum(1)
    end = torch.arange(1, len(history) + 1, device=history.device) * history.shape[1]
    return end - length, length


class StackedCells:
    """Several recurrent cells on top of each other: each takes the output of the one below as its input.

    The state holds the states of all cells side by side.

    Args:
        cells: from the bottom to the top.
        dropout: the dropout rate between two cells; 0 for none.
    """

    def __init__(self, cells: Sequence[RecurrentCell], dropout: float = 0.0) -> None:
        self.cells, self.dropout = cells, dropout
        self.output_dim, self.state_dim = cells[-1].output_dim, sum(cell.state_dim for cell in cells)

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        states: list[Tensor] = []
        initial_states = initial_state.split([cell.state_dim for cell in self.cells], 1)
        for cell, initial in zip(self.cells, initial_states, strict=True):
            states.append(cell.run_packed(batch_sizes, inputs, initial))
            inputs = dropout(states[-1][:, -cell.output_dim :], self.dropout, True)
        return states[0] if len(states) == 1 else torch.cat(states, 1)
