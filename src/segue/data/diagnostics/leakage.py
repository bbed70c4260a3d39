"""Measures what the test part of a split shares with training: a test set that was seen in training measures memory.

    train   u1   a@10  b@20  c@30         an event is an item at a time; b@20 is in both parts,
    test    u9   b@20  d@25               so u9 and u1 share an event
            u8   c@44                     u8 shares none: its evaluation instances are clean

A log without times has no events to compare. Long runs of items can still be found again in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.data.copies import exact_copies
from segue.data.diagnostics.repeats import had_before
from segue.data.log import Ids, Log, Mask, ranges
from segue.data.splits import Split
from segue.errors import ConfigError

LONG = 5  # items: shorter runs are found again by chance
WARNING_SHARE = 0.01  # share of shared test events above which there is a warning
TIME_SHIFTS = (-2, -1, 1, 2)  # in ticks of the log's time unit
RECALL_CUT_OFF = 20


@dataclass(frozen=True)
class SharedEvents:
    """Events that occur both in the test part and in training: the same item at the same time.

    Attributes:
        test_events: share of the test events that also occur in training.
        by_chance: the same share after all times are moved by one or two ticks: what coincidence explains.
        test_users: share of the test users with at least one shared event.
        fully_shared_users: share of the test users whose test events are all shared.
        num_instances: number of evaluation instances of the test part.
        num_clean: number of instances of users without a shared event.
        num_train_users: number of users whose training part shares an event with validation or test.
    """

    test_events: float
    by_chance: float
    test_users: float
    fully_shared_users: float
    num_instances: int
    num_clean: int
    num_train_users: int

    @property
    def warning(self) -> str | None:
        """One sentence if the share is at least 1% and twice what chance explains, otherwise None."""
        if self.test_events < WARNING_SHARE or self.test_events < 2 * self.by_chance:
            return None
        return (
            f"{self.test_events:.1%} of the test's events also occur in training (same item, same time), in "
            f"{self.test_users:.1%} of its users"
        )


@dataclass(frozen=True)
class Leakage:
    """What the test part of a split has in common with training.

    Attributes:
        num_users: number of users with a test part.
        shared: the events in both parts; None if the log has no times.
        num_long: number of users with at least 5 test items.
        contained: share of those whose test items are a contiguous run of one user's training items.
        repeats: share of the test events whose item the user had before.
        new_items: share of the test events whose item does not occur in training.
        ties: share of neighbouring test events of a user with the same time; None without times.
        popularity_recall: recall@20 of popularity, with targets ranked last and first among equal scores.
    """

    num_users: int
    shared: SharedEvents | None
    num_long: int
    contained: float
    repeats: float
    new_items: float
    ties: float | None
    popularity_recall: tuple[float, float]

    def sentences(self) -> list[str]:
        """The numbers in words, one sentence each."""
        last, first = self.popularity_recall
        lines = [
            f"{self.repeats:.1%} of its events repeat an item of the user, {self.new_items:.1%} have an item that "
            "is not in training",
            f"recall@{RECALL_CUT_OFF} of popularity {last:.2%}, {first:.2%} with targets before others of the same "
            "score",
        ]
        if self.num_long:
            lines.append(
                f"{self.contained:.1%} of the {self.num_long:,} users with {LONG} or more test items have the same "
                "run of items in training"
            )
        if shared := self.shared:
            lines += [
                f"{shared.test_events:.1%} of its events also occur in training (same item, same time), "
                f"{shared.by_chance:.1%} would by chance",
                f"{shared.test_users:.1%} of its users have such an event, {shared.fully_shared_users:.1%} have "
                "no others",
                f"{shared.num_clean:,} of {shared.num_instances:,} evaluation instances are clean: of users without "
                "such an event",
                f"{shared.num_train_users:,} training users share an event with validation or test",
            ]
        return lines


def measure_leakage(split: Split) -> Leakage:
    """Compare the test part of a split with its training part."""
    log, train = split.log, split.train
    rows, user = _rows(log, split.test, log.stop)
    counts = train.counts()
    num_long, contained = _contained(split)
    same_user = user[1:] == user[:-1]
    return Leakage(
        num_users=len(np.unique(user)),
        shared=shared_events(split),
        num_long=num_long,
        contained=contained,
        repeats=_mean(had_before(log)[rows]),
        new_items=_mean(counts[log.item[rows]] == 0),
        ties=None if log.time is None else _mean((np.diff(log.time[rows]) == 0)[same_user]),
        popularity_recall=_popularity_recall(counts, split.instances("test").targets()),
    )


def shared_events(split: Split, *, refit: bool = False) -> SharedEvents | None:
    """Test events that also occur in training (with `refit`, in training or validation); None without times."""
    log = split.log
    if log.time is None:
        return None
    rows, user = _rows(log, split.test, log.stop)
    train = np.sort(_events(log, split.training_rows(refit=refit)))
    shared = _contains(train, _events(log, rows))
    total, hits = (np.bincount(some, minlength=log.num_users + 1) for some in (user, user[shared]))
    shifted = [_mean(_contains(train, _events(log, rows, shift))) for shift in TIME_SHIFTS] if shared.any() else [0.0]
    instances = split.instances("test").user
    return SharedEvents(
        test_events=_mean(shared),
        by_chance=sum(shifted) / len(shifted),
        test_users=_mean(hits[total > 0] > 0),
        fully_shared_users=_mean((hits == total)[total > 0]),
        num_instances=len(instances),
        num_clean=int((hits[instances] == 0).sum()),
        num_train_users=int(_leaking_train_users(split).sum()),
    )


def leakage_warnings(split: Split, *, refit: bool = False, ranking: bool = True) -> tuple[str, ...]:
    """Warnings about the split, one sentence each, to be shown below every table of its results.

    Args:
        split: the split.
        refit: whether models are trained on validation data as well.
        ranking: whether items are ranked; protocols of ratings have neither groups nor a rule for leaks.
    """
    shared = shared_events(split, refit=refit)
    if shared is None or shared.warning is None:
        return ()
    return ("; ".join([shared.warning, *(leakage_advice(split, shared) if ranking else [])]),)


def leakage_advice(split: Split, shared: SharedEvents) -> list[str]:
    """What can be done about shared events: only what is possible with this split."""
    advice = []
    if exact_copies(split.log, ratings=False).any():
        advice.append("--duplicates exact drops exact copies of rows, which are among them")
    if 0 < shared.num_clean < shared.num_instances:
        advice.append("--by leak of segue run and segue evaluate evaluates the other users alone")
    sharing = shared.num_train_users
    if not _cut_users(split).any() and 0 < sharing < np.count_nonzero(split.train.lengths):
        users = "user who shares" if sharing == 1 else f"{sharing:,} users who share"
        advice.append(f"--leak drop of segue run trains without the {users}")
    return advice


def leaking_test_users(split: Split, *, refit: bool = False) -> Mask:
    """(U + 1,) whether a user's test part has an event that occurs in training (with `refit`, or in validation).

    All False if the log has no times.
    """
    return _users_sharing(split.log, split.test, split.log.stop, split.training_rows(refit=refit))


def drop_leaking_users(split: Split) -> Split:
    """The split without the training users who share an event with validation or test, and without the validation
    users who share one with test. The test part stays complete.

    Raises:
        ConfigError: the split cuts users, so they cannot be left out completely, or the log has no times.
    """
    log = split.log
    if log.time is None:
        raise ConfigError(f"{log.name}: leak='drop' compares the times of events, and this log has none; leave it out")
    cut = _cut_users(split)
    if cut.any():
        raise ConfigError(
            f"{log.name}: leak='drop' leaves out whole users (sequences), and this split cuts {int(cut.sum()):,} of "
            "them; choose a protocol that holds out users whole, such as session"
        )
    drop = _leaking_train_users(split) | _users_sharing(log, split.valid, split.test, ranges(split.test, log.stop))
    stop = np.where(drop, log.start, log.stop)
    return replace(split, log=log.until(stop), valid=np.minimum(split.valid, stop), test=np.minimum(split.test, stop))


def _cut_users(split: Split) -> Mask:
    """(U + 1,) whether a user's rows are in several parts of the split."""
    log = split.log
    return ((split.valid > log.start) & (split.valid < log.stop)) | ((split.test > log.start) & (split.test < log.stop))


def _leaking_train_users(split: Split) -> Mask:
    return _users_sharing(split.log, split.log.start, split.valid, ranges(split.valid, split.log.stop))


def _users_sharing(log: Log, start: Ids, stop: Ids, other_rows: Ids) -> Mask:
    """(U + 1,) whether a user has, in rows `start:stop`, an event that also occurs in `other_rows`."""
    rows, user = _rows(log, start, stop)
    if log.time is None:
        return np.zeros(log.num_users + 1, np.bool_)
    shared = _contains(np.sort(_events(log, other_rows)), _events(log, rows))
    return np.bincount(user[shared], minlength=log.num_users + 1) > 0


def _rows(log: Log, start: Ids, stop: Ids) -> tuple[Ids, Ids]:
    """(rows, their users) of `start:stop`."""
    return ranges(start, stop), np.repeat(np.arange(log.num_users + 1), stop - start)


def _events(log: Log, rows: Ids, shift: int = 0) -> Ids:
    """(n,) one number for the item and the time of each row, the time moved by `shift` ticks of the log's times."""
    if log.time is None or not len(rows):
        return np.zeros(0, np.int64)
    since = log.time - log.time.min()
    tick = int(np.gcd.reduce(since)) if shift else 0
    return (since[rows] + shift * tick) * (log.num_items + 1) + log.item[rows]


def _contains(ordered: Ids, values: Ids) -> Mask:
    """(len(values),) which of the values are in the sorted array `ordered`."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    order = np.argsort(values)  # ascending values are searched in nearby places, which is faster in large logs
    index = np.minimum(np.searchsorted(ordered, values[order]), len(ordered) - 1)
    found = np.empty(len(values), np.bool_)
    found[order] = ordered[index] == values[order]
    return found


def _contained(split: Split) -> tuple[int, float]:
    """How many test parts are long, and the share of them that are a contiguous run of one user's training part."""
    log, train = split.log, split.log.until(split.valid)
    length = log.stop - split.test
    long = np.flatnonzero(length >= LONG)
    last_start = np.maximum(train.stop - LONG + 1, train.start)
    row, end = ranges(train.start, last_start), np.repeat(train.stop, last_start - train.start)
    train_hash, test_hash = _hash_of_first_items(log.item, row), _hash_of_first_items(log.item, split.test[long])
    order = np.argsort(train_hash, kind="stable")
    first, last = (np.searchsorted(train_hash, test_hash, side, sorter=order) for side in ("left", "right"))
    test, candidate = np.repeat(np.arange(len(long)), last - first), order[ranges(first, last)]
    row, end = row[candidate], end[candidate]
    contained = np.zeros(len(long), np.bool_)
    step = 0
    while len(test):  # candidates whose first `step` items are those of their test part
        contained[test[step >= length[long[test]]]] = True
        left = np.flatnonzero(~contained[test] & (row + step < end))
        equal = left[log.item[row[left] + step] == log.item[split.test[long[test[left]]] + step]]
        test, row, end = test[equal], row[equal], end[equal]
        step += 1
    return len(long), _mean(contained)


def _hash_of_first_items(item: np.ndarray[Any, np.dtype[np.int32]], row: Ids) -> Ids:
    """(n,) one number for the first items from each row; equal numbers are compared item by item afterwards."""
    number = np.zeros(len(row), np.int64)
    for step in range(LONG):
        number = number * 1_000_003 + item[row + step]
    return number


def _popularity_recall(counts: Ids, targets: np.ndarray[Any, np.dtype[np.int32]]) -> tuple[float, float]:
    ordered = np.sort(counts[1:])
    higher, at_least = (len(ordered) - np.searchsorted(ordered, counts[targets], side) for side in ("right", "left"))
    return _mean(at_least <= RECALL_CUT_OFF), _mean(higher + 1 <= RECALL_CUT_OFF)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
