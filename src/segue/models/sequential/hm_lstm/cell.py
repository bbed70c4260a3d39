"""The cell of HM-LSTM (Chung, Ahn and Bengio, ICLR 2017): layers of memory that find boundaries for each other.

layer 2      copy    copy    UPDATE  copy    UPDATE      it moves where layer 1 ends a segment (z = 1), else it copies
z of 1       0       0       1       0       1
layer 1      UPDATE  UPDATE  UPDATE  FLUSH   UPDATE      after a segment it begins anew

The equations stand in `segue.models.sequential.hm_lstm.model`.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from segue.nn.recurrent.gru import blocks

EPS = 1e-3  # with less, rounding errors of a sum that is nearly nothing would grow through the layers


class Hierarchy(nn.Module):
    """The layers as one cell. Its state holds c of each layer, z of all but the last, h of each; it tells all h.

    Args:
        reads: size of what is read.
        dim: size of c and h of a layer.
        layers: how many.
        norm: layer normalisation.

    Attributes:
        epochs: of training, so far: they decide the slope.
    """

    epochs: Tensor

    def __init__(self, reads: int, dim: int, *, layers: int = 2, norm: bool = False) -> None:
        super().__init__()
        self.dim, self.width = layers * dim, 2 * layers * dim + layers - 1
        self.sizes = [dim] * layers + [1] * (layers - 1) + [dim] * layers
        self.layers = nn.ModuleList(
            Layer(dim if number else reads, dim, last=number == layers - 1, norm=norm) for number in range(layers)
        )
        self.register_buffer("epochs", torch.zeros(1, dtype=torch.long))

    @property
    def stack(self) -> list[Layer]:
        """The layers, from the bottom up."""
        return [cast(Layer, layer) for layer in self.layers]

    @property
    def slope(self) -> float:
        """a of the hard sigmoid."""
        return slope(int(self.epochs))

    def steps(self, alive: list[int], read: Tensor, begin: Tensor) -> Tensor:
        bottom, *_ = self.stack
        first = bottom.below(read).split(alive)  # one product for all steps
        state, states, angle = begin, [], self.slope
        for size, below in zip(alive, first, strict=True):
            state = self.step(below, state[:size], angle)
            states.append(state)
        return torch.cat(states)

    def step(self, first: Float[Tensor, "B g"], state: Float[Tensor, "B w"], angle: float) -> Float[Tensor, "B w"]:
        """The next state; `first` is what the first layer makes of what is read."""
        layers, parts = len(self.layers), state.split(self.sizes, 1)
        memory, ended, told = list(parts[:layers]), list(parts[layers:-layers]), list(parts[-layers:])
        moved: Tensor | None = None  # where the layer below has come to a boundary; the items themselves always have
        for number, layer in enumerate(self.stack):
            total = layer.own(told[number]) + layer.bias
            total = total + (first if moved is None else moved * layer.below(told[number - 1]))
            flush = None
            if layer.above is not None:
                flush = ended[number]
                total = total + flush * layer.above(told[number + 1])
            memory[number], told[number] = layer.move(total, memory[number], told[number], (flush, moved))
            if layer.above is not None:
                moved = ended[number] = boundary(total[:, -1:], angle)
        return torch.cat([*memory, *ended, *told], 1)


class Layer(nn.Module):
    """W, U, V and b, with the blocks f, i, o, g, and, but in the last layer, a row for z."""

    def __init__(self, reads: int, dim: int, *, last: bool, norm: bool) -> None:
        super().__init__()
        self.dim = dim
        self.below, self.own = Summand(reads, dim, not last, norm), Summand(dim, dim, not last, norm)
        self.above = None if last else Summand(dim, dim, True, norm)
        self.bias = nn.Parameter(torch.zeros(4 * dim + (not last)))
        self.norm = nn.LayerNorm(dim, eps=EPS) if norm else None

    def move(
        self, total: Tensor, memory: Tensor, told: Tensor, ends: tuple[Tensor | None, Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """c and h of the next step; `ends`: z of this layer before, and of the layer below now. None: none, always."""
        keep, let_in, out = torch.sigmoid(total[:, : 3 * self.dim]).chunk(3, 1)
        added = let_in * torch.tanh(total[:, 3 * self.dim : 4 * self.dim])
        flush, moved = ends
        after = keep * memory + added
        stay = None
        if moved is not None:
            after, stay = memory + moved * (after - memory), 1 - moved
        if flush is not None:
            after = after + flush * (added - after)
            stay = None if stay is None else stay * (1 - flush)
        said = out * torch.tanh(after if self.norm is None else self.norm(after))
        return after, said if stay is None else said + stay * (told - said)


class Summand(nn.Module):
    """A product, the part of it that makes gates and memory normalised."""

    def __init__(self, reads: int, dim: int, ends: bool, norm: bool) -> None:
        super().__init__()
        self.four = 4 * dim
        self.weight = nn.Parameter(torch.cat([blocks(4, dim, reads), blocks(1, int(ends), reads)]))
        self.gain = nn.Parameter(torch.ones(4 * dim)) if norm else None

    def forward(self, read: Float[Tensor, "B x"]) -> Float[Tensor, "B g"]:
        raw = linear(read, self.weight)
        if self.gain is None:
            return raw
        even = layer_norm(raw[:, : self.four], self.gain.shape, self.gain, None, EPS)
        return torch.cat([even, raw[:, self.four :]], 1)


class Output(nn.Module):
    """One vector of all layers, each as far as its gate lets it through."""

    def __init__(self, dim: int, size: int, layers: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(blocks(1, layers, layers * dim))
        self.embed = nn.Parameter(blocks(layers, size, dim).view(layers, size, dim))

    def forward(self, told: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        layers = told.unflatten(-1, (len(self.gate), -1))
        each = torch.einsum("...ln,ldn->...ld", layers, self.embed)
        return (torch.sigmoid(linear(told, self.gate)).unsqueeze(-1) * each).sum(-2).relu()


def slope(epochs: int) -> float:
    """a after so many epochs."""
    return min(5.0, 1 + 0.04 * epochs)


def hard_sigmoid(value: Float[Tensor, "*n"], angle: float) -> Float[Tensor, "*n"]:
    """A straight line from 0 to 1."""
    return ((angle * value + 1) / 2).clamp(0, 1)


def boundary(value: Float[Tensor, "*n"], angle: float) -> Float[Tensor, "*n"]:
    """1 or 0, with the derivative of the hard sigmoid (straight through)."""
    soft = hard_sigmoid(value, angle)
    return (soft > 0.5).to(soft.dtype) + (soft - soft.detach())
