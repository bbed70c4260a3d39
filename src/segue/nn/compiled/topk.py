"""The k best columns of each row; see `segue.nn.topk`."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
import torch

from segue.nn.compiled.jit import Array, compile_loop, inner_loop


@no_type_check
def _insert(score: float, column: int, count: int, values: Array, columns: Array) -> int:
    """Insert a column into the `count` best so far, after those that have the same score; the new count."""
    place = count
    if count == len(values):
        if not score > values[count - 1]:
            return count
        place -= 1
    while place > 0 and values[place - 1] < score:
        values[place], columns[place] = values[place - 1], columns[place - 1]
        place -= 1
    values[place], columns[place] = score, column
    return min(count + 1, len(values))


insert = inner_loop(_insert, exact=True)


@no_type_check
def _best_columns(scores: Array, maxima: Array, values: Array, columns: Array) -> bool:
    """The k best columns of each row, best first; of equal scores the lower column comes first.

    Both rounds keep the best ones sorted. Most groups and columns are below all of them, so that one comparison is all
    that they take (benchmark row `handwritten`, part `compiled-topk`).

    Args:
        scores: (B, W).
        maxima: (B, G) the maximum of each group of W / G neighbouring columns; NaN where a score is NaN.
        values: (B, k) is filled with the scores.
        columns: (B, k) is filled with the columns; k is at most W.

    Returns:
        False if a score is NaN: then the rest is not filled.
    """
    num_groups, k = maxima.shape[1], values.shape[1]
    size = scores.shape[1] // num_groups
    best, groups = np.empty(min(k, num_groups), values.dtype), np.empty(min(k, num_groups), np.int64)
    for row in range(len(scores)):
        count = 0
        for group in range(num_groups):
            if np.isnan(maxima[row, group]):
                return False
            count = insert(maxima[row, group], group, count, best, groups)
        bound = best[-1] if count == k else -np.inf  # the k best columns are no lower: k groups have one as high
        row_values, row_columns, count = values[row], columns[row], 0
        for group in np.sort(groups):
            for column in range(group * size, (group + 1) * size):
                if scores[row, column] >= bound:
                    count = insert(scores[row, column], column, count, row_values, row_columns)
    return True


best_columns = compile_loop(
    _best_columns,
    "b1(F[:, ::1], F[:, ::1], F[:, ::1], i8[:, ::1])",
    torch.float32,
    torch.float64,
    exact=True,
)
