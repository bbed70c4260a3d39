"""Functions as loops over arrays that numba compiles (the extra `fast`), and the arrays of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, no_type_check

import numba
import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
Loop = Callable[..., Any]

ANY_ORDER = {"reassoc", "nsz", "contract"}  # sums may be added in any order, or they could not use vector instructions


def compile_loop(loop: Loop, signature: str, dtype: torch.dtype) -> Loop:
    """`loop` compiled, with `dtype` for each F of its signature; numba keeps it in its cache."""
    kind = {torch.float32: "f4", torch.float64: "f8"}[dtype]
    compiled: Loop = numba.njit(signature.replace("F", kind), cache=True, nogil=True, fastmath=ANY_ORDER)(loop)
    return compiled


def inner_loop(loop: Loop) -> Loop:
    """`loop` for use in others, with which it is compiled."""
    compiled: Loop = numba.njit(nogil=True, fastmath=ANY_ORDER, forceinline=True)(loop)
    return compiled


@no_type_check  # a function that numba can compile has no other decorator
def _add(out: Array, i: int, factor: float, x: Array, j: int) -> None:
    for k in range(x.shape[1]):
        out[i, k] += factor * x[j, k]


@no_type_check
def _dot(x: Array, i: int, y: Array, j: int) -> float:
    total = x.dtype.type(0)
    for k in range(x.shape[1]):
        total += x[i, k] * y[j, k]
    return total


add, dot = inner_loop(_add), inner_loop(_dot)
"""A multiple of row j of `x`, added to row i of `out`; the dot product of row i of `x` and row j of `y`."""


def arrays(*tensors: Tensor) -> list[Array]:
    """The tensors as arrays that share their memory."""
    return [tensor.detach().numpy() for tensor in tensors]
