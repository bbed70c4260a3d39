"""Weighted counts of the pairs of events of a user: how often one item lies near another one.

Every two events of a user that lie at most `max_distance` positions apart form a pair, first i, then j:

    i . . j        distance 3

    c_ij = sum over the pairs (i, j) of  n^-length_discount  distance^-distance_decay,     n = events of the user
    count of i, j = c_ij + backward_weight c_ji

Where only some events are targets, the event with item j is one of them in every pair; with weights, each pair counts
so much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from segue.data.log import Codes, Floats, Ids, Log, ranges
from segue.models.base.item_pairs import MAX_PAIRS, group_blocks
from segue.nn.compiled.loops import pair_counts
from segue.nn.sparse import Entries


@dataclass(frozen=True, kw_only=True)
class PairWeights:
    """What a pair of events counts: see the top of the file."""

    max_distance: int
    distance_decay: float
    backward_weight: float
    length_discount: float = 0.0

    def by_distance(self) -> Floats:
        """(2 max_distance + 1,) the weight of a pair by the signed distance of its second event from the first."""
        distance = np.arange(-self.max_distance, self.max_distance + 1)
        weight = np.maximum(np.abs(distance), 1.0) ** -self.distance_decay
        return np.where(distance > 0, weight, self.backward_weight * weight) * (distance != 0)


def count_pairs(log: Log, pairs: PairWeights, target: Floats) -> Iterator[Entries]:
    """Item, other item and count of all pairs of items, each pair once, in ascending order, in blocks of items.

    Args:
        log: the events.
        pairs: what each pair counts.
        target: (R,) the weight of each row of the columns of the log as the second event of a pair.
    """
    events = _PairedEvents.of(log, pairs, target)
    width = events.before + events.after
    order = np.argsort(events.item, kind="stable")
    order = order[width[order] > 0]
    compiled = pair_counts.for_work(int(width.sum()))
    for parts in group_blocks(events.item[order], np.cumsum(width[order]), MAX_PAIRS):
        if compiled is not None:
            event = order[parts[0].start : parts[-1].stop]
            yield _compiled_counts(events, event, log.num_items + 1, compiled)
        elif len(parts) == 1:
            yield _counts(events, order[parts[0]], log.num_items + 1)
        else:
            yield _counts_of_item(events, [order[part] for part in parts], log.num_items + 1)


@dataclass(frozen=True, eq=False)
class _PairedEvents:
    """The events of a log, each with the events around it that it forms pairs with.

    Attributes:
        item: (R,) the item of each event.
        before: (R,) the number of earlier events that it forms pairs with.
        after: (R,) the number of later ones.
        scale: (R,) the factor of the weights of its pairs; None if it is 1.
        target: (R,) the weight of an event as the second of a pair; None if all have 1.
        weights: (2 max_distance + 1,) the weight of a pair whose second event lies -max_distance, ..., max_distance
            positions on.
    """

    item: Codes
    before: Ids
    after: Ids
    scale: Floats | None
    target: Floats | None
    weights: Floats

    @classmethod
    def of(cls, log: Log, pairs: PairWeights, target: Floats) -> _PairedEvents:
        user, item = log.events()
        length = log.lengths[user]
        position = np.arange(len(item)) - (np.cumsum(log.lengths) - log.lengths)[user]
        max_distance = min(pairs.max_distance, int(log.lengths.max()))  # no two events are farther apart
        before = np.minimum(position, max_distance if pairs.backward_weight else 0)
        after = np.minimum(length - 1 - position, max_distance)
        scale = length.astype(np.float64) ** -pairs.length_discount if pairs.length_discount else None
        target = log.column(target)
        all_alike = bool((target == 1).all())
        weights = replace(pairs, max_distance=max_distance).by_distance()
        return cls(item.astype(np.int32), before, after, scale, None if all_alike else target, weights)

    def pairs(self, event: Ids) -> tuple[Ids, Codes, Floats]:
        """Number of pairs of each event; the other item and the weight of each pair, event by event."""
        width = self.before[event] + self.after[event]
        other = ranges(event - self.before[event], event + self.after[event] + 1)
        distance = other - np.repeat(event, width + 1)
        other, distance = other[distance != 0], distance[distance != 0]
        weight = self.weights[distance + len(self.weights) // 2]
        if self.scale is not None:
            weight = weight * np.repeat(self.scale[event], width)
        if self.target is not None:
            weight = weight * self.target[other]
        return width, self.item[other], weight


def _compiled_counts(events: _PairedEvents, event: Ids, num_ids: int, compiled: Callable[..., int]) -> Entries:
    """The weighted counts of the pairs of some events, which are sorted by item, by the compiled loop."""
    pairs = (events.before[event] + events.after[event]).sum()
    most = int(min(pairs, num_ids * (1 + np.count_nonzero(np.diff(events.item[event])))))
    one, two, counts = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most)
    scale, target = (np.empty(0) if part is None else part for part in (events.scale, events.target))
    sizes = events.before, events.after, (scale, target), events.weights
    written = compiled(event, events.item, *sizes, num_ids, (one, two, counts))
    return one[:written], two[:written], counts[:written]


def _counts(events: _PairedEvents, event: Ids, num_ids: int) -> Entries:
    """The same in the plain form.

    They are a product of two sparse matrices: one row for each item with a 1 at each of its events, times one row for
    each event with the weights of the items around it.
    """
    width, other, weight = events.pairs(event)
    items, start = np.unique(events.item[event], return_index=True)
    offsets = np.append(0, np.cumsum(width)).astype(np.int32)
    around = sp.csr_array((weight, other, offsets), shape=(len(event), num_ids))
    entries = (
        np.ones(len(event)),
        np.arange(len(event), dtype=np.int32),
        np.append(start, len(event)).astype(np.int32),
    )
    counts = sp.csr_array(entries, shape=(len(items), len(event))) @ around  # (items of the block, I + 1)
    counts.sort_indices()
    return items[np.repeat(np.arange(len(items)), np.diff(counts.indptr))], counts.indices, counts.data


def _counts_of_item(events: _PairedEvents, parts: list[Ids], num_ids: int) -> Entries:
    """The same in the plain form for all events of one item that has too many pairs to hold at a time, part by part."""
    total = np.zeros(num_ids)
    for event in parts:
        _, other, weight = events.pairs(event)
        np.add.at(total, other, weight)  # in the order of the product of `_counts`, so sums are equal to the bit
    two = np.flatnonzero(total).astype(np.int32)
    return np.full(len(two), events.item[parts[0][0]]), two, total[two]
