"""The weighted counts of pairs of events as a loop that numba compiles (the extra `fast`).

As `segue.nn.compiled_row_sums`: importing this module compiles the loop or loads it from numba's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, no_type_check

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@no_type_check  # a function that numba can compile has no other decorator; the signature below checks
def _count_pairs(
    event: Array,
    item: Array,
    before: Array,
    after: Array,
    scale: Array,
    weights: Array,
    num_ids: int,
    entries: tuple[Array, Array, Array],
) -> int:
    """Sum the weights of the pairs of some events by item and other item; write each sum once, in ascending order.

    It adds in the order of the product of sparse matrices of seq-knn, so both give equal bits. That way
    takes 2.5 times as long: it makes all pairs first (benchmark row `handwritten`, part `pair-counts`).

    Args:
        event: (n,) numbers of events, sorted by their item.
        item: (R,) the item of each event.
        before: (R,) the number of earlier events that it forms pairs with.
        after: (R,) the number of later ones.
        scale: (R,) the factor of the weights of its pairs; (0,) if it is 1.
        weights: (2 D + 1,) the weight of a pair whose second event lies -D, ..., D positions on.
        num_ids: I + 1, above all items.
        entries: item, other item and sum, each as long as the entries may become.

    Returns:
        The number of entries that were written.
    """
    total, seen = np.zeros(num_ids), np.zeros(-(-num_ids // 8) * 8, np.bool_)
    eight_seen = seen.view(np.uint64)  # most are 0: to look at eight at a time is faster than to sort those seen
    same, written = len(weights) // 2, 0
    for place in range(len(event)):
        e = event[place]
        factor = scale[e] if len(scale) else 1.0
        for other in range(e - before[e], e + after[e] + 1):
            if other != e:
                seen[item[other]] = True
                total[item[other]] += weights[other - e + same] * factor
        if place + 1 < len(event) and item[event[place + 1]] == item[e]:
            continue
        for eight in range(len(eight_seen)):
            if eight_seen[eight]:
                for j in range(8 * eight, 8 * eight + 8):
                    if seen[j]:
                        entries[0][written], entries[1][written], entries[2][written] = item[e], j, total[j]
                        total[j] = 0.0
                        written += 1
                eight_seen[eight] = 0
    return written


count_pairs: Callable[..., int] = numba.njit(
    "i8(i8[::1], i4[::1], i8[::1], i8[::1], f8[::1], f8[::1], i8, Tuple((i4[::1], i4[::1], f8[::1])))",
    cache=True,
    nogil=True,
)(_count_pairs)
