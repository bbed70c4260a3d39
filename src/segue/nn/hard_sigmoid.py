"""The sigmoid of gates and attention, or its piecewise linear form in Theano:  min(1, max(0, x / 5 + 1/2))."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SLOPE = 0.2


def sigmoid_(x: Float[Tensor, "*n"], hard: bool) -> Float[Tensor, "*n"]:
    """The sigmoid of x, in place; with `hard`, the piecewise linear form."""
    return x.mul_(SLOPE).add_(0.5).clamp_(0, 1) if hard else x.sigmoid_()


def sigmoid_grad(output: Float[Tensor, "*n"], hard: bool) -> Float[Tensor, "*n"]:
    """The derivative of the sigmoid where its value is `output`."""
    if hard:
        return ((output > 0) & (output < 1)).to(output.dtype) * SLOPE
    return torch.addcmul(output, output, output, value=-1)
