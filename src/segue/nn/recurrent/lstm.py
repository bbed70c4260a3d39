"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers, Schmidhuber and Cummins 2000).

i = sigma(W_i x + U_i h + b_i)      f = sigma(W_f x + U_f h + b_f)      o = sigma(W_o x + U_o h + b_o)
g = tanh(W_g x + U_g h + b_g)
c <- f * c + i * g
h <- o * tanh(c)                    W, U and b hold the blocks i, f, o, g; a state holds c, then h
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from segue.nn.recurrent.gru import blocks, by_sigmoid, by_tanh
from segue.nn.recurrent.packing import scan


class LSTM(nn.Module):
    """A memory cell c that gates open and close.

    Args:
        reads: size of what is read.
        dim: size of c and of h.
        forget: what the bias of the forget gate begins with, so that the cell remembers at first.
    """

    def __init__(self, reads: int, dim: int, forget: float = 1.0) -> None:
        super().__init__()
        self.dim, self.width = dim, 2 * dim
        self.taped, self.erred = (4 * dim, dim), (4 * dim,)
        self.w = nn.Parameter(blocks(4, dim, reads))
        self.u = nn.Parameter(blocks(4, dim, dim))
        self.b = nn.Parameter(torch.zeros(4 * dim))
        with torch.no_grad():
            self.b[dim : 2 * dim] = forget

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return (self.u,)

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        return scan(self, alive, linear(read, self.w, self.b), begin)

    def onward(self, gates: Tensor, state: Tensor, tape: Sequence[Tensor], following: Tensor) -> None:
        gate, told = tape
        memory, hidden = state.split(self.dim, 1)
        torch.addmm(gates, hidden, self.u.T, out=gate)
        gate[:, : 3 * self.dim].sigmoid_()
        let_in, keep, out, new = gate.split(self.dim, 1)
        new.tanh_()
        after, said = following.split(self.dim, 1)
        torch.mul(keep, memory, out=after).addcmul_(let_in, new)
        torch.mul(out, torch.tanh(after, out=told), out=said)

    def back(self, flow: Tensor, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> None:
        gate, told = tape
        let_in, keep, out, new = gate.split(self.dim, 1)
        by_in, by_keep, by_out, by_new = errors[0].split(self.dim, 1)
        by_memory, by_hidden = flow.split(self.dim, 1)
        by_sigmoid(by_hidden * told, out, grad_input=by_out)
        by_memory.add_(torch.ops.aten.tanh_backward(by_hidden * out, told))
        by_sigmoid(by_memory * new, let_in, grad_input=by_in)
        by_sigmoid(by_memory * state[:, : self.dim], keep, grad_input=by_keep)
        by_tanh(by_memory * let_in, new, grad_input=by_new)
        by_memory.mul_(keep)
        by_hidden.copy_(errors[0] @ self.u)

    def blame(self, state: Tensor, tape: Sequence[Tensor], errors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return errors[0], errors[0].T @ state[:, self.dim :]
