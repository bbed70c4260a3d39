"""The sum of weighted rows of a sparse matrix."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.compiled.jit import Array, compile_loop


def weighted_row_sums(
    rows: Int[Tensor, "B L"],
    weights: Float[Tensor, "B L"],
    matrix: tuple[Int[Tensor, "R1"], Int[Tensor, "n"], Float[Tensor, "n"]],
    num_columns: int,
) -> Float[Tensor, "B K"]:
    """For each b, the sum over l of `weights[b, l]` times row `rows[b, l]` of a sparse matrix, as a dense tensor.

    Args:
        rows: numbers of rows.
        weights: of the type of the matrix.
        matrix: in CSR format: where each row begins among the entries, column of each entry, value of each entry.
        num_columns: K, the number of columns of the matrix.
    """
    parts = [part.numpy(force=True) for part in matrix]
    row, weight = (np.ascontiguousarray(part.numpy(force=True)) for part in (rows, weights))
    sums = torch.zeros(len(rows), num_columns, dtype=weights.dtype)
    add_weighted_rows(row, weight, *parts, sums.numpy())
    return sums.to(weights)


@no_type_check
def _add_weighted_rows(rows: Array, weights: Array, indptr: Array, indices: Array, values: Array, sums: Array) -> None:
    """Add to each row b of `sums` the rows `rows[b, l]` of a matrix in CSR format times `weights[b, l]`, l = 0, 1, ...

    It adds in the order of scipy's sparse product and fuses no operations, so both give equal bits on x86. The product
    takes 4 times as long: it looks twice for the columns of each sum, and then copies the sums into a dense matrix
    (benchmark row `handwritten`, part `sparse-row-sums`).

    Args:
        rows: (B, L) numbers of rows of the matrix.
        weights: (B, L) of the type of `values`.
        indptr: (R + 1,) where each row of the matrix begins among its entries.
        indices: (n,) columns of the entries.
        values: (n,) the entries.
        sums: (B, K) of the type of `values`.
    """
    for b in range(rows.shape[0]):
        for place in range(rows.shape[1]):
            row, weight = rows[b, place], weights[b, place]
            for entry in range(indptr[row], indptr[row + 1]):
                sums[b, np.uint32(indices[entry])] += weight * values[entry]  # unsigned: no test for negative ones


add_weighted_rows = compile_loop(
    _add_weighted_rows,
    "void(i8[:, ::1], F[:, ::1], i8[::1], i4[::1], F[::1], F[:, ::1])",
    torch.float32,
    torch.float64,
    exact=True,
)
