"""Session-parallel mini-batches: one step of each of several sessions per batch, as GRU4Rec is trained.

    sessions in order of their start     a b c   d e   f g h i   j k

    batch      1     2     3     4     5        each slot goes through one session;
    slot 0    a>b   b>c   f>g   g>h   h>i       where a session ends, the next one that waits begins
    slot 1    d>e   j>k    -     -     -        a slot with no session left is masked out

The history of a row is the previous item and the current item; the previous item is 0 at the start of a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from segue.batches.batch import SequenceBatch
from segue.batches.negative_sampling import PopularityNegatives, UniformNegatives
from segue.data.log import Ids, Log, ranges

_BUFFER = 1 << 20  # negatives drawn at a time


@dataclass(frozen=True, kw_only=True)
class SessionParallel:
    """Session-parallel mini-batches; the users are the sessions, in order of their start.

    The order is that of time, or that of the log if it has no times.

    Attributes:
        num_negatives: G, negatives drawn for each target; 0 for none.
        num_shared: S, items drawn by popularity for each batch, which join its targets as negatives of all of them;
            None for no shared negatives.
        sample_alpha: exponent of the popularity; see `PopularityNegatives`.
    """

    num_negatives: int = 0
    num_shared: int | None = None
    sample_alpha: float = 0.5

    def batches(self, log: Log, slots: int, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        """One epoch: every step of every session once."""
        user, row = session_schedule(log, slots)
        yield from self._with_shared_negatives(self._steps(log, user, row, rng), log, rng, slots)

    def _steps(self, log: Log, user: Ids, row: Ids, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        """One batch for each step of a schedule: users and rows of their targets, each (T, B); 0 for none."""
        sampler = UniformNegatives(log) if self.num_negatives else None
        steps = max(1, _BUFFER // max(row.shape[1] * max(self.num_negatives, 1), 1))
        for begin in range(0, len(row), steps):
            who, at = user[begin : begin + steps], row[begin : begin + steps]
            target = np.where(who > 0 if log.is_target is None else (who > 0) & log.is_target[at], log.item[at], 0)
            current = np.where(who > 0, log.item[at - 1], 0)
            previous = np.where((who > 0) & (at - 1 > log.start[who]), log.item[at - 2], 0)
            shape = (1, 1, self.num_negatives)
            negatives = np.empty((who.size, *shape)) if sampler is None else sampler.draw(who.reshape(-1), shape, rng)
            columns = [
                who,
                np.stack([previous, current], 2),  # (T, B, 2)
                target[..., None],
                (who > 0)[..., None],
                negatives.reshape(*who.shape, *shape),
            ]
            kinds = [np.int64, np.int64, np.int64, np.bool_, np.int64]
            tensors = [torch.from_numpy(c.astype(k, copy=False)).unbind() for c, k in zip(columns, kinds, strict=True)]
            for tensor in zip(*tensors, strict=True):
                yield SequenceBatch(*tensor)

    def _with_shared_negatives(
        self, batches: Iterator[SequenceBatch], log: Log, rng: np.random.Generator, slots: int
    ) -> Iterator[SequenceBatch]:
        if self.num_shared is None:
            yield from batches
            return
        popular = PopularityNegatives(log.counts(), self.sample_alpha)
        draws = popular.stream(self.num_shared, rng)
        log_count = PopularityNegatives(log.counts(), 1.0).log_expected_count(slots)
        if self.num_shared:
            log_count = np.logaddexp(log_count, popular.log_expected_count(self.num_shared))
        log_expected_count = torch.from_numpy(log_count)
        for batch in batches:
            target = batch.targets.flatten()
            shared = torch.cat([target[target > 0], torch.from_numpy(next(draws))])
            yield replace(batch, shared_negatives=shared, log_expected_count=log_expected_count)


def session_schedule(log: Log, slots: int) -> tuple[Ids, Ids]:
    """(user, row of the target), each (T, slots): the step that each slot takes at each time; 0 if none is left."""
    order = np.flatnonzero(log.lengths >= 2)
    if log.time is not None:
        order = order[np.argsort(log.time[log.start[order]], kind="stable")]
    length = log.lengths[order] - 1
    begin, slot = _assign_slots(length, min(slots, max(len(order), 1)))
    steps = int((begin + length).max(initial=0))
    user = np.zeros((steps, int(slot.max(initial=-1)) + 1), np.int64)
    row = np.zeros_like(user)
    index = ranges(begin, begin + length), np.repeat(slot, length)
    user[index] = np.repeat(order, length)
    row[index] = ranges(log.start[order] + 1, log.stop[order])
    return user, row


def _assign_slots(length: Ids, slots: int) -> tuple[Ids, Ids]:
    """(begin, slot) of each session: the next session takes the first slot that is free, the lowest of several."""
    begin, slot = np.zeros_like(length), np.zeros_like(length)
    free_at = np.zeros(slots, np.int64)
    assigned = 0
    while assigned < len(length):
        now = free_at.min()
        free = np.flatnonzero(free_at == now)[: len(length) - assigned]
        sessions = slice(assigned, assigned + len(free))
        begin[sessions], slot[sessions] = now, free
        free_at[free] += length[sessions]
        assigned += len(free)
    return begin, slot
