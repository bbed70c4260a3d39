"""The cell of HM-LSTM (Chung, Ahn and Bengio, ICLR 2017): layers of LSTMs with learnt segment boundaries.

layer 2      COPY    COPY    UPDATE  COPY    UPDATE      updates where layer 1 ends a segment (z = 1), copies elsewhere
z of 1       0       0       1       0       1
layer 1      UPDATE  UPDATE  UPDATE  FLUSH   UPDATE      after the end of a segment, its memory is reset

The equations stand in `segue.models.sequential.hm_lstm.model`.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from segue.nn.recurrent.gru import glorot_blocks

_EPS = 1e-3  # with less, rounding errors of a sum close to zero would grow from layer to layer


class HMLSTMCell(nn.Module):
    """All layers as one cell. The state holds c of each layer, z of all but the last, and h of each, the output.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of c and h of each layer.
        num_layers: number of layers.
        norm: whether to use layer normalisation.

    Attributes:
        epochs: training epochs so far; they decide the slope.
    """

    epochs: Tensor

    def __init__(self, input_dim: int, hidden_dim: int, *, num_layers: int = 2, norm: bool = False) -> None:
        super().__init__()
        self.output_dim, self.state_dim = num_layers * hidden_dim, 2 * num_layers * hidden_dim + num_layers - 1
        self.sizes = [hidden_dim] * num_layers + [1] * (num_layers - 1) + [hidden_dim] * num_layers
        self.layers = nn.ModuleList(
            HMLSTMLayer(hidden_dim if number else input_dim, hidden_dim, last=number == num_layers - 1, norm=norm)
            for number in range(num_layers)
        )
        self.register_buffer("epochs", torch.zeros(1, dtype=torch.long))

    @property
    def stack(self) -> list[HMLSTMLayer]:
        """The layers, from the bottom to the top."""
        return [cast(HMLSTMLayer, layer) for layer in self.layers]

    @property
    def slope(self) -> float:
        """The slope a of the hard sigmoid."""
        return annealed_slope(int(self.epochs))

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        bottom, *_ = self.stack
        projected = bottom.below(inputs).split(batch_sizes)  # one product for all steps
        state, states, slope = initial_state, [], self.slope
        for size, x in zip(batch_sizes, projected, strict=True):
            state = self.step(x, state[:size], slope)
            states.append(state)
        return torch.cat(states)

    def step(self, projected: Float[Tensor, "B g"], state: Float[Tensor, "B s"], slope: float) -> Float[Tensor, "B s"]:
        """The next state; `projected` is the product of the inputs with the weight of the first layer."""
        count, parts = len(self.layers), state.split(self.sizes, 1)
        memory, boundaries, hidden = list(parts[:count]), list(parts[count:-count]), list(parts[-count:])
        below_ended: Tensor | None = None  # z of the layer below; None for the inputs, for which it is always 1
        for number, layer in enumerate(self.stack):
            total = layer.own(hidden[number]) + layer.bias
            total = total + (projected if below_ended is None else below_ended * layer.below(hidden[number - 1]))
            flush = None
            if layer.above is not None:
                flush = boundaries[number]
                total = total + flush * layer.above(hidden[number + 1])
            memory[number], hidden[number] = layer.update(total, memory[number], hidden[number], (flush, below_ended))
            if layer.above is not None:
                below_ended = boundaries[number] = boundary(total[:, -1:], slope)
        return torch.cat([*memory, *boundaries, *hidden], 1)


class HMLSTMLayer(nn.Module):
    """The weights W, U, V and b of a layer: the blocks f, i, o, g and, except in the last layer, a row for z."""

    def __init__(self, input_dim: int, hidden_dim: int, *, last: bool, norm: bool) -> None:
        super().__init__()
        self.dim = hidden_dim
        self.below = NormalisedLinear(input_dim, hidden_dim, not last, norm)
        self.own = NormalisedLinear(hidden_dim, hidden_dim, not last, norm)
        self.above = None if last else NormalisedLinear(hidden_dim, hidden_dim, True, norm)
        self.bias = nn.Parameter(torch.zeros(4 * hidden_dim + (not last)))
        self.norm = nn.LayerNorm(hidden_dim, eps=_EPS) if norm else None

    def update(
        self, total: Tensor, memory: Tensor, hidden: Tensor, boundaries: tuple[Tensor | None, Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """c and h of the next step.

        Args:
            total: the sum of the projected inputs of f, i, o, g and z.
            memory: c of the last step.
            hidden: h of the last step.
            boundaries: z of this layer at the last step (None: always 0), z of the layer below now (None: always 1).
        """
        forget, write, out = torch.sigmoid(total[:, : 3 * self.dim]).chunk(3, 1)
        added = write * torch.tanh(total[:, 3 * self.dim : 4 * self.dim])
        flush, below_ended = boundaries
        new_memory = forget * memory + added
        copied = None
        if below_ended is not None:
            new_memory, copied = memory + below_ended * (new_memory - memory), 1 - below_ended
        if flush is not None:
            new_memory = new_memory + flush * (added - new_memory)
            copied = None if copied is None else copied * (1 - flush)
        new_hidden = out * torch.tanh(new_memory if self.norm is None else self.norm(new_memory))
        return new_memory, new_hidden if copied is None else new_hidden + copied * (hidden - new_hidden)


class NormalisedLinear(nn.Module):
    """A matrix product, with layer normalisation of the blocks f, i, o and g."""

    def __init__(self, input_dim: int, hidden_dim: int, has_boundary: bool, norm: bool) -> None:
        super().__init__()
        self.num_normalised = 4 * hidden_dim
        self.weight = nn.Parameter(torch.empty(self.num_normalised + has_boundary, input_dim))
        with torch.no_grad():
            self.weight[: self.num_normalised] = glorot_blocks(4, hidden_dim, input_dim)
            self.weight[self.num_normalised :] = glorot_blocks(1, int(has_boundary), input_dim)
        self.gain = nn.Parameter(torch.ones(4 * hidden_dim)) if norm else None

    def forward(self, inputs: Float[Tensor, "B x"]) -> Float[Tensor, "B g"]:
        product = linear(inputs, self.weight)
        if self.gain is None:
            return product
        normalised = layer_norm(product[:, : self.num_normalised], self.gain.shape, self.gain, None, _EPS)
        return torch.cat([normalised, product[:, self.num_normalised :]], 1)


class GatedOutput(nn.Module):
    """One vector from the hidden states of all layers, each weighted by a gate."""

    def __init__(self, hidden_dim: int, output_dim: int, num_layers: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(glorot_blocks(1, num_layers, num_layers * hidden_dim))
        blocks = glorot_blocks(num_layers, output_dim, hidden_dim)
        self.embed = nn.Parameter(blocks.view(num_layers, output_dim, hidden_dim))

    def forward(self, hidden: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        layers = hidden.unflatten(-1, (len(self.gate), -1))  # (*n, layers, hidden_dim)
        embedded = torch.einsum("...ln,ldn->...ld", layers, self.embed)
        return (torch.sigmoid(linear(hidden, self.gate)).unsqueeze(-1) * embedded).sum(-2).relu()


def annealed_slope(epochs: int) -> float:
    """The slope a of the hard sigmoid after so many epochs (slope annealing)."""
    return min(5.0, 1 + 0.04 * epochs)


def hard_sigmoid(value: Float[Tensor, "*n"], slope: float) -> Float[Tensor, "*n"]:
    """The piecewise linear approximation of a sigmoid with this slope."""
    return ((slope * value + 1) / 2).clamp(0, 1)


def boundary(value: Float[Tensor, "*n"], slope: float) -> Float[Tensor, "*n"]:
    """1 or 0 going forward, with the gradient of the hard sigmoid going back (straight-through estimator)."""
    soft = hard_sigmoid(value, slope)
    return (soft > 0.5).to(soft.dtype) + (soft - soft.detach())
