"""What models of neighbouring items share: pairs of items counted in blocks, of which the most similar are kept.

`MAX_PAIRS` bounds the memory: `group_blocks` cuts the work into blocks of so many pairs, and `nearest_entries` leaves
of each block what the model needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from segue.data.log import distinct
from segue.nn.sparse import Entries, Integers

MAX_PAIRS = 4_000_000  # pairs that are counted at a time


def nearest_entries(entries: Entries, k: int | None) -> Entries:
    """The pairs of each item with its `k` most similar items; among equals, with the lower ids.

    Args:
        entries: item, other item and similarity of each pair, ascending by item.
        k: number of items; None for all.
    """
    if k is None:
        return entries
    item, other, similarity = entries
    ends = np.append(0, np.flatnonzero(np.diff(item, append=-1)) + 1)
    keep = np.ones(len(item), np.bool_)
    for row in np.flatnonzero(np.diff(ends) > k):
        part = slice(ends[row], ends[row + 1])
        last = np.partition(similarity[part], -k)[-k]
        keep[part] = similarity[part] >= last
        surplus = np.count_nonzero(keep[part]) - k
        if surplus:
            equal = ends[row] + np.flatnonzero(similarity[part] == last)
            keep[equal[np.argsort(other[equal])[len(equal) - surplus :]]] = False
    return item[keep], other[keep], similarity[keep]


def group_blocks(group: Integers, work: Integers, max_work: int) -> Iterator[list[slice]]:
    """Ranges of the sorted array `group`, each with at most about `max_work` work: [one range] of whole groups.

    A single group with more work comes alone, as several ranges.

    Args:
        group: (n,) ascending.
        work: (n,) cumulative work of the entries.
        max_work: work of a range. One with a single entry may have more, and parts of a group that of one entry more.
    """
    begin = 0
    while begin < len(group):
        done = int(work[begin - 1]) if begin else 0
        end = int(np.searchsorted(work, done + max_work, side="right"))
        if end < len(group):
            end = int(np.searchsorted(group, group[end], side="left"))
        if end > begin:
            yield [slice(begin, end)]
        else:
            end = int(np.searchsorted(group, group[begin], side="right"))
            limits = np.arange(done + max_work, int(work[end - 1]), max_work)
            cuts = distinct(
                np.concatenate([[begin], begin + np.searchsorted(work[begin:end], limits, side="right"), [end]])
            )
            yield [slice(a, b) for a, b in pairwise(cuts.tolist())]
        begin = end
