"""`SparseRows`: a matrix that is mostly zero, as a part of a model that learns by counting; and `blocks` to count in.

start    0        3     4        row 0 is entries 0..2, row 1 is entry 3, row 2 is entry 4
column   2  5  7  1     5
value   .3 .1 .1  1    .5
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.data.log import Ids

ENTRIES = 1 << 16  # added up at a time: they stay in the cache
Floats = np.ndarray[Any, np.dtype[np.float64]]


class SparseRows(nn.Module):
    """A sparse matrix as buffers, so that it moves, is saved and is loaded with its model, however many its entries."""

    start: Tensor
    column: Tensor
    value: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("start", torch.zeros(rows + 1, dtype=torch.int64))
        self.register_buffer("column", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("value", torch.zeros(0))

    def fill(self, sizes: Ids, column: Ids, value: Floats) -> None:
        """Replace the entries: `sizes` (rows,) says how many each row has, the others are row after row."""
        self.start[1:] = torch.from_numpy(np.cumsum(sizes))
        self.column = torch.from_numpy(column).to(self.column)
        self.value = torch.from_numpy(value).to(self.value)

    def add_to(
        self,
        scores: Float[Tensor, "B K"],
        *,
        line: Int[Tensor, "n"],
        row: Int[Tensor, "n"],
        weight: Float[Tensor, "n"],
    ) -> None:
        """For each of n: scores[line] += weight x this matrix's `row`."""
        size = self.start[row + 1] - self.start[row]
        parts = torch.unique_consecutive(size.cumsum(0) // ENTRIES, return_counts=True)[1].tolist()
        for part in torch.arange(len(row), device=row.device).split(parts):
            which, column, value = self.entries(row[part])
            place = (line[part] * scores.shape[1])[which] + column
            scores.view(-1).index_add_(0, place, value * weight[part][which])

    def entries(self, row: Int[Tensor, "n"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"], Float[Tensor, "m"]]:
        """All entries of some rows, row after row: which of the n each belongs to, its column and its value."""
        begin, size = self.start[row], self.start[row + 1] - self.start[row]
        which = torch.repeat_interleave(size)
        entry = torch.arange(len(which), device=row.device) + (begin - (size.cumsum(0) - size))[which]
        return which, self.column[entry], self.value[entry]

    def at(self, row: Int[Tensor, "*n"], column: Int[Tensor, "*n"]) -> tuple[Float[Tensor, "*n"], Bool[Tensor, "*n"]]:
        """The value at each row and column, 0 where there is none, and whether there is one; columns must ascend
        within their row."""
        first, stop = self.start[row], self.start[row + 1]
        if not len(self.column):
            return self.value.new_zeros(row.shape), torch.zeros_like(row, dtype=torch.bool)
        for _ in range(int((stop - first).amax() if row.numel() else 0).bit_length()):
            middle = (first + stop) // 2
            less = (first < stop) & (self.column[middle.clamp(max=len(self.column) - 1)] < column)
            first, stop = torch.where(less, middle + 1, first), torch.where(less, stop, middle)
        entry = first.clamp(max=len(self.column) - 1)
        found = (first < self.start[row + 1]) & (self.column[entry] == column)
        return self.value[entry] * found, found

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in ("column", "value"):
            if prefix + name in state_dict:
                setattr(self, name, getattr(self, name).new_zeros(len(state_dict[prefix + name])))
        super()._load_from_state_dict(state_dict, prefix, *args)


def blocks(group: Ids, work: Ids, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of the sorted `group` that never cut a group in two, each with about `most` work.

    Args:
        group: (n,) ascending.
        work: (n,) running sum of what each costs.
        most: what a range may cost, unless a single group costs more.
    """
    begin = 0
    while begin < len(group):
        done = work[begin - 1] if begin else 0
        end = max(int(np.searchsorted(work, done + most)), begin + 1)
        end = int(np.searchsorted(group, group[min(end, len(group)) - 1], side="right"))
        yield begin, end
        begin = end
