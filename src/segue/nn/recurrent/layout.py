"""`pack`: rows of unequal length laid out step by step, so that a walk through all of them wastes nothing.

rows   a0 a1       longest first:   b0 a0 c0 | b1 a1 | b2       alive = [3, 2, 1]
       b0 b1 b2                     step 0     step 1  step 2   the rows that a step finds are the first of its `alive`
       c0
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Packing(NamedTuple):
    """A layout of n steps of B rows.

    Attributes:
        alive: how many rows have a first step, a second, and so on.
        order: the rows, longest first.
        rank: where each row stands in that order.
        place: for each step, where its item lies.
        begin: where the first steps begin, the second ones, and so on.
    """

    alive: list[int]
    order: Int[Tensor, "B"]
    rank: Int[Tensor, "B"]
    place: Int[Tensor, "n"]
    begin: Int[Tensor, "P"]


def pack(first: Int[Tensor, "B"], length: Int[Tensor, "B"]) -> Packing:
    """The layout of rows whose items lie one behind the other, `length` of them from `first` on."""
    order = length.argsort(descending=True, stable=True)
    step = torch.arange(int(length.max()) if len(length) else 0, device=length.device).unsqueeze(1)
    going = step < length[order]
    alive = going.sum(1)
    return Packing(alive.tolist(), order, order.argsort(), (first[order] + step)[going], alive.cumsum(0) - alive)
