"""Walking through histories with a recurrent cell: one product for all that is read, then a short step after another.

The rows of a batch are laid out step by step, the longest first, so that no step works on padding:

    a b c d         items    a e g   b f   c   d
    e f             alive    3       2     1   1
    g

A cell is whatever makes states of such a layout: a gated unit, or several of them, one on top of another (`Stack`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.nn.dropout import dropout

Read = Callable[[Tensor], Tensor]
"""Makes vectors of items."""

STRIDE = 64


@runtime_checkable
class RecurrentCell(Protocol):
    """What reads one vector after another, and remembers."""

    @property
    def dim(self) -> int:
        """How many numbers it tells: the last of its state."""

    @property
    def width(self) -> int:
        """How many numbers its state has."""

    def steps(self, alive: list[int], read: Float[Tensor, "n x"], begin: Float[Tensor, "B w"]) -> Float[Tensor, "n w"]:
        """Every state of rows laid out step by step: first those of all rows, then of the `alive[1]` that go on, ..."""


def run(history: Int[Tensor, "B P"], read: Read, cell: RecurrentCell) -> Float[Tensor, "B P d"]:
    """What the cell tells after every item of left-padded histories; zeros at padding."""
    batch, places = history.shape
    order, length = _longest_first(history)
    step = torch.arange(places, device=history.device).unsqueeze(1)
    going = step < length  # P B
    place = (order * places + places - length + step)[going]
    vectors = read(history.flatten()[place])
    told = vectors.new_zeros(batch * places, cell.dim)
    if len(place):
        alive = _alive(going)
        found = cell.steps(alive, vectors, told.new_zeros(alive[0], cell.width))
        told = told.index_copy(0, place, found[:, -cell.dim :])
    return told.view(batch, places, cell.dim)


def final_state(history: Int[Tensor, "B P"], read: Read, cell: RecurrentCell) -> Float[Tensor, "B w"]:
    """The state after the newest item of left-padded histories of any length: a stride at a time, to save memory."""
    places = history.shape[1]
    order, length = _longest_first(history)
    step = torch.arange(places, device=history.device)
    item = history[order].gather(1, (step + (places - length).unsqueeze(1)).clamp(max=places - 1))  # oldest first
    state = read(history.new_zeros(0)).new_zeros(len(history), cell.width)
    for begin in range(0, int(length.max()) if len(length) else 0, STRIDE):
        going = step[begin : begin + STRIDE].unsqueeze(1) < length
        alive = _alive(going)
        found = cell.steps(alive, read(item[:, begin : begin + STRIDE].T[going]), state[: alive[0]])
        behind = torch.tensor([0, *alive]).cumsum(0).to(order.device)  # where each step begins
        newest = behind[going.sum(0)[: alive[0]] - 1] + step.new_tensor(range(alive[0]))
        state = torch.cat([found[newest], state[alive[0] :]])
    return torch.empty_like(state).index_copy(0, order, state)


def step(read: Float[Tensor, "B x"], state: Float[Tensor, "B w"], cell: RecurrentCell) -> Float[Tensor, "B w"]:
    """The state after one more step."""
    return cell.steps([len(state)], read, state)


def _longest_first(history: Int[Tensor, "B P"]) -> tuple[Int[Tensor, "B"], Int[Tensor, "B"]]:
    """The order of the rows, and how many items each of them has, in that order."""
    length = (history > 0).sum(1)
    order = length.argsort(descending=True, stable=True)
    return order, length[order]


def _alive(going: Bool[Tensor, "P B"]) -> list[int]:
    """How many rows have a first item, a second, and so on."""
    return [size for size in going.sum(1).tolist() if size]


class Stack:
    """Cells on top of each other: each reads what the one below tells. Its state holds theirs, one beside another.

    Args:
        cells: from the bottom up.
        share: of the entries that training leaves out between two cells; 0 for none.
    """

    def __init__(self, cells: Sequence[RecurrentCell], share: float = 0.0) -> None:
        self.cells, self.share = cells, share
        self.dim, self.width = cells[-1].dim, sum(cell.width for cell in cells)

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        states: list[Tensor] = []
        for cell, state in zip(self.cells, begin.split([cell.width for cell in self.cells], 1), strict=True):
            states.append(cell.steps(alive, read, state))
            read = dropout(states[-1][:, -cell.dim :], self.share, True)
        return states[0] if len(states) == 1 else torch.cat(states, 1)


@runtime_checkable
class Unit(Protocol):
    """A cell's step and its derivative, written out: autograd would take twice as long over a step, and a time over
    many that grows with their square.
    """

    @property
    def taped(self) -> tuple[int, ...]:
        """How many numbers a step writes down for the way back: the widths of the tables that it fills."""

    @property
    def erred(self) -> tuple[int, ...]:
        """The same of the way back."""

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """What a step multiplies states with, and adds."""

    def onward(self, gates: Tensor, state: Tensor, tape: Sequence[Tensor], following: Tensor) -> None:
        """Write the `following` state. `gates`: what the cell has made of all that is read."""

    def back(self, flow: Tensor, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> None:
        """Turn `flow`, the gradient of the following state, into that of the one before; write down the errors."""

    def blame(self, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The gradients of gates and weights, of all steps together; `state`: the one that each step began with."""


def scan(
    unit: Unit, alive: list[int], gates: Float[Tensor, "n g"], begin: Float[Tensor, "B w"]
) -> Float[Tensor, "n w"]:
    """Every state, step by step."""
    states: Tensor = _Scan.apply(unit, alive, gates, begin, *unit.weights)
    return states


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unit: Unit, alive: list[int], gates: Tensor, begin: Tensor, *_: Tensor) -> Tensor:
        tape = [gates.new_empty(len(gates), width) for width in unit.taped]
        states = gates.new_empty(len(gates), begin.shape[1])
        state, at = begin, 0
        for size in alive:
            part = slice(at, at + size)
            unit.onward(gates[part], state[:size], [table[part] for table in tape], states[part])
            state, at = states[part], at + size
        ctx.unit, ctx.alive = unit, alive
        ctx.save_for_backward(begin, states, *tape)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        begin, states, *tape = ctx.saved_tensors
        before = torch.empty_like(states)  # the state that each step began with
        before[: len(begin)] = begin
        errors = [states.new_empty(len(states), width) for width in ctx.unit.erred]
        flow, at = torch.zeros_like(begin), len(states)
        for number in range(len(ctx.alive) - 1, -1, -1):
            size = ctx.alive[number]
            part, at = slice(at - size, at), at - size
            if number:
                before[part] = states[at - ctx.alive[number - 1] :][:size]
            ahead = flow[:size].add_(gradient[part])
            ctx.unit.back(ahead, before[part], [table[part] for table in tape], [table[part] for table in errors])
        by_gates, *by_weights = ctx.unit.blame(before, tape, errors)
        return None, None, by_gates, flow, *by_weights
