"""`SessionParallel`: sessions side by side, one step of each a batch, as GRU4Rec is trained.

    sessions in order of their start     a b c   d e   f g h i   j k

    batch      1     2     3     4     5        each slot walks through one session;
    slot 0    a>b   b>c   f>g   g>h   h>i       where one ends, the next that waits begins
    slot 1    d>e   j>k    -     -     -        a slot with nothing left asks nothing

A row's history is the item before, and the item now: 0 before it says that a session begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from segue.batches.batch import Batch
from segue.batches.negative_sampling import PopularityNegatives, UniformNegatives
from segue.data.log import Ids, Log, ranges

AHEAD = 1 << 20  # negatives that are drawn at once


@dataclass(frozen=True, kw_only=True)
class SessionParallel:
    """Sessions, that is users, side by side, in order of their start: of time, or of the log where it has none.

    Attributes:
        negatives: G, negatives drawn for each target; 0 for none.
        shared: S, popular items drawn for each batch, which join its targets as negatives of all of them; None: no
            shared negatives.
        alpha: of the popular items; see `PopularityNegatives`.
    """

    negatives: int = 0
    shared: int | None = None
    alpha: float = 0.5

    def batches(self, log: Log, slots: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every step of every session once."""
        user, row = walk(log, slots)
        yield from self._with_shared(self._steps(log, user, row, rng), log, rng, slots)

    def _steps(self, log: Log, user: Ids, row: Ids, rng: np.random.Generator) -> Iterator[Batch]:
        """Of rows (T, B) at which questions are asked; 0 where there are none."""
        negatives = UniformNegatives(log) if self.negatives else None
        several = max(1, AHEAD // max(row.shape[1] * max(self.negatives, 1), 1))
        for begin in range(0, len(row), several):
            who, at = user[begin : begin + several], row[begin : begin + several]
            target = np.where(who > 0, log.item[at], 0)
            now = np.where(who > 0, log.item[at - 1], 0)
            before = np.where((who > 0) & (at - 1 > log.start[who]), log.item[at - 2], 0)
            columns = [who, np.stack([before, now], 2), target[..., None]]
            tensors = [torch.from_numpy(each.astype(np.int64, copy=False)).unbind() for each in columns]
            asked = torch.from_numpy(who > 0).unsqueeze(2).unbind()
            drawn: Any = [None] * len(who)
            if negatives is not None:
                each = negatives.draw(who.reshape(-1), (1, 1, self.negatives), rng)
                drawn = torch.from_numpy(each).unflatten(0, who.shape).unbind()
            for person, history, wanted, negative, asks in zip(*tensors, drawn, asked, strict=True):
                yield Batch(person, history, wanted, negative, asks)

    def _with_shared(self, batches: Iterator[Batch], log: Log, rng: np.random.Generator, slots: int) -> Iterator[Batch]:
        if self.shared is None:
            yield from batches
            return
        popular = PopularityNegatives(log.counts(), self.alpha)
        drawn = popular.stream(self.shared, rng)
        often = PopularityNegatives(log.counts(), 1.0).expected(slots)
        chance = torch.from_numpy(np.logaddexp(often, popular.expected(self.shared)) if self.shared else often)
        for batch in batches:
            target = batch.targets.flatten()
            shared = torch.cat([target[target > 0], torch.from_numpy(next(drawn))])
            yield replace(batch, shared=shared, chance=chance)


def walk(log: Log, slots: int) -> tuple[Ids, Ids]:
    """(user, row of the target), each (T, slots): which step each slot takes at each time; 0 where it has none left."""
    order = np.flatnonzero(log.sizes >= 2)
    if log.time is not None:
        order = order[np.argsort(log.time[log.start[order]], kind="stable")]
    length = log.sizes[order] - 1
    begin, slot = _places(length, min(slots, max(len(order), 1)))
    steps = int((begin + length).max(initial=0))
    user = np.zeros((steps, int(slot.max(initial=-1)) + 1), np.int64)
    row = np.zeros_like(user)
    where = ranges(begin, begin + length), np.repeat(slot, length)
    user[where] = np.repeat(order, length)
    row[where] = ranges(log.start[order] + 1, log.stop[order])
    return user, row


def _places(length: Ids, slots: int) -> tuple[Ids, Ids]:
    """When and in which slot each session begins: the next one where a slot is free, the lower slot first."""
    begin, slot = np.zeros_like(length), np.zeros_like(length)
    free = np.zeros(slots, np.int64)  # the time at which each slot is free
    given = 0
    while given < len(length):
        now = free.min()
        idle = np.flatnonzero(free == now)[: len(length) - given]
        some = slice(given, given + len(idle))
        begin[some], slot[some] = now, idle
        free[idle] += length[some]
        given += len(idle)
    return begin, slot
