"""A recurrent layer with a scalar gate at every step: that of TAGM and IARN; a plain RNN where all gates are 1.

    c_t = g(x_t + W h_{t-1})                    h_0 = 0;  g is ReLU, or softplus(5 y) / 5
    h_t = (1 - a_t) h_{t-1} + a_t c_t           a_t = 0 leaves the state unchanged, as padding must

Sources: Pei et al., "Temporal attention-gated model", CVPR 2017, (3); IARN, CIKM 2017, (3)-(5).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.nn.softplus import softplus

StateActivation = Literal["relu", "softplus"]
BETA = 5.0  # of the softplus


def run_gated(
    inputs: Float[Tensor, "T B h"],
    gate: Float[Tensor, "T B"],
    weight: Float[Tensor, "h h"],
    activation: StateActivation,
) -> Float[Tensor, "T B h"]:
    """The state after every step.

    Args:
        inputs: x_t, the projected inputs.
        gate: a_t.
        weight: W.
        activation: g.
    """
    # a written-out gradient takes an eighth off a training pass on MovieLens 100K: too little for its sixty lines
    state, states = inputs.new_zeros(inputs.shape[1:]), []
    for x, a in zip(inputs, gate.unsqueeze(2), strict=True):  # (B, h), (B, 1)
        candidate = torch.addmm(x, state, weight.T)
        state = torch.lerp(state, _activate(candidate, activation), a)
        states.append(state)
    return torch.stack(states) if states else inputs


def _activate(values: Tensor, activation: StateActivation) -> Tensor:
    """g(y)."""
    return values.relu() if activation == "relu" else softplus(values, BETA)


class GatedRNN(nn.Module):
    """The weights of one recurrence: of its inputs, and of the state before.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of the state.
        num_gates: blocks of `hidden_dim` rows in each weight; 4 for an LSTM.
    """

    def __init__(self, input_dim: int, hidden_dim: int, num_gates: int = 1) -> None:
        super().__init__()
        self.input = nn.Linear(input_dim, num_gates * hidden_dim)
        self.state = nn.Linear(hidden_dim, num_gates * hidden_dim)

    def project(self, x: Float[Tensor, "T B e"]) -> Float[Tensor, "T B n"]:
        """All of a step that does not depend on the state."""
        projected: Tensor = self.input(x) + self.state.bias
        return projected
