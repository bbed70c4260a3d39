"""`best_items`: the best of many columns, exactly and fast, of equals the lower id first."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

GROUP = 64  # items whose best score stands for all of them in the first round


def best_items(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """The k best columns of each row, best first, the lower id first among equals: their scores and their ids.

    Exact, in two rounds: the k best groups of 64 neighbouring columns by their maxima, then the k best columns inside
    these. Say that x stands before y if its score is higher, or equal and its id lower; a group counts as its maximum
    and its place. Each of the k chosen groups holds a column that stands before every column y of a group left out:
    its maximum is higher than y, or equal and all its ids are lower. So y has k columns before it, and is not wanted.

    k may not exceed the number of columns.
    """
    width = scores.shape[1]
    if width % GROUP or width < 2 * GROUP * k:
        ids = _best_columns(scores, k)
    else:
        groups = scores.unflatten(1, (-1, GROUP))
        # one group more than needed: with 64 (k + 1) columns left, `topk` takes its faster way
        chosen = _best_columns(groups.amax(2), k + 1)
        inside = groups.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).flatten(1)
        place = _best_columns(inside, k)
        ids = chosen.gather(1, place // GROUP) * GROUP + place % GROUP
    values, order = scores.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return values, ids.gather(1, order)


def _best_columns(scores: Tensor, k: int) -> Tensor:
    """The k best columns of each row in ascending order; of those equal to the last of them, the lowest."""
    width = scores.shape[1]
    values, columns = scores.topk(min(k + 1, width))
    columns, last, beyond = columns[:, :k], values[:, k - 1 : k], values[:, k:]
    tied = (last == beyond).any(1).nonzero()[:, 0]
    if len(tied):
        some, last = scores[tied], last[tied]
        column = torch.arange(width, dtype=torch.int32, device=scores.device)
        key = torch.where(some == last, -column, torch.where(some > last, 1, -width))
        columns[tied] = key.topk(k).indices
    return columns.sort(dim=1).values
