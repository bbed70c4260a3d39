"""`close_gaps`: histories with padding between their items, for models that read padding on the left alone."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def close_gaps(history: Int[Tensor, "B P"], *, keep_inner: bool = False) -> Int[Tensor, "B P"]:
    """The histories with their padding on the left: items move to the right and keep their order.

    Args:
        history: item ids; 0 is padding.
        keep_inner: whether padding before the newest item stays, so that only padding after it moves to the left.

    >>> close_gaps(torch.tensor([[4, 0, 5, 0]])).tolist()
    [[0, 0, 4, 5]]
    >>> close_gaps(torch.tensor([[4, 0, 5, 0]]), keep_inner=True).tolist()
    [[0, 4, 0, 5]]
    """
    return history.gather(1, closing_order(history, keep_inner=keep_inner))


def closing_order(history: Int[Tensor, "B P"], *, keep_inner: bool = False) -> Int[Tensor, "B P"]:
    """The position that moves to each position in `close_gaps`."""
    stays = history > 0
    if keep_inner:
        stays = stays.flip(1).cumsum(1).flip(1) > 0
    return stays.to(torch.uint8).argsort(dim=1, stable=True)
