"""What the held-out part of a split has in common with training: a test that training has seen measures memory.

    train   u1   a@10  b@20  c@30         an event is an item at a time; b@20 stands on both sides,
    test    u9   b@20  d@25               so u9 shares an event, and u1 does
            u8   c@44                     u8 shares none: its questions are clean

Where the log has no times there are no events to compare; long runs of items can still be found again in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.data.log import Ids, Log, ranges
from segue.data.splits import Split
from segue.errors import ConfigError

Mask = np.ndarray[Any, np.dtype[np.bool_]]

LONG = 5  # items: shorter runs are found again by chance
SERIOUS = 0.01  # share of the test's events above which there is a warning
TICKS = (-2, -1, 1, 2)
CUT = 20  # of the recall that ties of popularity are tried on


@dataclass(frozen=True)
class Shared:
    """Events that stand both in the test and in training: the same item at the same time.

    Attributes:
        events: share of the test's events that do.
        chance: the same with every time moved by one or two ticks of the log's clock: what coincidence makes of it.
        holders: share of the users with a test part who have such an event in it.
        whole: share of these users whose test part has no other.
        questions: how many questions the test has.
        clean: how many of them are of users without such an event.
        givers: users whose training part shares an event with validation or test.
    """

    events: float
    chance: float
    holders: float
    whole: float
    questions: int
    clean: int
    givers: int

    @property
    def warning(self) -> str | None:
        """One sentence, where it is more than a coincidence."""
        if self.events < SERIOUS or self.events < 2 * self.chance:
            return None
        return (
            f"{self.events:.1%} of the test's events stand in training too (same item, same time), in "
            f"{self.holders:.1%} of its users"
        )


@dataclass(frozen=True)
class Overlap:
    """What the test part of a split has in common with training.

    Attributes:
        users: users with a test part.
        shared: events on both sides; None where the log has no times.
        long: users whose test part has 5 items or more.
        contained: share of those whose test part is a run of one user's training part, item by item.
        repeats: share of the test's events whose item the user had before.
        unknown: share of the test's events whose item does not occur in training.
        ties: share of the neighbours in a user's test part that have the same time; None without times.
        popular: recall@20 of popularity with targets behind all others of the same score, and before them.
    """

    users: int
    shared: Shared | None
    long: int
    contained: float
    repeats: float
    unknown: float
    ties: float | None
    popular: tuple[float, float]

    def told(self) -> list[str]:
        """For people, a sentence each."""
        behind, before = self.popular
        lines = [
            f"{self.repeats:.1%} of its events repeat an item of the user, {self.unknown:.1%} have one new to training",
            f"recall@{CUT} of popularity {behind:.2%}, {before:.2%} with targets before others of the same score",
        ]
        if self.long:
            lines.append(f"{self.contained:.1%} of the {self.long:,} tests of {LONG} items or more run inside training")
        if shared := self.shared:
            lines += [
                f"{shared.events:.1%} of its events stand in training too (same item, same time), "
                f"{shared.chance:.1%} would by chance",
                f"{shared.holders:.1%} of its users have such an event, {shared.whole:.1%} have no other",
                f"{shared.clean:,} of {shared.questions:,} questions are clean: of users without one",
                f"{shared.givers:,} users of training share an event with validation or test",
            ]
        return lines


def overlap(split: Split) -> Overlap:
    """Compare the test part of a split with its training part."""
    log, train = split.log, split.train
    rows, user = _rows(log, split.test, log.stop)
    counts = train.counts()
    long, contained = _contained(split)
    neighbours = user[1:] == user[:-1]
    return Overlap(
        users=len(np.unique(user)),
        shared=shared_events(split),
        long=long,
        contained=contained,
        repeats=_mean(_had_before(log)[rows]),
        unknown=_mean(counts[log.item[rows]] == 0),
        ties=None if log.time is None else _mean((np.diff(log.time[rows]) == 0)[neighbours]),
        popular=_popular(counts, split.instances("test").targets()),
    )


def shared_events(split: Split, *, refit: bool = False) -> Shared | None:
    """Events of the test that stand in training too (with `refit` in validation too); None without times."""
    log = split.log
    if log.time is None:
        return None
    rows, user = _rows(log, split.test, log.stop)
    known = np.sort(_events(log, (split.train_valid if refit else split.train).rows()))
    both = _among(_events(log, rows), known)
    size, share = np.bincount(user, minlength=log.num_users + 1), np.bincount(user[both], minlength=log.num_users + 1)
    by_chance = [_mean(_among(_events(log, rows, ticks), known)) for ticks in TICKS] if both.any() else [0.0]
    asked = split.instances("test").user
    return Shared(
        events=_mean(both),
        chance=sum(by_chance) / len(by_chance),
        holders=_mean(share[size > 0] > 0),
        whole=_mean((share == size)[size > 0]),
        questions=len(asked),
        clean=int((share[asked] == 0).sum()),
        givers=int(_givers(split).sum()),
    )


def warnings(split: Split, *, refit: bool = False) -> tuple[str, ...]:
    """What makes figures of this split doubtful, one sentence each, for every table of them."""
    shared = shared_events(split, refit=refit)
    found = shared.warning if shared else None
    return (f"{found}: see --by leak, and --leak drop",) if found else ()


def sharing(split: Split, *, refit: bool = False) -> Mask:
    """(U + 1,) the users whose test part holds an event that stands in training (with `refit` in validation too).

    Nobody does where the log has no times.
    """
    known = (split.train_valid if refit else split.train).rows()
    return _holders(split.log, split.test, split.log.stop, known)


def without_sharing(split: Split) -> Split:
    """The split without the users of training that share an event with validation or test, and without those of
    validation that share one with test. The test stays whole.

    Raises:
        ConfigError: users are not held out whole, so they cannot be left out whole.
    """
    log = split.log
    torn = ((split.valid > log.start) & (split.valid < log.stop)) | ((split.test > log.start) & (split.test < log.stop))
    if torn.any():
        raise ConfigError(
            f"{log.name}: leak='drop' leaves out whole users (sequences), and this split cuts {int(torn.sum()):,} of "
            "them; choose a protocol that holds out users whole, such as session"
        )
    gone = _givers(split) | _holders(log, split.valid, split.test, ranges(split.test, log.stop))
    stop = np.where(gone, log.start, log.stop)
    return replace(split, log=log.until(stop), valid=np.minimum(split.valid, stop), test=np.minimum(split.test, stop))


def _givers(split: Split) -> Mask:
    return _holders(split.log, split.log.start, split.valid, ranges(split.valid, split.log.stop))


def _holders(log: Log, start: Ids, stop: Ids, others: Ids) -> Mask:
    """(U + 1,) who has, in rows `start:stop`, an event that stands in the rows `others`."""
    rows, user = _rows(log, start, stop)
    if log.time is None:
        return np.zeros(log.num_users + 1, np.bool_)
    both = _among(_events(log, rows), np.sort(_events(log, others)))
    return np.bincount(user[both], minlength=log.num_users + 1) > 0


def _rows(log: Log, start: Ids, stop: Ids) -> tuple[Ids, Ids]:
    """(rows, their users) of `start:stop`."""
    return ranges(start, stop), np.repeat(np.arange(log.num_users + 1), stop - start)


def _events(log: Log, rows: Ids, ticks: int = 0) -> Ids:
    """One number for the item of each row and its time, moved by `ticks` of the log's clock."""
    if log.time is None or not len(rows):
        return np.zeros(0, np.int64)
    since = log.time - log.time.min()
    tick = int(np.gcd.reduce(since)) if ticks else 0
    return (since[rows] + ticks * tick) * (log.num_items + 1) + log.item[rows]


def _among(events: Ids, known: Ids) -> Mask:
    """(len(events),) which of them are among the sorted `known`."""
    if not len(known):
        return np.zeros(len(events), np.bool_)
    place = np.minimum(np.searchsorted(known, events), len(known) - 1)
    return known[place] == events


def _contained(split: Split) -> tuple[int, float]:
    """How many test parts are long, and the share of them that run inside one user's training part."""
    log, train = split.log, split.train
    size = log.stop - split.test
    long = np.flatnonzero(size >= LONG)
    runs = np.maximum(train.stop - LONG + 1, train.start)
    place, end = ranges(train.start, runs), np.repeat(train.stop, runs - train.start)
    opening, wanted = _opening(log.item, place), _opening(log.item, split.test[long])
    order = np.argsort(opening, kind="stable")
    first, last = (np.searchsorted(opening, wanted, side, sorter=order) for side in ("left", "right"))
    which, found = np.repeat(np.arange(len(long)), last - first), order[ranges(first, last)]
    place, end = place[found], end[found]
    inside = np.zeros(len(long), np.bool_)
    step = 0
    while len(which):  # candidates that agree so far
        inside[which[step >= size[long[which]]]] = True
        go = np.flatnonzero(~inside[which] & (place + step < end))
        alike = go[log.item[place[go] + step] == log.item[split.test[long[which[go]]] + step]]
        which, place, end = which[alike], place[alike], end[alike]
        step += 1
    return len(long), _mean(inside)


def _opening(item: np.ndarray[Any, np.dtype[np.int32]], row: Ids) -> Ids:
    """One number for the first items from each row; what is alike is compared item by item afterwards."""
    number = np.zeros(len(row), np.int64)
    for step in range(LONG):
        number = number * 1_000_003 + item[row + step]
    return number


def _had_before(log: Log) -> Mask:
    """By row of the log's columns: whether its user had the item before."""
    rows, user = _rows(log, log.start, log.stop)
    pair = user * (log.num_items + 1) + log.item[rows]
    order = np.argsort(pair, kind="stable")
    again = np.zeros(len(log.item), np.bool_)
    again[rows[order[1:]]] = pair[order][1:] == pair[order][:-1]
    return again


def _popular(counts: Ids, targets: np.ndarray[Any, np.dtype[np.int32]]) -> tuple[float, float]:
    ordered = np.sort(counts[1:])
    higher, level = (len(ordered) - np.searchsorted(ordered, counts[targets], side) for side in ("right", "left"))
    return _mean(level <= CUT), _mean(higher + 1 <= CUT)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
