"""A gated recurrent unit (Cho et al., EMNLP 2014, as torch writes it), one step at a time or through whole histories.

r = sigma(W_r x + b_r + U_r h + c_r)
z = sigma(W_z x + b_z + U_z h + c_z)
n = tanh(W_n x + b_n + r * (U_n h + c_n))
h <- (1 - z) * n + z * h                         W, U, b, c hold the blocks r, z, n one below the other
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Read = Callable[[Tensor], Tensor]
"""Makes vectors of items."""

STRIDE = 64


@runtime_checkable
class Unit(Protocol):
    """What `walk` leads through histories: a recurrent unit whose state is as wide as its matrix `u`."""

    @property
    def u(self) -> Tensor:
        """U, which is met by the state."""

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        """Every h of rows laid out step by step: first those of all rows, then of the `alive[1]` that go on, ..."""


class Weights(NamedTuple):
    """W, U, b and c. Without W, what is read is W x already: so it is where each item has a W x of its own."""

    w: Tensor | None
    u: Tensor
    b: Tensor
    c: Tensor

    def steps(self, alive: list[int], read: Float[Tensor, "n x"], begin: Float[Tensor, "B d"]) -> Float[Tensor, "n d"]:
        """Every h of rows laid out step by step."""
        found: Tensor = _Steps.apply(alive, read, begin, *self)
        return found


def advance(read: Float[Tensor, "B x"], state: Float[Tensor, "B d"], weights: Weights) -> Float[Tensor, "B d"]:
    """h after one more step."""
    return weights.steps([len(state)], read, state)


def walk(history: Int[Tensor, "B P"], read: Read, unit: Unit) -> Float[Tensor, "B P d"]:
    """h after every item of left-padded histories; zeros at padding."""
    batch, places = history.shape
    dim = unit.u.shape[1]
    order, length = _longest_first(history)
    step = torch.arange(places, device=history.device).unsqueeze(1)
    going = step < length  # P B
    place = (order * places + places - length + step)[going]
    states = unit.u.new_zeros(batch * places, dim)
    if len(place):
        alive = _alive(going)
        found = unit.steps(alive, read(history.flatten()[place]), states.new_zeros(alive[0], dim))
        states = states.index_copy(0, place, found)
    return states.view(batch, places, dim)


def last(history: Int[Tensor, "B P"], read: Read, weights: Weights) -> Float[Tensor, "B d"]:
    """h after the newest item of left-padded histories of any length: a stride of items at a time, to save memory."""
    places = history.shape[1]
    order, length = _longest_first(history)
    step = torch.arange(places, device=history.device)
    item = history[order].gather(1, (step + (places - length).unsqueeze(1)).clamp(max=places - 1))  # oldest first
    state = weights.u.new_zeros(len(history), weights.u.shape[1])
    for begin in range(0, int(length.max()) if len(length) else 0, STRIDE):
        going = step[begin : begin + STRIDE].unsqueeze(1) < length
        alive = _alive(going)
        found = weights.steps(alive, read(item[:, begin : begin + STRIDE].T[going]), state[: alive[0]])
        behind = torch.tensor([0, *alive]).cumsum(0).to(order.device)  # where each step begins
        newest = behind[going.sum(0)[: alive[0]] - 1] + step.new_tensor(range(alive[0]))
        state = torch.cat([found[newest], state[alive[0] :]])
    return torch.empty_like(state).index_copy(0, order, state)


def _longest_first(history: Int[Tensor, "B P"]) -> tuple[Int[Tensor, "B"], Int[Tensor, "B"]]:
    """The order of the rows, and how many items each of them has, in that order."""
    length = (history > 0).sum(1)
    order = length.argsort(descending=True, stable=True)
    return order, length[order]


def _alive(going: Bool[Tensor, "P B"]) -> list[int]:
    """How many rows have a first item, a second, and so on."""
    return [size for size in going.sum(1).tolist() if size]


class _Steps(torch.autograd.Function):
    """Every h of rows laid out step by step: first those of all rows, then of the `alive[1]` that go on, ...

    Written out: autograd would take twice as long over a step, and a time over many that grows with their square.
    """

    @staticmethod
    def forward(
        ctx: Any, alive: list[int], read: Tensor, begin: Tensor, w: Tensor | None, u: Tensor, b: Tensor, c: Tensor
    ) -> Tensor:
        dim = begin.shape[1]
        gates = read + b if w is None else torch.addmm(b, read, w.T)
        held, states = torch.empty_like(gates), gates.new_empty(len(gates), dim)
        state, at = begin, 0
        for size in alive:
            part, state = slice(at, at + size), state[:size]
            ours = torch.addmm(c, state, u.T, out=held[part])
            gate = gates[part]
            gate[:, : 2 * dim].add_(ours[:, : 2 * dim]).sigmoid_()
            new = gate[:, 2 * dim :].addcmul_(gate[:, :dim], ours[:, 2 * dim :]).tanh_()
            state = torch.lerp(new, state, gate[:, dim : 2 * dim], out=states[part])
            at += size
        ctx.alive = alive
        ctx.save_for_backward(read, begin, w, u, gates, held, states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        read, begin, w, u, gates, held, states = ctx.saved_tensors
        dim, at = begin.shape[1], len(gates)
        before = torch.empty_like(states)  # the state that each step began with
        before[: len(begin)] = begin
        by_held, by_new = torch.empty_like(gates), torch.empty_like(states)
        flow = torch.zeros_like(begin)
        for number in range(len(ctx.alive) - 1, -1, -1):
            size = ctx.alive[number]
            part, at = slice(at - size, at), at - size
            if number:
                before[part] = states[at - ctx.alive[number - 1] :][:size]
            total = flow[:size].add_(gradient[part])
            reset, keep, new = gates[part].split(dim, 1)
            by_reset, by_keep, by_ours = by_held[part].split(dim, 1)
            kept = total * keep
            torch.sub(total, kept, out=by_new[part]).addcmul_(by_new[part], new.square(), value=-1)
            torch.addcmul(kept, kept, keep, value=-1, out=by_keep).mul_(before[part] - new)
            torch.mul(by_new[part], reset, out=by_ours)
            torch.mul(by_ours, held[part, 2 * dim :], out=by_reset).mul_(1 - reset)
            if number or ctx.needs_input_grad[2]:
                torch.addmm(kept, by_held[part], u, out=total)
        by_u, by_c = by_held.T @ before, by_held.sum(0)
        by_held[:, 2 * dim :] = by_new
        by_b = by_held.sum(0)
        if w is None:
            return None, by_held, flow, None, by_u, by_b, by_c
        return None, by_held @ w, flow, by_held.T @ read, by_u, by_b, by_c
