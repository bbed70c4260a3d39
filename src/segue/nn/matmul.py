"""`fast_matmul`: matrix products by oneDNN where these are as exact as MKL's; `linear_2d`: one product, always.

Asked for "medium" precision, torch hands products of 32-bit matrices to oneDNN. On processors with units for 16-bit
matrices (AMX) that means 16 bits; on the others it means the same 32 bits from another kernel, on AMD's twice as fast
as the usual one. Which of the two it is here is found out by trying. On Intel's processors, MKL's own
ground, the usual one is about as quick, and quicker where products come in many shapes: oneDNN makes a kernel for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn


def linear_2d(layer: nn.Linear, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n k"]:
    """`layer(x)` as one product of two matrices: without a bias, torch makes that of many small ones where no gradient
    is asked for, and the last digits with it."""
    return layer(x.flatten(0, -2)).unflatten(0, x.shape[:-1])


@contextmanager
def fast_matmul() -> Iterator[None]:
    """Within, products on the processor are the quicker ones that are exact to 32 bits."""
    if _intel() or not _exact():
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def _exact() -> bool:
    """Whether oneDNN keeps what 16 bits would lose."""
    before = torch.get_float32_matmul_precision()
    left = torch.full((256, 256), 1 + 2.0**-14)
    torch.set_float32_matmul_precision("medium")
    try:
        apart = (left @ left.T / 256 - left[0, 0] ** 2).abs().max()
    finally:
        torch.set_float32_matmul_precision(before)
    return bool(apart < 2.0**-15) and not torch.cuda.is_available()


@cache
def _intel() -> bool:
    """Whether the processor is Intel's; where the system does not say, it is not."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
