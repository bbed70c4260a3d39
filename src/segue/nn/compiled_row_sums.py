"""The sum of weighted rows of a sparse matrix as a loop that numba compiles (the extra `fast`).

Importing this module compiles the loop or loads it from numba's cache, so what can fail, fails here. The module
`segue.nn.compiled` decides when that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, no_type_check

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@no_type_check  # a function that numba can compile has no other decorator; the signatures below check
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


add_weighted_rows: Callable[..., None] = numba.njit(
    [f"void(i8[:, ::1], {kind}[:, ::1], i8[::1], i4[::1], {kind}[::1], {kind}[:, ::1])" for kind in ("f4", "f8")],
    cache=True,
    nogil=True,
)(_add_weighted_rows)
