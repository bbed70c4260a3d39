"""A recurrent layer whose every step has a gate: TAGM's and IARN's, and a plain one where the gates are 0 or 1.

    c_t = g(x_t + W h_{t-1})                    h_0 = 0;  g is ReLU, or softplus(5 y) / 5
    h_t = (1 - a_t) h_{t-1} + a_t c_t           a_t = 0 leaves the state as it is: what padding has to do

Sources: Pei et al., "Temporal attention-gated model", CVPR 2017, (3); IARN, CIKM 2017, (3)-(5). The derivatives are
written out: g'(y) follows from g(y) alone, so that a step leaves nothing behind but its c and its h.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

Activation = Literal["relu", "softplus"]
BETA = 5.0  # of the softplus


def walk(
    read: Float[Tensor, "P B d"], gate: Float[Tensor, "P B"], weight: Float[Tensor, "d d"], activation: Activation
) -> Float[Tensor, "P B d"]:
    """The state after every step. `read` holds the x_t, `weight` is W."""
    states: Tensor = _Walk.apply(read, gate, weight, activation)
    return states


class RecurrentModel(nn.Module):
    """The weights of one recurrence: of what is read, and of the state before."""

    def __init__(self, dim: int, hidden: int, gates: int = 1) -> None:
        super().__init__()
        self.input = nn.Linear(dim, gates * hidden)
        self.state = nn.Linear(hidden, gates * hidden)

    def read(self, x: Float[Tensor, "P B e"]) -> Float[Tensor, "P B n"]:
        """All of a step that does not depend on the state."""
        read: Tensor = self.input(x) + self.state.bias
        return read


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, read: Tensor, gate: Tensor, weight: Tensor, activation: Activation) -> Tensor:
        candidates, states = torch.empty_like(read), torch.empty_like(read)
        state = torch.zeros_like(read[0]) if len(read) else read
        for step in range(len(read)):
            before = torch.addmm(read[step], state, weight.T)
            new = before.relu() if activation == "relu" else softplus(before, BETA)
            candidates[step] = new
            state = torch.lerp(state, new, gate[step, :, None], out=states[step])
        ctx.activation = activation
        ctx.save_for_backward(gate, weight, candidates, states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gate, weight, candidates, states = ctx.saved_tensors
        by_read, by_gate = torch.empty_like(states), torch.empty_like(gate)
        before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])
        slope = candidates > 0 if ctx.activation == "relu" else 1 - torch.exp(-BETA * candidates)
        flow = torch.zeros_like(states[0]) if len(states) else states
        for step in range(len(states) - 1, -1, -1):
            flow = flow + gradient[step]
            by_gate[step] = (flow * (candidates[step] - before[step])).sum(1)
            passed = flow * gate[step, :, None]
            torch.mul(passed, slope[step], out=by_read[step])
            flow = torch.addmm(flow - passed, by_read[step], weight)
        return by_read, by_gate, by_read.flatten(0, 1).T @ before.flatten(0, 1), None
