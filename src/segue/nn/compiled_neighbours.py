"""The most similar items of each item, from counts of pairs, as a loop that numba compiles (the extra `fast`).

As `segue.nn.compiled_row_sums`: importing this module compiles the loop or loads it from numba's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, no_type_check

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
CSR = "Tuple((i8[::1], i4[::1], i4[::1]))"
_compiled = numba.njit(cache=True, nogil=True)  # for functions that only the loop calls, with the types it has


@no_type_check  # a function that numba can compile has no other decorator; the signature of the loop checks
def _count_pairs(one: int, items: tuple[Array, ...], users: tuple[Array, ...], count: Array, found: Array) -> int:
    """Add to `count`, which holds zeros, the pairs of item `one` with each other item; return how many have pairs.

    `found` gets these items, in any order.
    """
    (first, user, times), (start, item, _) = items, users
    num_pairs, num_found = 0, 0
    for place in range(first[one], first[one + 1]):
        num_pairs += start[user[place] + 1] - start[user[place]]
    if num_pairs > len(count):  # to look through all counts takes less time than to write a list along the way
        for place in range(first[one], first[one + 1]):
            for entry in range(start[user[place]], start[user[place] + 1]):
                count[np.uint32(item[entry])] += times[place]  # unsigned: no test for negative ones
        count[one] = 0
        for two in range(len(count)):
            found[num_found] = two
            num_found += count[two] > 0
        return num_found
    count[one] = 1  # so that it is not found
    for place in range(first[one], first[one + 1]):
        for entry in range(start[user[place]], start[user[place] + 1]):
            two = np.uint32(item[entry])
            found[num_found] = two
            num_found += count[two] == 0
            count[two] += times[place]
    count[one] = 0
    return num_found


@no_type_check
def _sift_down(similarity: Array, neighbour: Array, parent: int, size: int) -> None:
    """Move an entry down to its place in a heap, whose first entry is the least similar; of equals, the highest id."""
    value, item = similarity[parent], neighbour[parent]
    child = 2 * parent + 1
    while child < size:
        other = child + 1
        if other < size and (
            similarity[other] < similarity[child]
            or (similarity[other] == similarity[child] and neighbour[other] > neighbour[child])
        ):
            child = other
        if similarity[child] > value or (similarity[child] == value and neighbour[child] < item):
            break
        similarity[parent], neighbour[parent] = similarity[child], neighbour[child]
        parent, child = child, 2 * child + 1
    similarity[parent], neighbour[parent] = value, item


count_pairs, sift_down = _compiled(_count_pairs), _compiled(_sift_down)


@no_type_check
def _keep_best(candidate: Array, value: Array, neighbour: Array, similarity: Array) -> None:
    """Write the best candidates to `neighbour` and `similarity`, the best first; of equals, the lower id first."""
    size = min(len(candidate), len(neighbour))
    for place in range(size):
        neighbour[place], similarity[place] = candidate[place], value[place]
    for parent in range(size // 2 - 1, -1, -1):
        sift_down(similarity, neighbour, parent, size)
    for place in range(size, len(candidate)):
        if value[place] > similarity[0] or (value[place] == similarity[0] and candidate[place] < neighbour[0]):
            similarity[0], neighbour[0] = value[place], candidate[place]
            sift_down(similarity, neighbour, 0, size)
    for last in range(size - 1, 0, -1):  # the worst of those left goes to the end
        similarity[0], similarity[last] = similarity[last], similarity[0]
        neighbour[0], neighbour[last] = neighbour[last], neighbour[0]
        sift_down(similarity, neighbour, 0, last)


keep_best = _compiled(_keep_best)


@no_type_check
def _find_neighbours(
    bounds: tuple[int, int],
    items: tuple[Array, ...],
    users: tuple[Array, ...],
    factors: tuple[Array, Array],
    root: bool,
    shrinkage: float,
    neighbour: Array,
    similarity: Array,
) -> None:
    """Write the most similar items of some items, the most similar first; of equals, the lower id first.

    The similarity of items i and j is count(i, j) / (d + shrinkage), where d is `factors[0][i] factors[1][j]` or the
    square root of that. It is computed as numpy does, so the plain way of item-KNN gives equal bits. That way takes 3
    times as long: it makes and sorts all pairs of many items at once (benchmark row `handwritten`, part `neighbours`).

    Args:
        bounds: the first of the items, and the one after the last.
        items: (I + 1, U + 1) how often each user has each item, in CSR format: `indptr`, `indices` and `data`.
        users: (U + 1, I + 1) whether each user has each item, in the same format.
        factors: two of (I + 1,).
        root: whether d is a square root.
        shrinkage: added to d.
        neighbour: (n, K) gets the neighbours; an item with fewer keeps what is there.
        similarity: (n, K) gets their similarities.
    """
    left, right = factors
    count, found, value = np.zeros(len(right), np.int32), np.empty(len(right) + 1, np.int32), np.empty(len(right))
    for one in range(bounds[0], bounds[1]):
        num_found = count_pairs(one, items, users, count, found)
        for place in range(num_found):
            two = np.uint32(found[place])
            norm = left[one] * right[two]
            value[place] = count[two] / ((np.sqrt(norm) if root else norm) + shrinkage)
            count[two] = 0
        row = one - bounds[0]
        keep_best(found[:num_found], value[:num_found], neighbour[row], similarity[row])


find_neighbours: Callable[..., None] = numba.njit(
    f"void(UniTuple(i8, 2), {CSR}, {CSR}, UniTuple(f8[::1], 2), b1, f8, i4[:, ::1], f8[:, ::1])",
    cache=True,
    nogil=True,
)(_find_neighbours)
