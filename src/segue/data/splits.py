"""Splits of a log into training, validation and test rows, and the evaluation instances of the held-out rows.

    rows of user u:   start ......... valid ...... test ...... stop
                      └─── train ────┘└─ valid ──┘└── test ──┘

A split is two cut points per user. An evaluation instance points at a row of the log: the user's rows before it are the
history, the rows from it on are the targets. An instance therefore never contains its own targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from segue.data.baskets import basket_starts, baskets_per_user
from segue.data.cold_items import without_rows_of
from segue.data.event_features import NOTHING, Features
from segue.data.event_types import target_rows
from segue.data.log import Ids, Log, Mask, ranges
from segue.data.sessions import SessionRule, session_starts
from segue.data.source_split import given_cuts
from segue.data.time_units import SECONDS_PER_DAY
from segue.errors import ConfigError, DataError, require, unknown

Part = Literal["valid", "test"]


@dataclass(frozen=True, eq=False)
class EvalInstances:
    """C evaluation instances over one log: a user, a history and one or more target items each.

    Attributes:
        log: the log that the rows point into.
        user: (C,) user ids.
        row: (C,) the first target row of each instance; the history is the user's rows before it.
        stop: (C,) the row after the last target; each instance has at least one target.
        dropped: how many users or instances were left out, by reason.
    """

    log: Log
    user: Ids
    row: Ids
    stop: Ids
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def num_targets(self) -> Ids:
        """(C,) number of targets of each instance."""
        return self.stop - self.row

    def targets(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """(sum of `num_targets`,) item ids of all targets, instance by instance."""
        return self.log.item[ranges(self.row, self.stop)]

    def take(self, index: Ids | slice) -> EvalInstances:
        """The instances at `index`, in that order."""
        return EvalInstances(self.log, self.user[index], self.row[index], self.stop[index], self.dropped)

    def histories(self, window: int | None) -> Ids:
        """(C, L) item ids of the last `window` rows before each instance, oldest first, padded with 0 on the left.

        With None, L is the length of the longest history of these instances.
        """
        return self._before(self.log.item, window)

    def times(self, window: int | None) -> Ids:
        """(C, L) the times of the rows of `histories`, 0 at padding.

        Raises:
            DataError: the log has no times.
        """
        return self._before(self.log.known_times, window)

    def request_times(self) -> Ids:
        """(C,) when the next item of each instance is requested: the time of the first target.

        Raises:
            DataError: the log has no times.
        """
        return self.log.known_times[self.row]

    def event_types(self, window: int | None) -> Ids:
        """(C, L) the types of the rows of `histories`, 0 at padding.

        Raises:
            DataError: the log has no types of events.
        """
        return self._before(self.log.known_event_types, window)

    def event_features(self, window: int | None) -> Features:
        """(C, L, F) the features of the rows of `histories`, NaN at padding.

        Raises:
            DataError: the log has no event features.
        """
        row, valid = self._rows_before(window)
        return np.where(valid[..., None], self.log.known_event_features[np.where(valid, row, 0)], NOTHING)

    def sessions(self, rule: SessionRule, window: int | None) -> Ids:
        """(C, L) the sessions of the rows of `histories`, 0 at padding.

        Raises:
            DataError: the log has not what the rule needs.
        """
        return self._before(rule.numbers(self.log), window)

    def _before(self, column: np.ndarray[Any, np.dtype[Any]], window: int | None) -> Ids:
        row, valid = self._rows_before(window)
        return np.where(valid, column[np.where(valid, row, 0)], 0).astype(np.int64)

    def _rows_before(self, window: int | None) -> tuple[Ids, Mask]:
        """(C, L) the last `window` rows before each instance, and which of them are the user's."""
        first = self.log.start[self.user]
        width = int((self.row - first).max(initial=0)) if window is None else window
        row = self.row[:, None] + np.arange(-width, 0)  # (C, L)
        return row, row >= first[:, None]


@dataclass(frozen=True, eq=False)
class Split:
    """Two cut points per user over `log`: training rows before `valid`, validation rows before `test`, then test rows.

    Attributes:
        log: the whole log.
        valid: (U + 1,) the first validation row of each user.
        test: (U + 1,) the first test row of each user.
        target_mode: which held-out rows are targets. "rest": all rows of the part, as one set. "next": its first row
            alone. "each": one instance for every row of the part or, with `starts`, for every basket that begins there.
        horizon: with "each", number of rows that are the targets of an instance: its own row and those after it.
        starts: with "each", the rows at which baskets begin, ascending; None for targets that are rows.
        cold: (I + 1,) items whose rows are left out of training, see `segue.data.cold_items`; None for none.
    """

    log: Log
    valid: Ids
    test: Ids
    target_mode: Literal["rest", "next", "each"] = "rest"
    horizon: int = 1
    starts: Ids | None = None
    cold: Mask | None = None

    def __post_init__(self) -> None:
        log = self.log
        if (self.valid < log.start).any() or (self.test < self.valid).any() or (self.test > log.stop).any():
            raise DataError(f"{log.name}: cut points must satisfy start <= valid <= test <= stop for every user")

    @property
    def train(self) -> Log:
        """The training rows: what a model may learn from during model selection."""
        return self._without_cold(self.log.until(self.valid))

    @property
    def train_valid(self) -> Log:
        """Training and validation rows: what the final model may learn from."""
        return self._without_cold(self.log.until(self.test))

    def _without_cold(self, rows: Log) -> Log:
        return rows if self.cold is None else without_rows_of(rows, self.cold)

    def training_rows(self, *, refit: bool = False) -> Ids:
        """The indices, into the columns of `log`, of the training rows, with `refit` of validation rows as well."""
        rows = self.log.until(self.test if refit else self.valid).rows()
        return rows if self.cold is None else rows[~self.cold[self.log.item[rows]]]

    def instances(self, part: Part) -> EvalInstances:
        """The evaluation instances of a held-out part; those without a target or a history are dropped and counted."""
        require(part in get_args(Part), unknown("part of a split", part, get_args(Part)))
        first, stop = (self.valid, self.test) if part == "valid" else (self.test, self.log.stop)
        if self.target_mode == "each":
            user, row, end = self._each(first, stop)
        else:
            user, row = np.arange(1, self.log.num_users + 1), first[1:]
            end = np.minimum(row + 1, stop[1:]) if self.target_mode == "next" else stop[1:]
        has_target, has_history = end > row, row > self.log.start[user]
        dropped = {
            f"users with nothing held out for {part}": int((~has_target).sum()),
            "instances without a history": int((has_target & ~has_history).sum()),
        }
        keep = has_target & has_history
        if self.log.is_target is not None:
            is_target = self.log.is_target[row[keep]]
            dropped["held-out events of other types"] = int((~is_target).sum())
            keep[keep] = is_target
        return EvalInstances(self.log, user[keep], row[keep], end[keep], {k: n for k, n in dropped.items() if n})

    def _each(self, first: Ids, stop: Ids) -> tuple[Ids, Ids, Ids]:
        """(user, first target row, row after the last target) of each held-out row or basket."""
        if self.starts is None:
            user, row = np.repeat(np.arange(self.log.num_users + 1), stop - first), ranges(first, stop)
            return user, row, np.minimum(row + self.horizon, stop[user])
        user = np.searchsorted(self.log.stop, self.starts, side="right")
        end = np.minimum(np.append(self.starts[1:], self.log.stop[-1]), stop[user])
        held_out = (self.starts >= first[user]) & (self.starts < stop[user])
        return user[held_out], self.starts[held_out], end[held_out]


def ratio(log: Log, valid: float, test: float, *, rounding: Literal["paper", "author"] = "paper") -> Split:
    """The last fraction `test` of each user's rows is the test part, the `valid` before it the validation part.

    `rounding="author"` cuts as HGN's released program does: ceil(test n) rows for test, then ceil(valid of the rest).
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"split ratio: valid={valid} and test={test} must be fractions that leave a train part")
    n = log.lengths
    if rounding == "author":
        # the small term keeps 0.2 * 10 from becoming 2.0000000000000004 and then 3
        num_test = np.ceil(test * n - 1e-9).astype(np.int64)
        num_valid = np.ceil(valid * (n - num_test) - 1e-9).astype(np.int64)
    else:
        num_test = np.round(test * n).astype(np.int64)
        num_valid = np.minimum(np.round(valid * n).astype(np.int64), n - num_test)
    cut = log.stop - num_test
    return Split(log, cut - num_valid, cut, "rest")


def leave_last_out(log: Log, valid: int = 1, test: int = 1) -> Split:
    """The last `test` rows of each user are the test part, the `valid` rows before them the validation part.

    A user with too few rows to keep one for training is used for training only.
    """
    if valid < 0 or test < 1:
        raise ConfigError(f"leave-last-out: valid={valid} must be at least 0 and test={test} at least 1")
    if log.is_target is not None:
        return _leave_last_target_out(log, valid)
    long = log.lengths > valid + test
    cut = np.where(long, log.stop - test, log.stop)
    return Split(log, np.where(long, cut - valid, cut), cut, "next" if valid <= 1 and test == 1 else "rest")


def _leave_last_target_out(log: Log, valid: int) -> Split:
    """The last target of each user begins the test part, the target before it (with `valid` 1) the validation part.

    A user with fewer targets, or with nothing before them, is used for training only.
    """
    rows = target_rows(log)
    stop = np.searchsorted(rows, log.stop)  # after the last target of each user
    number = stop - np.searchsorted(rows, log.start)
    enough = number >= 1 + valid
    last, first = (rows[np.where(enough, stop - back, 0)] if len(rows) else log.stop for back in (1, 1 + valid))
    enough &= first > log.start
    return Split(log, np.where(enough, first, log.stop), np.where(enough, last, log.stop), "next")


def next_basket(log: Log, gap: int = 0) -> Split:
    """The last basket of each user is the test part, the one before it the validation part; each is one target set.

    A basket is the rows of a user of which each follows the one before within `gap` seconds; with 0, the rows of one
    time. A user with fewer than 3 baskets is used for training only.
    """
    if gap < 0:
        raise ConfigError(f"next basket: gap={gap} must be a number of seconds, at least 0")
    return Split(log, *_last_two(log, basket_starts(log, gap)), "rest")


def _last_two(log: Log, starts: Ids) -> tuple[Ids, Ids]:
    """(valid, test), each (U + 1,): the first row of the last basket but one, and of the last basket, of each user.

    A user with fewer than 3 baskets has none; `starts` are the rows at which baskets begin.
    """
    number = baskets_per_user(log, starts)
    end, several = np.cumsum(number), number >= 3
    last, before = (starts[np.maximum(end - n, 0)] if len(starts) else log.stop for n in (1, 2))
    return np.where(several, before, log.stop), np.where(several, last, log.stop)


def last_session(log: Log, gap: int = 1800) -> Split:
    """The last session of each user is the test part, the one before it the validation part.

    Each of their rows is the target of one instance, whose history is all that the user did before. Sessions are those
    that the log brings; without any, a session ends where the user does nothing for more than `gap` seconds. A user
    with fewer than 3 sessions is used for training only.
    """
    if gap < 1:
        raise ConfigError(f"last session: gap={gap} must be a number of seconds, at least 1")
    return Split(log, *_last_two(log, session_starts(log, gap)), "each")


def global_time(log: Log, valid: float = 0.1, test: float = 0.1) -> Split:
    """Two dates for all users: the newest fraction `test` of all rows is test, the `valid` before it validation.

    Rows at the time of a cut stay together, after it. Each held-out row is the target of one instance.
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"split by time: valid={valid} and test={test} must be fractions that leave a train part")
    times = _sorted_times(log)
    return _two_dates(log, _quantile(times, 1 - valid - test), _quantile(times, 1 - test))


def by_date(log: Log, date: int, valid: float = 0.1) -> Split:
    """Rows from `date` on are the test part; the newest fraction `valid` of the rows before it is the validation part.

    `date` is in the unit of the log's times. Each held-out row is the target of one instance.
    """
    if not 0 <= valid < 1:
        raise ConfigError(f"split by date: valid={valid} must be a fraction of the rows before {date}, and leave some")
    times = _sorted_times(log)
    before = times[times < date]
    if not 0 < len(before) < len(times):
        raise DataError(f"{log.name}: date={date} leaves one part empty; its times run from {times[0]} to {times[-1]}")
    return _two_dates(log, _quantile(before, 1 - valid) if valid else date, date)


def newer_events(log: Log, after: int, gap: int | None = None) -> Split:
    """Rows later than `after`, in the unit of the log's times, are the test part; there is no validation part.

    Each held-out row is the target of one instance or, with a `gap` in seconds, each held-out basket (see
    `next_basket`). A basket that has begun before is part of histories alone.
    """
    times = _sorted_times(log)
    if not len(times) or times[-1] <= after:
        newest = f"its newest one is at {times[-1]:,}" if len(times) else "it has none at all"
        raise DataError(f"{log.name}: has no event after {after:,}; {newest}")
    cut = _first_row_from(log, after + 1)
    return Split(log, cut, cut, "each", starts=None if gap is None else basket_starts(log, gap))


def _sorted_times(log: Log) -> Ids:
    if log.time is None:
        raise DataError(
            f"{log.name}: a split by time needs times; this log has only an order; read it with a column of times, or "
            "choose the protocol leave-one-out"
        )
    return np.sort(log.time[log.rows()])


def _quantile(times: Ids, fraction: float) -> int:
    # the small term keeps (1 - 0.3 - 0.3) * 10 from becoming 3.9999999999999996 and then 3
    return int(times[int(len(times) * fraction + 1e-9)])


def _two_dates(log: Log, valid: int, test: int) -> Split:
    return Split(log, _first_row_from(log, valid), _first_row_from(log, test), "each")


def _first_row_from(log: Log, date: int) -> Ids:
    """(U + 1,) the first row of each user at or after `date`."""
    assert log.time is not None
    user, _ = log.events()
    earlier = log.time[log.rows()] < date
    return log.start + np.bincount(user[earlier], minlength=log.num_users + 1)


def whole_users(log: Log, valid: float = 0.1, test: float = 0.1, *, seed: int = 0) -> Split:
    """A random fraction of the users is held out completely; each of their rows is the target of one instance.

    All rows of the other users are training rows.
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"whole users: valid={valid} and test={test} must be fractions that leave training users")
    users = np.random.default_rng(seed).permutation(log.num_users) + 1
    num_test, num_valid = round(test * log.num_users), round(valid * log.num_users)
    test_users, valid_users = users[:num_test], users[num_test : num_test + num_valid]
    cut_valid, cut_test = log.stop.copy(), log.stop.copy()
    cut_valid[test_users] = cut_test[test_users] = log.start[test_users]
    cut_valid[valid_users] = log.start[valid_users]
    return Split(log, cut_valid, cut_test, "each")


def newest_users(log: Log, valid: int = 1, test: int = 1) -> Split:
    """Users (sessions) whose last row is within the last `test` days of the log are held out completely for test.

    Those of the `valid` days before are held out for validation. Each of their rows is the target of one instance.
    """
    if log.time is None:
        raise DataError(
            f"{log.name}: a split by date needs times, and this log has none; read it with a column of times, or "
            "choose the protocol session if the log comes with a split, otherwise leave-one-out"
        )
    if not (valid >= 0 and test > 0):
        raise ConfigError(f"newest users: valid={valid} and test={test} must be numbers of days, test above 0")
    day, last = SECONDS_PER_DAY * log.ticks_per_second, int(log.column(log.time).max())
    last_time = np.full(log.num_users + 1, np.iinfo(np.int64).min)
    last_time[log.lengths > 0] = log.time[log.stop[log.lengths > 0] - 1]
    cut_test = np.where(last_time > last - test * day, log.start, log.stop)
    return Split(log, np.where(last_time > last - (test + valid) * day, log.start, cut_test), cut_test, "each")


def given_split(log: Log, valid: float = 0.1) -> Split:
    """The split that the log brings: in its rows (`Log.part`), or in the column `split` of `log.user_metadata`.

    A user (mostly a session) of whom all rows are test or validation is held out completely; otherwise the user's rows
    are cut. Each held-out row is the target of one instance. Where the source names no validation rows, the fraction
    `valid` of training is taken, as `segue.data.source_split.given_cuts` says.
    """
    if not 0 <= valid < 1:
        raise ConfigError(f"given split: valid={valid} must be a fraction of the training users, and leave some")
    return Split(log, *given_cuts(log, valid), "each")
