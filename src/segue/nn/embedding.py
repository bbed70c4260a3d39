"""`embedding`: looking embeddings up, with a backward pass that adds to the table's gradient where it lies.

`nn.Embedding` makes a new dense gradient at each call, zero but for the rows that were used, which then has to be added
to what is there. For a table of 35,000 x 50 that costs as much as the arithmetic of a batch.

An optimiser that moves only the rows that were looked up (`segue.nn.optim.Adagrad`) collects them itself: its `Pieces`
then take the (ids, gradient) of each look-up, and there is no dense gradient at all.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


def embedding(table: Float[Tensor, "I d"], ids: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
    """`table[ids]`, of a table whose row 0 is padding and learns nothing.

    The gradient of a leaf appears in `table.grad`, not in `torch.autograd.grad`."""
    if not (torch.is_grad_enabled() and table.requires_grad and table.is_leaf):
        return table.index_select(0, ids.flatten()).view(*ids.shape, table.shape[1])
    found: Tensor = _Rows.apply(table, ids)
    return found


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(ids)
        return table.index_select(0, ids.flatten()).view(*ids.shape, table.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        (ids,) = ctx.saved_tensors
        table = ctx.table
        pieces = getattr(table, "pieces", None)
        collected = None if pieces is None else pieces()
        if collected is not None:
            collected.append((ids.flatten(), gradient.reshape(-1, table.shape[1])))
            return None, None
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        table.grad.index_add_(0, ids.flatten(), gradient.reshape(-1, table.shape[1]))
        table.grad[0] = 0
        return None, None


def zero_padding(table: Tensor) -> None:
    """Make row 0 of an embedding table nothing, after whatever initialisation."""
    with torch.no_grad():
        table[0] = 0
