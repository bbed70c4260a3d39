"""The most similar items of each item, from counts of pairs."""

from __future__ import annotations

from typing import no_type_check

import numpy as np

from segue.nn.compiled.jit import Array, compile_loop, inner_loop

CSR = "Tuple((i8[::1], i4[::1], i4[::1]))"


@no_type_check
def _pairs_of(one: int, items: tuple[Array, ...], users: tuple[Array, ...], count: Array, found: Array) -> int:
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


sift_down = inner_loop(_sift_down, exact=True)


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


pairs_of, keep_best = inner_loop(_pairs_of, exact=True), inner_loop(_keep_best, exact=True)


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
        num_found = pairs_of(one, items, users, count, found)
        for place in range(num_found):
            two = np.uint32(found[place])
            norm = left[one] * right[two]
            value[place] = count[two] / ((np.sqrt(norm) if root else norm) + shrinkage)
            count[two] = 0
        row = one - bounds[0]
        keep_best(found[:num_found], value[:num_found], neighbour[row], similarity[row])


find_neighbours = compile_loop(
    _find_neighbours,
    f"void(UniTuple(i8, 2), {CSR}, {CSR}, UniTuple(f8[::1], 2), b1, f8, i4[:, ::1], f8[:, ::1])",
    exact=True,
)
