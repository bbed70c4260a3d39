"""Training batches from a log: sliding windows, causal sequences, and (user, item) pairs.

They are array operations on the log's own columns; the expanded training examples are never stored.

rows of a user         a  b  c  d  e  f  g  h       a query at a row has the T items from that row on as targets
window L = 3, T = 2:  [a b c] -> d e                and reads the L items before it
                         [b c d] -> e f
A batch row with C = 2 queries:  history a b c d,  targets (d e), (e f). Neighbouring windows share their items, so what
depends on (user, item) alone is computed once for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from segue.batches.batch import SequenceBatch
from segue.batches.negative_sampling import ShownNegatives, UniformNegatives
from segue.data.event_features import NOTHING
from segue.data.log import Codes, Floats, Ids, Log, Mask
from segue.data.sessions import SessionRule


@dataclass(frozen=True, kw_only=True)
class SlidingWindows:
    """Sliding windows over the rows of each user; neighbouring windows may share a batch row.

    Attributes:
        window: L, number of items that a query reads.
        num_targets: T, number of following items that are its targets.
        windows_per_row: C, number of neighbouring windows in a batch row.
        num_negatives: G, negatives drawn for each target; 0 for none.
        shown: whether they are drawn from the items that were shown with the target; see `ShownNegatives`.
        positions: where the queries are. "full": wherever L items precede and T follow (a user with fewer than L + T
            rows has one query, with a padded history and the targets that there are). "every": after every item that T
            items follow, and after the first item of a shorter user.
        times: whether batches hold the times of events, and when the next item is wanted.
        types: whether batches hold the types of events.
    """

    window: int
    num_targets: int = 1
    windows_per_row: int = 1
    num_negatives: int = 0
    shown: bool = False
    positions: Literal["full", "every"] = "full"
    times: bool = False
    types: bool = False

    def query_rows(self, log: Log) -> tuple[Ids, Ids]:
        """(first, stop), each (U + 1,): the range of rows of each user at which there is a query."""
        last = np.maximum(log.start + 1, log.stop - self.num_targets)
        first = np.minimum(log.start + self.window, last) if self.positions == "full" else log.start + 1
        return first, np.where(log.lengths >= 2, last + 1, first)

    def batches(self, log: Log, batch_size: int, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        """One epoch: every query once, in random order, about `batch_size` queries per batch."""
        user, row, mask = self._rows(log, rng)
        shape = (self.windows_per_row, self.num_targets, self.num_negatives)
        # drawn for the whole epoch while users are in order, which keeps the binary searches in the cache
        if self.num_negatives and self.shown:
            target_row = row[:, None, None] + np.arange(shape[0])[:, None] + np.arange(shape[1])  # (n, C, T)
            negatives = ShownNegatives(log).draw(user, target_row, self.num_negatives, rng)
        else:
            negatives = UniformNegatives(log).draw(user, shape, rng) if self.num_negatives else _none(len(user), shape)
        order = rng.permutation(len(user))
        rows = max(1, -(-len(user) * batch_size // max(1, int(mask.sum()))))
        for begin in range(0, len(order), rows):
            index = order[begin : begin + rows]
            next_row = row[index] + self.windows_per_row - 1  # after the newest item
            length = self.window + self.windows_per_row - 1
            num_targets = self.num_targets + self.windows_per_row - 1
            yield SequenceBatch(
                _ids(user[index]),
                _items(log, user[index], next_row, -length, 0),  # (B, L + C - 1)
                _targets(log, user[index], row[index], 0, num_targets),  # (B, T + C - 1)
                torch.from_numpy(mask[index]),
                torch.from_numpy(negatives[index]),
                **(_times(log, user[index], next_row, length) if self.times else {}),
                **(_types(log, user[index], next_row, length) if self.types else {}),
            )

    def _rows(self, log: Log, rng: np.random.Generator) -> tuple[Ids, Ids, Mask]:
        """(user, row of the first query, (n, C) mask of the queries) of every batch row, user by user.

        The offset of a user's batch rows is drawn anew each epoch.
        """
        first, stop = self.query_rows(log)
        offset = rng.integers(0, self.windows_per_row, len(first))
        offset[stop - first <= self.windows_per_row] = 0
        count = -((first - offset - stop) // self.windows_per_row)
        count[stop == first] = 0
        user = np.repeat(np.arange(len(first)), count)
        number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        row = (first - offset)[user] + number * self.windows_per_row
        query_row = row[:, None] + np.arange(self.windows_per_row)
        return user, row, (query_row >= first[user][:, None]) & (query_row < stop[user][:, None])


@dataclass(frozen=True, kw_only=True)
class CausalSequences:
    """Subsequences of each user's rows for causal models: one pass trains on the next item at every position.

    rows of a user     a  b  c  d  e  f         window L = 4; the target of each position is the next item:
    last:   history  b c d e   target  c d e f                    the newest subsequence only
    all:    history  b c d e   target  c d e f    mask 1 1 1 1    and older ones, until every pair was a target once;
                     0 0 0 a           0 0 0 b         0 0 0 1    their offset is drawn anew each epoch

    Attributes:
        window: L, items of a subsequence. The newest is in the last column, as when the model is used.
        coverage: "last" for the newest subsequence of each user, "all" for all of them.
        new_targets: with "all", only the last `new_targets` positions of a subsequence are trained on, so that most
            targets have a long history; None for all positions.
        num_negatives: G, negatives drawn for each target; 0 for none.
        shown: whether they are drawn from the items that were shown with the target; see `ShownNegatives`.
        times: whether batches hold the times of events, and when the next item is wanted.
        types: whether batches hold the types of events.
        features: whether batches hold the features of events.
        sessions: how the sessions that batches hold are told apart; None for none.
        shift: rows from an item to the target of its position: 1 for the next item, or 0 for the item itself.
    """

    window: int
    coverage: Literal["last", "all"] = "all"
    new_targets: int | None = None
    num_negatives: int = 0
    shown: bool = False
    times: bool = False
    types: bool = False
    features: bool = False
    sessions: SessionRule | None = None
    shift: Literal[0, 1] = 1

    def batches(self, log: Log, batch_size: int, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        """One epoch in random order, `batch_size` subsequences per batch.

        Within a batch the shortest come first, so that slices of a batch hold little padding.
        """
        user, newest, oldest = self._subsequences(log, rng)
        draw = self._sampler(log, rng)
        length = np.minimum(newest - log.start[user], self.window)
        order = rng.permutation(len(user))
        for begin in range(0, len(order), batch_size):
            index = order[begin : begin + batch_size]
            index = index[np.argsort(length[index], kind="stable")]
            target_row = newest[index][:, None] + np.arange(1 - self.window, 1)  # (B, L)
            next_row = newest[index] + 1 - self.shift  # after the newest item
            negatives = draw(user[index], target_row)
            yield SequenceBatch(
                _ids(user[index]),
                _items(log, user[index], next_row, -self.window, 0),
                _targets(log, user[index], newest[index], 1 - self.window, 1),
                torch.from_numpy(target_row >= oldest[index][:, None]),
                torch.from_numpy(negatives),
                **(_times(log, user[index], next_row, self.window) if self.times else {}),
                **(_types(log, user[index], next_row, self.window) if self.types else {}),
                **(_features(log, user[index], next_row, self.window) if self.features else {}),
                **(_sessions(log, self.sessions, user[index], next_row, self.window) if self.sessions else {}),
            )

    def _sampler(self, log: Log, rng: np.random.Generator) -> Callable[[Ids, Ids], Ids]:
        """What draws (B, L, 1, G) negatives for users and the rows (B, L) of their targets."""
        shape = (self.window, 1, self.num_negatives)
        if not self.num_negatives:
            return lambda user, _: _none(len(user), shape)
        if self.shown:
            of_shown = ShownNegatives(log)
            return lambda user, row: of_shown.draw(user, row[..., None], self.num_negatives, rng)
        uniform = UniformNegatives(log)
        return lambda user, _: uniform.draw(user, shape, rng)

    def _subsequences(self, log: Log, rng: np.random.Generator) -> tuple[Ids, Ids, Ids]:
        """(user, row of the newest target, row of the oldest target) of every subsequence."""
        new = min(self.new_targets or self.window, self.window)
        targets = np.maximum(log.lengths - 1, 0)
        count = np.minimum(targets, 1) if self.coverage == "last" else -(-targets // new)
        offset = np.zeros_like(count)
        if self.coverage == "all":
            offset = np.where(targets > new, rng.integers(0, new, len(count)), 0)
            count = -(-(targets + offset) // new)
        user = np.repeat(np.arange(len(count)), count)
        number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        # the newest subsequence has `new - offset` targets, the oldest those that are left
        newest = log.stop[user] - 1 - np.maximum(number * new - offset[user], 0)
        oldest = log.stop[user] - (number + 1) * new + offset[user]
        if self.coverage == "last":
            oldest = log.stop[user] - self.window
        return user, newest, np.maximum(oldest, log.start[user] + 1)


def user_item_pairs(
    log: Log, batch_size: int, rng: np.random.Generator, *, num_negatives: int = 1, recency: float = 0.0
) -> Iterator[SequenceBatch]:
    """One epoch of (user, item) pairs with negatives, without histories: C = T = 1.

    Every event of the log is used once. With `recency`, as many events are drawn instead, each with a probability
    proportional to e^-(age / recency).
    """
    user, item = _drawn_events(log, rng, recency)
    negatives = UniformNegatives(log).draw(user, (1, 1, num_negatives), rng)
    order = rng.permutation(len(user))
    for begin in range(0, len(order), batch_size):
        index = order[begin : begin + batch_size]
        no_history = torch.empty((len(index), 0), dtype=torch.long)
        mask = torch.ones((len(index), 1), dtype=torch.bool)
        target = _ids(item[index]).unsqueeze(1)
        yield SequenceBatch(_ids(user[index]), no_history, target, mask, torch.from_numpy(negatives[index]))


def user_item_triples(log: Log, rng: np.random.Generator, *, recency: float = 0.0) -> Codes:
    """(n, 3) user, item and negative of the examples of `user_item_pairs` with one negative each, in the same order."""
    user, item = _drawn_events(log, rng, recency)
    negative = UniformNegatives(log).draw(user, (), rng)
    order = rng.permutation(len(user))
    return np.stack([user[order], item[order], negative[order]], axis=1, dtype=np.int32, casting="same_kind")


def _drawn_events(log: Log, rng: np.random.Generator, recency: float) -> tuple[Ids, Codes]:
    """Users and items of the events of an epoch, sorted by user: of those that may be targets."""
    user, item = log.events()
    ages = event_ages(log) if recency > 0 else None
    if log.is_target is not None:
        is_target = log.column(log.is_target)
        user, item, ages = user[is_target], item[is_target], None if ages is None else ages[is_target]
    if ages is not None and len(user):
        weight = np.exp(-ages / recency)
        row = np.sort(rng.choice(len(user), len(user), p=weight / weight.sum()))
        user, item = user[row], item[row]
    return user, item


def event_ages(log: Log) -> Floats:
    """(len(log),) the share of all events that came after each event; of its user's events if the log has no times."""
    if log.time is None:
        after = np.repeat(log.stop, log.lengths) - 1 - log.rows()
        return after / np.repeat(log.lengths, log.lengths)
    time = log.column(log.time)
    return 1 - np.searchsorted(np.sort(time), time, side="right") / max(len(time), 1)


def _items(log: Log, user: Ids, row: Ids, begin: int, end: int) -> torch.Tensor:
    """(n, end - begin) the items at rows `row + begin` up to `row + end`; 0 outside the user's rows."""
    return _values(log, log.item, user, row, begin, end)


def _targets(log: Log, user: Ids, row: Ids, begin: int, end: int) -> torch.Tensor:
    """The same of events that may be targets; 0 for others."""
    items = _items(log, user, row, begin, end)
    return items if log.is_target is None else items * _values(log, log.is_target, user, row, begin, end)


def _types(log: Log, user: Ids, row: Ids, length: int) -> dict[str, torch.Tensor]:
    """`types` of a batch: of the `length` rows before each row.

    Raises:
        DataError: the log has no types of events.
    """
    return {"types": _values(log, log.known_event_types, user, row, -length, 0)}


def _features(log: Log, user: Ids, row: Ids, length: int) -> dict[str, torch.Tensor]:
    """`features` of a batch: of the `length` rows before each row; NaN outside the user's rows.

    Raises:
        DataError: the log has no event features.
    """
    rows, inside = _rows(log, user, row, -length, 0)
    values = log.known_event_features.take(rows, axis=0, mode="clip")  # (n, length, F)
    return {"features": torch.from_numpy(np.where(inside[..., None], values, NOTHING))}


def _sessions(log: Log, rule: SessionRule, user: Ids, row: Ids, length: int) -> dict[str, torch.Tensor]:
    """`sessions` of a batch: of the `length` rows before each row.

    Raises:
        DataError: the log has not what the rule needs.
    """
    return {"sessions": _values(log, rule.numbers(log), user, row, -length, 0)}


def _times(log: Log, user: Ids, row: Ids, length: int) -> dict[str, torch.Tensor]:
    """`times` and `time` of a batch: of the `length` rows before each row, and of the row itself.

    Raises:
        DataError: the log has no times.
    """
    times = _values(log, log.known_times, user, row, -length, 1)
    return {"times": times[:, :-1], "time": times[:, -1]}


def _values(
    log: Log, column: np.ndarray[Any, np.dtype[Any]], user: Ids, row: Ids, begin: int, end: int
) -> torch.Tensor:
    rows, inside = _rows(log, user, row, begin, end)
    return _ids(np.where(inside, column.take(rows, mode="clip"), 0))


def _rows(log: Log, user: Ids, row: Ids, begin: int, end: int) -> tuple[Ids, Mask]:
    """(n, end - begin) the rows `row + begin` up to `row + end`, and which of them are the user's."""
    rows = row[:, None] + np.arange(begin, end)
    return rows, (rows >= log.start[user][:, None]) & (rows < log.stop[user][:, None])


def _ids(array: np.ndarray[Any, np.dtype[Any]]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int64, copy=False))


def _none(rows: int, shape: tuple[int, int, int]) -> Ids:
    """(rows, C, T, 0) no negatives."""
    return np.empty((rows, *shape), np.int64)
