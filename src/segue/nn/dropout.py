"""`dropout`: a faster dropout, where each random number of 64 bits decides about four entries."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LEVELS = 2**16


def dropout(values: Float[Tensor, "*n"], p: float, training: bool) -> Float[Tensor, "*n"]:
    """Set a random share p of the entries to 0 and scale the others, so that the mean does not change.

    It replaces `torch.nn.functional.dropout`, which draws a random number for each entry: 6 to 10 ns an entry on a
    processor, more than the matrix products of a small model. Here 64 random bits decide about four entries, in 1.5 ns
    each; p is rounded to a multiple of 1/65,536. A training step of SASRec with bce takes 1.5 times as long the plain
    way (benchmark row `handwritten`, part `dropout`).

    Args:
        values: the input.
        p: the dropout rate.
        training: whether to drop at all.
    """
    dropped = round(p * LEVELS)
    if not training or dropped == 0:
        return values
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device).random_(-(2**63), None)
    level = bits.view(torch.int16)[: values.numel()].view(values.shape)
    mask = (level >= dropped - LEVELS // 2).to(values.dtype)
    return values * mask.mul_(LEVELS / (LEVELS - dropped))
