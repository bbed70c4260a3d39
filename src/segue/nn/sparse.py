"""`SparseMatrix`: a scipy.sparse matrix that is part of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.data.log import Floats
from segue.errors import require
from segue.nn.buffers import require_ids
from segue.nn.compiled.loops import row_sums

Integers = np.ndarray[Any, np.dtype[np.integer[Any]]]
Entries = tuple[Integers, Integers, Floats]
"""Row, column and value of each entry."""


class ResizableBuffers(nn.Module):
    """A module with buffers that are resized to the length that they have in a loaded state.

    Class attributes:
        resizable: the names of these buffers.
        optional: those of them that files of earlier versions lack; they are empty then.
    """

    resizable: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in self.optional:
            state_dict.setdefault(prefix + name, getattr(self, name)[:0])
        for name in self.resizable:
            stored = state_dict.get(prefix + name)
            if stored is not None and stored.dim() == 1:
                setattr(self, name, getattr(self, name).new_zeros(len(stored)))
        super()._load_from_state_dict(state_dict, prefix, *args)


class SparseMatrix(ResizableBuffers):
    """A matrix in CSR format whose arrays are buffers, so that it moves, is saved and is loaded with its model.

    Args:
        shape: number of rows and of columns.
    """

    resizable = ("indices", "values")
    indptr: Tensor
    indices: Tensor
    values: Tensor

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("indptr", torch.zeros(shape[0] + 1, dtype=torch.int64))
        self.register_buffer("indices", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("values", torch.zeros(0))

    def set(self, matrix: sp.sparray) -> None:
        """Replace all entries by those of `matrix`, which has the same shape."""
        matrix = matrix.tocsr()
        self.indptr.copy_(torch.from_numpy(matrix.indptr))
        self.indices = torch.from_numpy(matrix.indices).to(self.indices)
        self.values = torch.from_numpy(matrix.data).to(self.values)

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded buffers are no matrix: scipy reads and writes wherever they point."""
        ends = self.indptr
        fits = len(self.indices) == len(self.values) == int(ends[-1])
        require(fits and int(ends[0]) == 0 and bool((ends.diff() >= 0).all()), "a sparse matrix has no such rows")
        require_ids(self.indices, self.shape[1] - 1, "columns of a sparse matrix")

    def set_rows(self, blocks: Iterable[Entries]) -> None:
        """Replace all entries by those of `blocks`, which are sorted by row and by column, and follow each other.

        It needs the memory of the matrix and of one block.
        """
        lengths = np.zeros(self.shape[0], np.int64)
        indices, values = _GrowingArray(np.int32), _GrowingArray(self.values.numpy(force=True).dtype)
        for row, column, value in blocks:
            lengths += np.bincount(row, minlength=self.shape[0])
            indices.append(column)
            values.append(value)
        self.indptr.copy_(torch.from_numpy(np.append(0, np.cumsum(lengths))))
        self.indices = torch.from_numpy(indices.finished()).to(self.indices)
        self.values = torch.from_numpy(values.finished()).to(self.values)

    def to_scipy(self, values: Float[Tensor, "k"] | None = None) -> sp.csr_array:
        """The matrix, or one with other values in its places, as a `scipy.sparse` array that shares its entries."""
        values = self.values if values is None else values
        # scipy wants one type for both arrays of integers
        kind = np.int32 if len(self.values) < np.iinfo(np.int32).max else np.int64
        indptr, indices = (part.numpy(force=True).astype(kind, copy=False) for part in (self.indptr, self.indices))
        return sp.csr_array((values.numpy(force=True), indices, indptr), shape=self.shape)

    def weighted_row_sums(self, rows: Int[Tensor, "B L"], weights: Float[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        """For each b, the sum over l of `weights[b, l]` times row `rows[b, l]` of the matrix, as a dense tensor."""
        row, weight, indptr = (part.numpy(force=True) for part in (rows, weights, self.indptr))
        has_loop = weights.dtype == self.values.dtype
        compiled = row_sums.for_work(int((indptr[row + 1] - indptr[row]).sum())) if has_loop else None
        if compiled is None:
            return torch.from_numpy(self.plain_row_sums(row, weight)).to(weights)
        return compiled(rows, weights, (self.indptr, self.indices, self.values), self.shape[1])

    def differentiable_row_sums(self, rows: Int[Tensor, "B L"], weights: Float[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        """`weighted_row_sums` with the gradient of the weights; the entries of the matrix are constants."""
        count, length = rows.shape
        chosen = self.to_scipy()[rows.numpy(force=True).ravel()]
        # one block of columns for each b, so that a single product is that of all
        first = np.repeat(np.arange(count) * self.shape[1], np.diff(chosen.indptr[::length]))
        blocks = sp.csr_array(
            (chosen.data, chosen.indices + first, chosen.indptr), shape=(count * length, count * self.shape[1])
        )
        sums: Float[Tensor, "B K"] = _ConstantProduct.apply(weights.flatten(), blocks).view(count, self.shape[1])
        return sums

    def plain_row_sums(self, rows: Integers, weights: np.ndarray) -> np.ndarray:
        """`weighted_row_sums` as a product of sparse matrices: the plain form of the compiled loop."""
        count, length = rows.shape
        matrix = SparseMatrix.to_scipy(self)  # as the loop, without what a subclass keeps beside the entries
        # of the matrix's type, or scipy converts all indices of the matrix in each product
        row = rows.ravel().astype(matrix.indices.dtype)
        start = np.arange(count + 1, dtype=matrix.indptr.dtype) * length
        query = sp.csr_array((weights.ravel(), row, start), shape=(count, self.shape[0]))
        return (query @ matrix).toarray()

    def entries(
        self, rows: Int[Tensor, "n"], values: Float[Tensor, "k"] | None = None
    ) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"], Float[Tensor, "m"]]:
        """All entries of some rows: for each entry, the position of its row in `rows`, its column and its value.

        With `values`, all entries of the matrix have these in place of their own.
        """
        chosen = self.to_scipy(values)[rows.numpy(force=True)]
        row = np.repeat(np.arange(len(rows)), np.diff(chosen.indptr))
        position, column, value = (torch.from_numpy(part) for part in (row, chosen.indices, chosen.data))
        return position.to(rows.device), column.to(rows.device), value.to(self.values)


class _ConstantProduct(torch.autograd.Function):
    """A vector (n,) times a constant matrix (n, m) of scipy, with the gradient of the vector.

    Entries that torch adds up under autograd take longer (benchmark row `handwritten`, part `row-sums-gradient`).
    """

    @staticmethod
    def forward(ctx: Any, vector: Float[Tensor, "n"], matrix: sp.csr_array) -> Float[Tensor, "m"]:
        ctx.matrix = matrix
        return torch.from_numpy(matrix.T @ vector.numpy(force=True)).to(vector)

    @staticmethod
    def backward(ctx: Any, *gradients: Float[Tensor, "m"]) -> tuple[Float[Tensor, "n"], None]:
        (gradient,) = gradients
        return torch.from_numpy(ctx.matrix @ gradient.numpy(force=True)).to(gradient), None


class _GrowingArray:
    """An array to which parts are appended; it grows in place, by an eighth, and is never there twice."""

    def __init__(self, dtype: Any) -> None:
        self._values = np.empty(0, dtype)
        self._length = 0

    def append(self, part: np.ndarray) -> None:
        end = self._length + len(part)
        if end > len(self._values):
            self._values.resize(end + end // 8, refcheck=False)
        self._values[self._length : end] = part
        self._length = end

    def finished(self) -> np.ndarray:
        """The array; nothing can be appended any more."""
        self._values.resize(self._length, refcheck=False)
        return self._values
