"""`GrowingMatrix`: a sparse matrix to whose cells numbers are added one by one, without building it anew.

What is added is kept by row beside the matrix. Sums of rows read both; everything else, and saving, first merges it
into the matrix.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.sparse import Entries, SparseMatrix


class GrowingMatrix(SparseMatrix):
    """A `SparseMatrix` with a cheap `add`."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(shape)
        self.added: dict[int, dict[int, float]] = {}  # row -> column -> what is added to the cell

    def add(self, row: int, column: int, value: float) -> None:
        """Add a number to a cell."""
        cells = self.added.setdefault(row, {})
        cells[column] = cells.get(column, 0.0) + value

    def merge(self) -> None:
        """Add all that was kept beside the matrix to its cells."""
        if self.added:
            added, self.added = self.added, {}
            row = np.repeat(np.fromiter(added, np.int64), [len(cells) for cells in added.values()])
            column = np.fromiter((key for cells in added.values() for key in cells), np.int64)
            value = np.fromiter((one for cells in added.values() for one in cells.values()), np.float64)
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
            has_more = torch.from_numpy(np.isin(rows.numpy(force=True), np.fromiter(self.added, np.int64)))
            for b, l in has_more.nonzero().tolist():
                cells = self.added[int(rows[b, l])]
                columns = torch.tensor(list(cells), device=sums.device)
                values = torch.tensor(list(cells.values()), dtype=torch.float64).to(sums)
                sums[b].index_add_(0, columns, weights[b, l] * values)
        return sums

    def _save_to_state_dict(self, *args: Any, **options: Any) -> None:
        self.merge()
        super()._save_to_state_dict(*args, **options)

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        self.added = {}
        super()._load_from_state_dict(*args, **options)
