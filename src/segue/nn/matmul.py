"""Matrix products.

`fast_matmul` uses the faster library where it is exact, and `linear_2d` applies a linear layer as a single product.
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
    """`layer(x)` as one product of two matrices.

    Without a bias, torch splits it into many small products where no gradient is needed, and rounds differently.
    """
    return layer(x.flatten(0, -2)).unflatten(0, x.shape[:-1])


@contextmanager
def fast_matmul() -> Iterator[None]:
    """Inside the block, products of 32-bit matrices on the processor use oneDNN where that is exact and faster.

    With "medium" precision, torch passes them to oneDNN. On processors with 16-bit matrix units (AMX) this means 16-bit
    precision; on others it means 32 bits from another kernel, twice as fast as the default on AMD. A test product finds
    out which. On Intel the default (MKL) is about as fast, and faster where products come in many shapes: oneDNN makes
    a kernel for each shape.
    """
    if _is_intel() or not _is_exact():
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def _is_exact() -> bool:
    """Whether "medium" precision keeps the digits that 16 bits would lose."""
    before = torch.get_float32_matmul_precision()
    left = torch.full((256, 256), 1 + 2.0**-14)
    torch.set_float32_matmul_precision("medium")
    try:
        error = (left @ left.T / 256 - left[0, 0] ** 2).abs().max()
    finally:
        torch.set_float32_matmul_precision(before)
    return bool(error < 2.0**-15) and not torch.cuda.is_available()


@cache
def _is_intel() -> bool:
    """Whether the processor is one of Intel's; False where the system does not say."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
