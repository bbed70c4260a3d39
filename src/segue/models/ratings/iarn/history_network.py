"""`HistoryNetwork`: one of the two recurrent networks of IARN. Its attention gates also see the other network.

    u~  = PReLU(W~ u_T + b~)                                                                            (2)
    u_t = (1 - a_t) u_{t-1} + a_t ReLU(W u_{t-1} + H E(x_t) + b)                                        (3)-(5)
    a_t = sigma(M . tanh(L (f_t ; b_t ; f'_T' ; b'_1) + b'))                                            (6), (8)
    f_t = ReLU(W_f E(x_t) + H_f f_{t-1} + b_f),     b_t likewise from the newest step to the oldest     (7), (9)

What depends on one history alone (`encode`) is computed once. What depends on a pair of histories (`gates`,
`pair_state`) is computed for each pair. The equations are those of Pei et al., CIKM 2017; see `model.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.models.ratings.iarn.config import IARNConfig
from segue.models.ratings.iarn.gated_rnn import GatedRNN, run_gated
from segue.nn.dropout import dropout

OUTPUT_SCALE = 0.1  # of the output layer of a model with biases, so that training starts near the biases
ATTENTIVE = ("iarn", "tagm")  # backbones with attention gates


class EncodedHistory(NamedTuple):
    """The encoding of B histories that does not depend on the other side.

    Attributes:
        mask: (P, B) 1 at a step, 0 at padding.
        inputs: (P, B, n) H E(x_t) + b of the gated recurrence.
        gate_inputs: (P, B, m) the part of the gate's input that comes from the states of this side.
        summary: (B, 2 a) input of the other side's gates: forward state of the newest step, backward of the oldest.
    """

    mask: Tensor
    inputs: Tensor
    gate_inputs: Tensor
    summary: Tensor

    def expand(self, row: int, count: int) -> EncodedHistory:
        """The history `row` repeated `count` times, without a copy."""
        mask, *others = self
        repeated = (part[..., row : row + 1, :].expand(*part.shape[:-2], count, -1) for part in others)
        return EncodedHistory(mask[:, row : row + 1].expand(-1, count), *repeated)


class HistoryNetwork(nn.Module):
    """The network of users (which reads items) or the network of items (which reads users)."""

    def __init__(self, config: IARNConfig) -> None:
        super().__init__()
        self.config = config
        hidden_dim, context_dim = config.hidden_dim, config.context_dim
        input_dim = 2 * config.embedding_dim + 1 if config.use_ratings else config.embedding_dim
        self.recurrence = GatedRNN(input_dim, hidden_dim, 4 if config.backbone == "lstm" else 1)
        if config.backbone in ATTENTIVE:
            self.forward_rnn, self.backward_rnn = GatedRNN(input_dim, context_dim), GatedRNN(input_dim, context_dim)
            gate_dim = 4 * context_dim if config.backbone == "iarn" else 2 * context_dim
            self.fusion, self.gate = nn.Linear(gate_dim, gate_dim), nn.Linear(gate_dim, 1)
        self.output = nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.PReLU())

    @torch.no_grad()
    def scale_output(self) -> None:
        """Scale the output layer down by `OUTPUT_SCALE`."""
        for weight in self.output[0].parameters():
            weight.mul_(OUTPUT_SCALE)

    def encode(self, x: Float[Tensor, "P B e"], mask: Float[Tensor, "P B"]) -> EncodedHistory:
        """The bi-directional states (7), and the parts of (3) and (6) that do not depend on the other side."""
        if self.config.backbone not in ATTENTIVE:
            empty = x.new_zeros(len(x), x.shape[1], 0)
            return EncodedHistory(mask, self.recurrence.project(x), empty, empty.new_zeros(x.shape[1], 0))
        activation, dim = self.config.activation, self.config.context_dim
        ahead = run_gated(self.forward_rnn.project(x), mask, self.forward_rnn.state.weight, activation)
        reversed_x = self.backward_rnn.project(x).flip(0)
        back = run_gated(reversed_x, mask.flip(0), self.backward_rnn.state.weight, activation).flip(0)
        states = self._dropout(torch.cat([ahead, back], 2))  # (P, B, 2 a)
        summary = states.new_zeros(x.shape[1], 2 * dim)
        if len(x):
            summary = torch.cat([states[-1, :, :dim], states[0, :, dim:]], 1)
        gate_inputs = states @ self.fusion.weight[:, : 2 * dim].T + self.fusion.bias  # (P, B, m)
        return EncodedHistory(mask, self.recurrence.project(x), gate_inputs, summary)

    def gates(self, encoded: EncodedHistory, other: Float[Tensor, "B s"]) -> Float[Tensor, "P B"]:
        """The attention gates a_t of (6), 0 at padding.

        Args:
            encoded: the histories of this side.
            other: the summaries of the other side.
        """
        if self.config.backbone not in ATTENTIVE:
            return encoded.mask
        inputs = encoded.gate_inputs
        if self.config.backbone == "iarn":
            inputs = inputs + self.config.interaction_scale * other @ self.fusion.weight[:, other.shape[1] :].T
        return torch.sigmoid(self.config.gate_scale * self.gate(inputs.tanh()).squeeze(2)) * encoded.mask

    def pair_state(self, encoded: EncodedHistory, other: Float[Tensor, "B s"]) -> Float[Tensor, "B h"]:
        """u~ of (2): the vector of this side for each pair of a history and the other side's summary."""
        if self.config.backbone == "lstm":
            state = self._lstm(encoded)
        else:
            states = run_gated(encoded.inputs, self.gates(encoded, other), self.recurrence.state.weight, "relu")
            state = states[-1] if len(states) else encoded.inputs.new_zeros(encoded.inputs.shape[1:])
        output: Tensor = self.output(self._dropout(state))
        return output

    def _lstm(self, encoded: EncodedHistory) -> Float[Tensor, "B h"]:
        """The last state of an LSTM with the blocks input, forget, output, candidate."""
        dim = self.config.hidden_dim
        state = cell = encoded.inputs.new_zeros(encoded.inputs.shape[1], dim)  # (B, h)
        for x, mask in zip(encoded.inputs, encoded.mask.unsqueeze(2), strict=True):
            blocks = x + state @ self.recurrence.state.weight.T  # (B, 4 h)
            input_gate, forget_gate, output_gate = blocks[:, : 3 * dim].sigmoid().chunk(3, 1)
            cell = torch.lerp(cell, forget_gate * cell + input_gate * blocks[:, 3 * dim :].tanh(), mask)
            state = torch.lerp(state, output_gate * cell.tanh(), mask)
        return state

    def _dropout(self, states: Tensor) -> Tensor:
        return dropout(states, self.config.dropout, self.training)
