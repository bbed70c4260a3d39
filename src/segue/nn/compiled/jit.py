"""Functions over arrays as loops that numba compiles, and the arrays of tensors."""

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
KINDS = {torch.float32: "f4", torch.float64: "f8"}


def compile_loop(loop: Loop, signature: str, *dtypes: torch.dtype, exact: bool = False) -> Loop:
    """The compiled loop, which numba keeps in its cache.

    Args:
        loop: a function over arrays and numbers. numba refuses other decorators than `no_type_check`.
        signature: in numba's short form, such as "void(i8[::1], F[:, ::1])"; each F stands for one of `dtypes`.
        dtypes: the loop is compiled for each of them; for none if its signature has no F.
        exact: whether it adds in the order that is written, and fuses no operations.
    """
    signatures = [signature.replace("F", KINDS[dtype]) for dtype in dtypes] or [signature]
    compiled: Loop = numba.njit(signatures, cache=True, nogil=True, fastmath=False if exact else ANY_ORDER)(loop)
    return compiled


def inner_loop(loop: Loop, *, exact: bool = False) -> Loop:
    """A part of other loops, with which it is compiled."""
    compiled: Loop = numba.njit(nogil=True, fastmath=False if exact else ANY_ORDER, forceinline=True)(loop)
    return compiled


@no_type_check
def _add(out: Array, i: int, factor: float, x: Array, j: int) -> None:
    for k in range(x.shape[1]):
        out[i, k] += factor * x[j, k]


@no_type_check
def _dot(x: Array, i: int, y: Array, j: int) -> float:
    total = x.dtype.type(0)
    for k in range(x.shape[1]):
        total += x[i, k] * y[j, k]
    return total


add = inner_loop(_add)
"""add(out, i, factor, x, j): a multiple of row j of `x`, added to row i of `out`."""

dot = inner_loop(_dot)
"""dot(x, i, y, j): the dot product of row i of `x` and row j of `y`."""


def arrays(*tensors: Tensor) -> list[Array]:
    """The tensors as arrays that share their memory."""
    return [tensor.detach().numpy() for tensor in tensors]
