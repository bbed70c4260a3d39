"""The sigmoid of gates, or the broken line that Theano's programs have in its place:  min(1, max(0, x / 5 + 1/2))."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

STEEP = 0.2


def sigmoid_(x: Float[Tensor, "*n"], hard: bool) -> Float[Tensor, "*n"]:
    """sigma(x), in the place of x."""
    return x.mul_(STEEP).add_(0.5).clamp_(0, 1) if hard else x.sigmoid_()


def slope(gate: Float[Tensor, "*n"], hard: bool) -> Float[Tensor, "*n"]:
    """The derivative of sigma where its value is `gate`."""
    return ((gate > 0) & (gate < 1)).to(gate.dtype) * STEEP if hard else torch.addcmul(gate, gate, gate, value=-1)
