"""Gated recurrent units of three kinds. W multiplies the input and U the state; both hold the blocks r, z, n.

    r = sigma(W_r x + U_r h)      z = sigma(W_z x + U_z h)

    GRUCell             n = tanh(W_n x + b_n + r * (U_n h + c_n))     h <- (1 - z) * n + z * h     biases also in r, z
    ResetBeforeGRUCell  n = tanh(W_n x + U_n (r * h))                 h <- (1 - z) * h + z * n
    LayerNormGRUCell    n = tanh(N(W_n x) + r * N(U_n h))             h <- (1 - z) * h + z * n     N in r and z too

GRUCell computes what torch.nn.GRU does. ResetBeforeGRUCell applies the reset gate before the matrix product (Cho et
al., EMNLP 2014; equation (4) of Villatel et al., 2018). LayerNormGRUCell is the unit of Ba, Kiros and Hinton (2016):
each N is a layer normalisation with its own gain and bias, over the blocks r and z of x (or of h) together.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from segue.nn.hard_sigmoid import sigmoid_
from segue.nn.recurrent.packing import final_state

EPS = 1e-5


class GRUCell(NamedTuple):
    """The GRU of torch, over packed sequences and whose weights are parameters of the model that uses it.

    Without `weight_ih`, inputs are taken as W x already: for models in which every item has a vector W x of its own.
    """

    weight_ih: Tensor | None
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    @property
    def output_dim(self) -> int:
        return self.weight_hh.shape[1]

    @property
    def state_dim(self) -> int:
        return self.weight_hh.shape[1]

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        weight, bias = self.weight_ih, self.bias_ih
        projected = inputs + bias if weight is None else linear(inputs, weight, bias)  # (n, 3 h)
        state, states, two = initial_state, [], 2 * self.output_dim
        for x in projected.split(batch_sizes):
            state = state[: len(x)]  # (batch_sizes[t], h)
            h = linear(state, self.weight_hh, self.bias_hh)
            reset, update = torch.sigmoid(x[:, :two] + h[:, :two]).chunk(2, 1)
            new = torch.tanh(torch.addcmul(x[:, two:], reset, h[:, two:]))
            state = torch.lerp(new, state, update)
            states.append(state)
        return torch.cat(states)


class ResetBeforeGRUCell(nn.Module):
    """A GRU whose reset gate is applied before the matrix product.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of the state h.
        bias: whether r, z and n have a bias.
        hard_sigmoid: whether r and z use the hard sigmoid of `segue.nn.hard_sigmoid`.
    """

    def __init__(self, input_dim: int, hidden_dim: int, *, bias: bool = False, hard_sigmoid: bool = False) -> None:
        super().__init__()
        self.output_dim = self.state_dim = hidden_dim
        self.w = nn.Parameter(glorot_blocks(3, hidden_dim, input_dim))
        self.u = nn.Parameter(glorot_blocks(3, hidden_dim, hidden_dim))
        self.b = nn.Parameter(torch.zeros(3 * hidden_dim)) if bias else None
        self.hard_sigmoid = hard_sigmoid

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        two, dim = 2 * self.output_dim, self.output_dim
        gate_inputs, new_inputs = linear(inputs, self.w, self.b).split([two, dim], 1)  # (n, 2 h), (n, h)
        gate_weight, new_weight = self.u[:two].T, self.u[two:].T
        state, states = initial_state, []
        for x_gates, x_new in zip(gate_inputs.split(batch_sizes), new_inputs.split(batch_sizes), strict=True):
            state = state[: len(x_new)]  # (batch_sizes[t], h)
            gates = sigmoid_(torch.addmm(x_gates, state, gate_weight), self.hard_sigmoid)
            reset, update = gates.chunk(2, 1)
            new = torch.tanh(torch.addmm(x_new, reset * state, new_weight))
            state = torch.lerp(state, new, update)
            states.append(state)
        return torch.cat(states)

    def gates(self, inputs: Float[Tensor, "*n x"], state: Float[Tensor, "*n h"]) -> tuple[Tensor, Tensor]:
        """The reset gate r and the update gate z of a step with these inputs from this state."""
        two = 2 * self.output_dim
        bias = None if self.b is None else self.b[:two]
        total = linear(inputs, self.w[:two], bias) + linear(state, self.u[:two])
        reset, update = sigmoid_(total, self.hard_sigmoid).chunk(2, -1)
        return reset, update


class LayerNormGRUCell(nn.Module):
    """A GRU with layer normalisation of every sum.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of the state h.
        norm: whether the blocks r and z are normalised jointly, as published, or each gate by itself.
    """

    def __init__(self, input_dim: int, hidden_dim: int, norm: Literal["joint", "gate"] = "joint") -> None:
        super().__init__()
        self.output_dim = self.state_dim = dim = hidden_dim
        self.groups = [2 * dim, dim] if norm == "joint" else [dim, dim, dim]
        self.w = nn.Parameter(glorot_blocks(3, dim, input_dim))
        self.u = nn.Parameter(glorot_blocks(3, dim, dim))
        self.input_gain, self.state_gain = nn.Parameter(torch.ones(3 * dim)), nn.Parameter(torch.ones(3 * dim))
        self.input_bias, self.state_bias = nn.Parameter(torch.zeros(3 * dim)), nn.Parameter(torch.zeros(3 * dim))

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        projected = self._normalised(linear(inputs, self.w), self.input_gain, self.input_bias)  # (n, 3 h)
        state, states, two = initial_state, [], 2 * self.output_dim
        for x in projected.split(batch_sizes):
            state = state[: len(x)]  # (batch_sizes[t], h)
            h = self._normalised(state @ self.u.T, self.state_gain, self.state_bias)
            reset, update = torch.sigmoid(x[:, :two] + h[:, :two]).chunk(2, 1)
            new = torch.tanh(torch.addcmul(x[:, two:], reset, h[:, two:]))
            state = torch.lerp(state, new, update)
            states.append(state)
        return torch.cat(states)

    def _normalised(self, blocks: Float[Tensor, "n g"], gain: Tensor, bias: Tensor) -> Float[Tensor, "n g"]:
        groups = zip(blocks.split(self.groups, 1), gain.split(self.groups), bias.split(self.groups), strict=True)
        return torch.cat([layer_norm(part, g.shape, g, b, EPS) for part, g, b in groups], 1)


class WindowGRU(nn.Module):
    """The final state of torch's GRU for each of the C windows of a row."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(dim, dim)

    def forward(self, item: Float[Tensor, "B P d"], mask: Float[Tensor, "B C L"]) -> Float[Tensor, "B C d"]:
        """The final state of each window; `mask` is 1 where a window holds an item and 0 where it holds padding."""
        weights = self.cell
        projected = linear(item, weights.weight_ih).flatten(0, 1)  # (B P, 3 d), shared by overlapping windows
        index = torch.arange(1, len(projected) + 1, device=item.device).view(item.shape[:2])  # 0 is padding
        windows = index.unfold(1, mask.shape[2], 1)  # (B, C, L)
        windows = (windows * (mask > 0)).flatten(0, 1)
        windows = windows.gather(1, (windows > 0).byte().argsort(dim=1, stable=True))  # padding comes first
        cell = GRUCell(None, weights.weight_hh, weights.bias_ih, weights.bias_hh)
        return final_state(windows, lambda chosen: projected[chosen - 1], cell).view(*mask.shape[:2], -1)


def glorot_blocks(count: int, height: int, width: int) -> Tensor:
    """`count` matrices (height, width), one below the other, each initialised by Glorot's uniform rule."""
    bound = math.sqrt(6 / (height + width))
    return torch.empty(count * height, width).uniform_(-bound, bound)
