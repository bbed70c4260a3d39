"""`Part`: a hand-written part of segue, and what runs it and the plain way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segue.nn.compiled.loop import CompiledLoop

Run = Callable[[], Tensor | None]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A hand-written part.

    Attributes:
        module: where it is.
        plain: the plain way, in words.
        layer: makes two functions, segue's and the plain one, each of which runs the part once at a realistic size.
        model: name, settings and number of items of a model whose training steps use it; None if there is no step.
        replaced: what is replaced by the plain way in those steps: an object, the name of its attribute, the plain way.
        loop: the compiled loop that is the part. It is used in all steps of segue's way, and in none of the plain way.
    """

    module: str
    plain: str
    layer: Callable[[], tuple[Run, Run]]
    model: tuple[str, dict[str, Any], int] | None = None
    replaced: tuple[tuple[Any, str, Any], ...] = ()
    loop: CompiledLoop | None = None


def backward(loss: Callable[[], Tensor], *leaves: Tensor) -> Run:
    """A run of a forward and a backward pass; returns the loss."""

    def run() -> Tensor:
        for tensor in leaves:
            tensor.grad = None
        value = loss()
        value.backward()
        return value.detach()

    return run


def leaf(*shape: int) -> Tensor:
    """Random values of variance 1 / n for the last dimension n, with a gradient."""
    return (torch.randn(*shape) * shape[-1] ** -0.5).requires_grad_()
