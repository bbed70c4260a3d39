"""`topk`: the k best columns of each row, exact, fast, and with a fixed order among equal scores."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.compiled.loops import best_columns

GROUP = 64  # neighbouring columns that are represented by their maximum in the first round
SORTED = 128  # more columns than these torch finds as fast: the loop inserts them one by one


def topk(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """The k largest scores of each row and their columns, best first; of equal scores the lower column comes first.

    It replaces `torch.topk`, whose order among equal scores is arbitrary, and a stable sort of all columns, which is
    exact and slower. On a block of evaluation, `torch.topk` takes 1.6 times as long (benchmark row `handwritten`, part
    `topk`). A loop that numba compiles does the same in less time yet (part `compiled-topk`).

    The search takes two rounds: first the k best groups of 64 neighbouring columns by their maximum, then the k best
    columns inside these groups. This is exact. Say that x comes before y if its score is higher, or if it is equal and
    its column is lower. Each of the k chosen groups holds a column that comes before every column y of the other
    groups: its score is higher than that of y, or it is equal and all columns of its group are lower. So k columns
    come before y, and y is not in the result.

    Args:
        scores: rows of scores; -inf is allowed.
        k: how many columns; at most as many as there are.

    Returns:
        The scores and the columns.
    """
    found = _compiled(scores, k)
    return plain_topk(scores, k) if found is None else found


def _compiled(scores: Tensor, k: int) -> tuple[Tensor, Tensor] | None:
    """As `topk`; None where the plain form is to do it, or has to, as for a row with NaN."""
    rows, width = scores.shape
    is_usual = scores.device.type == "cpu" and scores.dtype in (torch.float32, torch.float64)
    if not is_usual or not scores.is_contiguous() or width % GROUP or not 0 < k <= min(SORTED, width):
        return None
    loop = best_columns.for_work(rows)
    if loop is None:
        return None
    scores = scores.detach()
    maxima = scores.unflatten(1, (-1, GROUP)).amax(2)  # (B, I / 64)
    values, columns = scores.new_empty(rows, k), torch.empty(rows, k, dtype=torch.int64)
    has_no_nan = loop(scores.numpy(), maxima.numpy(), values.numpy(), columns.numpy())
    return (values, columns) if has_no_nan else None


def plain_topk(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """As `topk`, in torch."""
    width = scores.shape[1]
    if width % GROUP or width < 2 * GROUP * k:
        columns = _best_columns(scores, k)
    else:
        groups = scores.unflatten(1, (-1, GROUP))  # (B, I / 64, 64)
        # one group more than needed: with 64 (k + 1) columns left, `torch.topk` takes its faster path
        best_groups = _best_columns(groups.amax(2), k + 1)  # (B, k + 1)
        candidates = groups.gather(1, best_groups[:, :, None].expand(-1, -1, GROUP)).flatten(1)  # (B, 64 (k + 1))
        index = _best_columns(candidates, k)  # (B, k)
        columns = best_groups.gather(1, index // GROUP) * GROUP + index % GROUP
    values, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def _best_columns(scores: Tensor, k: int) -> Tensor:
    """The k best columns of each row in ascending order; of those equal to the last of them, the lowest."""
    width = scores.shape[1]
    values, columns = scores.topk(min(k + 1, width))
    columns, last, next_value = columns[:, :k], values[:, k - 1 : k], values[:, k:]
    tied = (last == next_value).any(1).nonzero()[:, 0]
    if len(tied):
        tied_scores, last = scores[tied], last[tied]
        column = torch.arange(width, dtype=torch.int32, device=scores.device)
        key = torch.where(tied_scores == last, -column, torch.where(tied_scores < last, -width, 1))  # NaN: 1
        columns[tied] = key.topk(k).indices
    return columns.sort(dim=1).values


def places(scores: Float[Tensor, "B I"], columns: Int[Tensor, "K"]) -> Int[Tensor, "B K"]:
    """The place of some columns in the order of `topk`: 0 for the best column of a row.

    >>> places(torch.tensor([[0.5, 0.7, 0.5]]), torch.tensor([0, 2])).tolist()
    [[1, 2]]
    """
    ahead = torch.zeros(len(scores), len(columns), dtype=torch.long, device=scores.device)
    for number, column in enumerate(columns.tolist()):
        score = scores[:, column, None]
        ahead[:, number] = (scores > score).sum(1) + (scores[:, :column] == score).sum(1)
    return ahead
