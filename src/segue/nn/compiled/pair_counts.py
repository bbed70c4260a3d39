"""The weighted counts of pairs of events."""

from __future__ import annotations

from typing import no_type_check

import numpy as np

from segue.nn.compiled.jit import Array, compile_loop, inner_loop

BLOCK = 256  # items that are looked through together


@no_type_check
def _take(
    begin: int, end: int, one: int, seen: Array, total: Array, entries: tuple[Array, Array, Array], written: int
) -> int:
    """Write the sums of the items that were seen among begin, ..., end - 1, and clear them; the new number of entries.

    Sums of 0 are left out, as in a product of sparse matrices.
    Few are seen: to look at eight at a time is faster than to sort them.
    """
    eight_seen = seen.view(np.uint64)
    for eight in range(begin // 8, end // 8):
        if not eight_seen[eight]:
            continue
        for two in range(8 * eight, 8 * eight + 8):
            if seen[two] and total[two]:
                entries[0][written], entries[1][written], entries[2][written] = one, two, total[two]
                total[two] = 0.0
                written += 1
        eight_seen[eight] = 0
    return written


take = inner_loop(_take, exact=True)


@no_type_check
def _count_pairs(
    event: Array,
    item: Array,
    before: Array,
    after: Array,
    factors: tuple[Array, Array],
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
        factors: (R,) the factor of each event in the weights of its pairs, and (R,) that of the second event of a
            pair; (0,) if all are 1.
        weights: (2 D + 1,) the weight of a pair whose second event lies -D, ..., D positions on.
        num_ids: I + 1, above all items.
        entries: item, other item and sum, each as long as the entries may become.

    Returns:
        The number of entries that were written.
    """
    scale, target = factors
    block_seen = np.zeros(-(-num_ids // BLOCK), np.bool_)
    total, seen = np.zeros(num_ids), np.zeros(len(block_seen) * BLOCK, np.bool_)
    same, written, first, num_pairs = len(weights) // 2, 0, 0, 0
    for place in range(len(event)):
        e = event[place]
        factor = scale[e] if len(scale) else 1.0
        for other in range(e - before[e], e + after[e] + 1):
            if other != e:
                seen[item[other]] = True
                weight = weights[other - e + same] * factor
                total[item[other]] += weight * target[other] if len(target) else weight
        num_pairs += before[e] + after[e]
        if place + 1 < len(event) and item[event[place + 1]] == item[e]:
            continue
        if num_pairs < len(block_seen):  # a rare item: only few blocks need a look
            for one in event[first : place + 1]:
                for other in range(one - before[one], one + after[one] + 1):
                    block_seen[item[other] // BLOCK] = True
            for block in np.flatnonzero(block_seen):
                written = take(block * BLOCK, (block + 1) * BLOCK, item[e], seen, total, entries, written)
            block_seen[:] = False
        else:
            written = take(0, len(seen), item[e], seen, total, entries, written)
        first, num_pairs = place + 1, 0
    return written


count_pairs = compile_loop(
    _count_pairs,
    "i8(i8[::1], i4[::1], i8[::1], i8[::1], UniTuple(f8[::1], 2), f8[::1], i8, Tuple((i4[::1], i4[::1], f8[::1])))",
    exact=True,
)
