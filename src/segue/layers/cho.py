"""The gated recurrent unit as its inventors print it: the reset gate acts before the product with U_n, not after it.

r = sigma(W_r x + U_r h + b_r)
z = sigma(W_z x + U_z h + b_z)
n = tanh(W_n x + U_n (r * h) + b_n)
h <- (1 - z) * h + z * n                         W, U, b hold the blocks r, z, n one below the other

Cho et al., EMNLP 2014; Chung et al., 2014. Torch's unit (`layers.gru`) differs in both of the last lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.layers.sigmoid import sigmoid_, slope


class Cho(NamedTuple):
    """W, U and, if there is one, b; whether the gates' sigmoid is the hard one."""

    w: Tensor
    u: Tensor
    b: Tensor | None = None
    hard: bool = False

    def steps(self, alive: list[int], read: Float[Tensor, "n x"], begin: Float[Tensor, "B d"]) -> Float[Tensor, "n d"]:
        """Every h of rows laid out step by step, as `layers.gru.walk` asks for them."""
        found: Tensor = _Steps.apply(alive, self.hard, read, begin, self.w, self.u, self.b)
        return found

    def gates(self, read: Float[Tensor, "*n x"], before: Float[Tensor, "*n d"]) -> tuple[Tensor, Tensor]:
        """r and z of a step that reads `read` after the state `before`."""
        both = 2 * self.u.shape[1]
        total = read @ self.w[:both].T + before @ self.u[:both].T
        reset, change = sigmoid_(total if self.b is None else total + self.b[:both], self.hard).chunk(2, -1)
        return reset, change


class _Steps(torch.autograd.Function):
    """Written out, as for the other unit: autograd would take twice as long."""

    @staticmethod
    def forward(
        ctx: Any, alive: list[int], hard: bool, read: Tensor, begin: Tensor, w: Tensor, u: Tensor, b: Tensor | None
    ) -> Tensor:
        dim = begin.shape[1]
        gates = read @ w.T if b is None else torch.addmm(b, read, w.T)
        states, left = (gates.new_empty(len(gates), dim) for _ in range(2))  # left: what r lets pass of h
        state, at = begin, 0
        for size in alive:
            part, state = slice(at, at + size), state[:size]
            gate = gates[part]
            sigmoid_(gate[:, : 2 * dim].addmm_(state, u[: 2 * dim].T), hard)
            torch.mul(gate[:, :dim], state, out=left[part])
            new = gate[:, 2 * dim :].addmm_(left[part], u[2 * dim :].T).tanh_()
            state = torch.lerp(state, new, gate[:, dim : 2 * dim], out=states[part])
            at += size
        ctx.alive, ctx.hard = alive, hard
        ctx.save_for_backward(read, begin, w, u, gates, left, states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        read, begin, w, u, gates, left, states = ctx.saved_tensors
        dim, at = begin.shape[1], len(gates)
        before = torch.empty_like(states)  # the state that each step began with
        before[: len(begin)] = begin
        by_gates = torch.empty_like(gates)
        slopes = slope(gates[:, : 2 * dim], ctx.hard)
        flow = torch.zeros_like(begin)
        for number in range(len(ctx.alive) - 1, -1, -1):
            size = ctx.alive[number]
            part, at = slice(at - size, at), at - size
            if number:
                before[part] = states[at - ctx.alive[number - 1] :][:size]
            total, old = flow[:size].add_(gradient[part]), before[part]
            reset, change, new = gates[part].split(dim, 1)
            by_both, by_new = by_gates[part, : 2 * dim], by_gates[part, 2 * dim :]
            torch.mul(total, change, out=by_new).addcmul_(by_new, new.square(), value=-1)
            by_left = by_new @ u[2 * dim :]
            torch.mul(by_left, old, out=by_both[:, :dim])
            torch.mul(total, new - old, out=by_both[:, dim:])
            by_both.mul_(slopes[part])
            total.addcmul_(total, change, value=-1).addcmul_(by_left, reset).addmm_(by_both, u[: 2 * dim])
        by_u = torch.cat([by_gates[:, : 2 * dim].T @ before, by_gates[:, 2 * dim :].T @ left])
        by_b = by_gates.sum(0) if ctx.needs_input_grad[6] else None
        return None, None, by_gates @ w, flow, by_gates.T @ read, by_u, by_b
