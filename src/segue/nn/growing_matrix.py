"""`GrowingMatrix`: a sparse matrix to whose cells numbers are added one by one, without building it anew.

What is added is kept by row beside the matrix. Sums of rows read both; everything else, and saving, first merges it
into the matrix. One thread may add while others compute sums of rows without gradients, as a service does that learns
and answers; while a thread merges, no other one may use the matrix.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.data.log import Floats
from segue.nn.sparse import Entries, Integers, SparseMatrix

FIRST_LIMIT = 64  # entries of a row before those of one column are added up for the first time
NOTHING = 1e-9  # what is left of numbers that were added and taken away again


class GrowingMatrix(SparseMatrix):
    """A `SparseMatrix` with a cheap `add`."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(shape)
        self.added: dict[int, AddedRow] = {}

    def add(self, row: int, column: int, value: float) -> None:
        """Add a number to a cell."""
        added = self.added.get(row)
        if added is None:
            added = self.added[row] = AddedRow()
        added.add(column, value)

    def merge(self) -> None:
        """Add all that was kept beside the matrix to its cells."""
        if self.added:
            added, self.added = self.added, {}
            entries = [one.entries() for one in added.values()]
            row = np.repeat(np.fromiter(added, np.int64), [len(column) for column, _ in entries])
            column, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
            self.set(super().to_scipy() + sp.csr_array((value, (row, column)), shape=self.shape))

    def set_rows(self, blocks: Iterable[Entries]) -> None:
        self.added = {}
        super().set_rows(blocks)

    def to_scipy(self, values: Float[Tensor, "k"] | None = None) -> sp.csr_array:
        self.merge()
        return super().to_scipy(values)

    def weighted_row_sums(self, rows: Int[Tensor, "B L"], weights: Float[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        sums = super().weighted_row_sums(rows, weights)
        if self.added:
            for b, chosen in enumerate(zip(rows.tolist(), weights.tolist(), strict=True)):
                self._add_sums(sums[b], *chosen)
        return sums

    def _add_sums(self, sums: Float[Tensor, "K"], rows: list[int], weights: list[float]) -> None:
        """Add to the sums over l of `weights[l]` times row `rows[l]` what was added to these rows."""
        rest = [(weight, self.added[row]) for row, weight in zip(rows, weights, strict=True) if row in self.added]
        if rest:
            entries = [(column, weight * value) for weight, row in rest for column, value in [row.entries()]]
            column, value = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*entries, strict=True))
            sums.index_add_(0, column.to(sums.device), value.to(sums))

    def _save_to_state_dict(self, *args: Any, **options: Any) -> None:
        self.merge()
        super()._save_to_state_dict(*args, **options)

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        self.added = {}
        super()._load_from_state_dict(*args, **options)


class AddedRow:
    """What is added to the cells of one row: columns and values, in which a column may stand several times.

    Its arrays only grow, or are replaced as a pair. So a thread that reads them while another one adds finds the
    entries of a moment.
    """

    __slots__ = ("_limit", "_pair")

    def __init__(self) -> None:
        self._pair = array("i"), array("d")
        self._limit = FIRST_LIMIT

    def add(self, column: int, value: float) -> None:
        """Add a number to a cell."""
        columns, values = self._pair
        columns.append(column)
        values.append(value)
        if len(columns) > self._limit:
            self._add_up()

    def entries(self) -> tuple[Integers, Floats]:
        """Column and value of each entry."""
        columns, values = self._pair
        value = values[:]  # first: it is the shorter one while an entry is added
        column = columns[: len(value)]
        return np.frombuffer(column, np.int32), np.frombuffer(value)

    def _add_up(self) -> None:
        """Keep one entry of each column; it costs as much as the entries that were added since the last time."""
        columns, values = self.entries()
        column, place = np.unique(columns, return_inverse=True)
        value = np.bincount(place, values).astype(np.float64)
        stays = np.abs(value) > NOTHING
        self._pair = array("i", column[stays].tobytes()), array("d", value[stays].tobytes())
        self._limit = max(FIRST_LIMIT, 2 * len(self._pair[0]))
