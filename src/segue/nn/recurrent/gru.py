"""Gated recurrent units, of three kinds. W reads, U looks back; all hold the blocks r, z, n one below the other.

    r = sigma(W_r x + U_r h)      z = sigma(W_z x + U_z h)

    GRU        n = tanh(W_n x + b_n + r * (U_n h + c_n))     h <- (1 - z) * n + z * h      and biases b, c in r and z
    InnerGRU   n = tanh(W_n x + U_n (r * h))                 h <- (1 - z) * h + z * n
    NormGRU    n = tanh(N(W_n x) + r * N(U_n h))             h <- (1 - z) * h + z * n      N in r and z too

GRU is torch's. InnerGRU, with the reset gate inside the product, is Cho et al.'s (EMNLP 2014), which Villatel et al.
(2018) write as their equation (4). NormGRU is Ba, Kiros and Hinton's (2016): each N is a layer normalisation with a
gain and a bias of its own, over what r and z get of x (or of h) together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from segue.nn.hard_sigmoid import sigmoid_, slope
from segue.nn.recurrent.packing import final_state, scan

EPS = 1e-5
by_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
by_tanh = torch.ops.aten.tanh_backward.grad_input


class GRU(NamedTuple):
    """W, U, b and c. Without W, what is read is W x already: so it is where each item has a W x of its own."""

    w: Tensor | None
    u: Tensor
    b: Tensor
    c: Tensor

    @property
    def dim(self) -> int:
        return self.u.shape[1]

    @property
    def width(self) -> int:
        return self.dim

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return self.u, self.c

    @property
    def taped(self) -> tuple[int, ...]:
        return 3 * self.dim, 3 * self.dim

    @property
    def erred(self) -> tuple[int, ...]:
        return 3 * self.dim, self.dim

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        return scan(self, alive, read + self.b if self.w is None else linear(read, self.w, self.b), begin)

    def onward(self, gates: Tensor, state: Tensor, tape: Sequence[Tensor], following: Tensor) -> None:
        gate, held = tape
        dim = self.dim
        torch.addmm(self.c, state, self.u.T, out=held)
        torch.add(gates[:, : 2 * dim], held[:, : 2 * dim], out=gate[:, : 2 * dim]).sigmoid_()
        reset, keep, new = gate.split(dim, 1)
        torch.addcmul(gates[:, 2 * dim :], reset, held[:, 2 * dim :], out=new).tanh_()
        torch.lerp(new, state, keep, out=following)

    def back(self, flow: Tensor, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> None:
        gate, held = tape
        by_held, by_new = errors
        dim = self.dim
        reset, keep, new = gate.split(dim, 1)
        by_reset, by_keep, by_ours = by_held.split(dim, 1)
        kept = flow * keep
        torch.sub(flow, kept, out=by_new).addcmul_(by_new, new.square(), value=-1)
        torch.addcmul(kept, kept, keep, value=-1, out=by_keep).mul_(state - new)
        torch.mul(by_new, reset, out=by_ours)
        torch.mul(by_ours, held[:, 2 * dim :], out=by_reset).mul_(1 - reset)
        torch.addmm(kept, by_held, self.u, out=flow)

    def blame(self, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        by_held, by_new = errors
        by_u, by_c = by_held.T @ state, by_held.sum(0)
        by_held[:, 2 * self.dim :] = by_new
        return by_held, by_u, by_c


class InnerGRU(nn.Module):
    """The reset gate inside the product.

    Args:
        reads: size of what is read.
        dim: size of h.
        bias: whether r, z and n have one.
        hard: whether the sigmoid of r and z is the broken line (`layers.sigmoid`).
    """

    def __init__(self, reads: int, dim: int, *, bias: bool = False, hard: bool = False) -> None:
        super().__init__()
        self.dim = self.width = dim
        self.taped, self.erred = (3 * dim,), (3 * dim,)
        self.w = nn.Parameter(blocks(3, dim, reads))
        self.u = nn.Parameter(blocks(3, dim, dim))
        self.b = nn.Parameter(torch.zeros(3 * dim)) if bias else None
        self.hard = hard

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return (self.u,)

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        return scan(self, alive, linear(read, self.w, self.b), begin)

    def gates(self, read: Float[Tensor, "*n x"], before: Float[Tensor, "*n d"]) -> tuple[Tensor, Tensor]:
        """r and z of a step that reads `read` after the state `before`."""
        two = 2 * self.dim
        bias = None if self.b is None else self.b[:two]
        total = linear(read, self.w[:two], bias) + linear(before, self.u[:two])
        reset, update = sigmoid_(total, self.hard).chunk(2, -1)
        return reset, update

    def onward(self, gates: Tensor, state: Tensor, tape: Sequence[Tensor], following: Tensor) -> None:
        (gate,), two = tape, 2 * self.dim
        sigmoid_(torch.addmm(gates[:, :two], state, self.u[:two].T, out=gate[:, :two]), self.hard)
        reset, update, new = gate.split(self.dim, 1)
        torch.addmm(gates[:, two:], reset * state, self.u[two:].T, out=new).tanh_()
        torch.lerp(state, new, update, out=following)

    def back(self, flow: Tensor, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> None:
        (gate,), (by_gate,), two = tape, errors, 2 * self.dim
        reset, update, new = gate.split(self.dim, 1)
        by_reset, by_update, by_new = by_gate.split(self.dim, 1)
        torch.mul(flow, new - state, out=by_update)
        by_tanh(flow * update, new, grad_input=by_new)
        by_product = by_new @ self.u[two:]
        torch.mul(by_product, state, out=by_reset)
        by_gate[:, :two].mul_(slope(gate[:, :two], self.hard))
        torch.addcmul(flow, flow, update, value=-1, out=flow).addcmul_(by_product, reset)
        flow.addmm_(by_gate[:, :two], self.u[:two])

    def blame(self, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        (gate,), (by_gate,), two = tape, errors, 2 * self.dim
        by_new = by_gate[:, two:].T @ (gate[:, : self.dim] * state)
        return by_gate, torch.cat([by_gate[:, :two].T @ state, by_new])


class NormGRU(nn.Module):
    """Layer normalisation of whatever is added up. Its way back is left to autograd, which has a kernel for that.

    Args:
        reads: size of what is read.
        dim: size of h.
        norm: whether r and z are normalised jointly, as published, or each gate by itself.
    """

    def __init__(self, reads: int, dim: int, norm: Literal["joint", "gate"] = "joint") -> None:
        super().__init__()
        self.dim = self.width = dim
        self.groups = [2 * dim, dim] if norm == "joint" else [dim, dim, dim]
        self.w = nn.Parameter(blocks(3, dim, reads))
        self.u = nn.Parameter(blocks(3, dim, dim))
        self.read_gain, self.state_gain = nn.Parameter(torch.ones(3 * dim)), nn.Parameter(torch.ones(3 * dim))
        self.read_bias, self.state_bias = nn.Parameter(torch.zeros(3 * dim)), nn.Parameter(torch.zeros(3 * dim))

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        state, states, two = begin, [], 2 * self.dim
        for gates in self._normed(linear(read, self.w), self.read_gain, self.read_bias).split(alive):
            state = state[: len(gates)]
            held = self._normed(state @ self.u.T, self.state_gain, self.state_bias)
            reset, update = torch.sigmoid(gates[:, :two] + held[:, :two]).chunk(2, 1)
            state = torch.lerp(state, torch.tanh(torch.addcmul(gates[:, two:], reset, held[:, two:])), update)
            states.append(state)
        return torch.cat(states)

    def _normed(self, raw: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        groups = zip(raw.split(self.groups, 1), gain.split(self.groups), bias.split(self.groups), strict=True)
        return torch.cat([layer_norm(part, g.shape, g, b, EPS) for part, g, b in groups], 1)


class WindowGRU(nn.Module):
    """The last state of torch's GRU for each of the C windows of a row."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(dim, dim)

    def forward(self, item: Float[Tensor, "B P d"], real: Float[Tensor, "B C L"]) -> Float[Tensor, "B C d"]:
        """`real` is 1 where a window holds an item, 0 where it holds padding."""
        cell = self.cell
        read = linear(item, cell.weight_ih).flatten(0, 1)  # neighbouring windows share it
        place = torch.arange(1, len(read) + 1, device=item.device).view(item.shape[:2]).unfold(1, real.shape[2], 1)
        windows = (place * (real > 0)).flatten(0, 1)
        windows = windows.gather(1, (windows > 0).byte().argsort(dim=1, stable=True))  # padding, wherever it is, first
        unit = GRU(None, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        return final_state(windows, lambda found: read[found - 1], unit).view(*real.shape[:2], -1)


def blocks(count: int, height: int, width: int) -> Tensor:
    """So many matrices one below the other, each drawn by Glorot's rule."""
    bound = math.sqrt(6 / (height + width))
    return torch.empty(count * height, width).uniform_(-bound, bound)
