"""A split is cut points per user over one log; `EvalInstances` are the questions that the cuts leave to be asked.

    rows of user u:   start ......... valid ...... test ...... stop
                      └─── train ────┘└─ valid ──┘└── test ──┘

A case points at a row of the log: its history is what the user did before that row, its targets the rows from it on.
Nothing else can be written down, so a question cannot contain its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from segue.data.log import Ids, Log, ranges
from segue.data.time_units import UNITS, unit_of
from segue.errors import ConfigError, DataError

Part = Literal["valid", "test"]


@dataclass(frozen=True, eq=False)
class EvalInstances:
    """C questions over one log.

    Attributes:
        log: the log that rows point into.
        user: (C,) user ids.
        row: (C,) the row where each question is asked: history = the user's rows before it.
        stop: (C,) the targets are the items of rows `row:stop`; at least one.
        dropped: how many users or questions were left out, by reason.
    """

    log: Log
    user: Ids
    row: Ids
    stop: Ids
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def sizes(self) -> Ids:
        """(C,) number of targets of each case."""
        return self.stop - self.row

    def targets(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """(sum of sizes,) item ids of all targets, case after case."""
        return self.log.item[ranges(self.row, self.stop)]

    def take(self, index: Ids | slice) -> EvalInstances:
        """The cases at `index`, in that order."""
        return EvalInstances(self.log, self.user[index], self.row[index], self.stop[index], self.dropped)

    def histories(self, window: int | None) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(C, L) item ids, oldest first, 0 on the left: the last `window` items before each case.

        With None, L is the longest history among these cases.
        """
        first = self.log.start[self.user]
        longest = int((self.row - first).max(initial=0))
        width = longest if window is None else window
        row = self.row[:, None] + np.arange(-width, 0)
        inside = row >= first[:, None]
        return np.where(inside, self.log.item[np.where(inside, row, 0)], 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Cut points (U + 1,) per user over `log`: train before `valid`, validation before `test`, test before `stop`.

    `ask` says what is asked of a held-out part: its "rest" as one set of targets, the "next" item alone, or
    the next item after "each" of its steps; then `ahead` items, as far as the part goes.
    """

    log: Log
    valid: Ids
    test: Ids
    ask: Literal["rest", "next", "each"] = "rest"
    ahead: int = 1

    def __post_init__(self) -> None:
        log = self.log
        if (self.valid < log.start).any() or (self.test < self.valid).any() or (self.test > log.stop).any():
            raise DataError(f"{log.name}: cut points must satisfy start <= valid <= test <= stop for every user")

    @property
    def train(self) -> Log:
        """What a model may learn from while choices are still being made."""
        return self.log.until(self.valid)

    @property
    def train_valid(self) -> Log:
        """What a model may learn from once every choice is made."""
        return self.log.until(self.test)

    def cases(self, part: Part) -> EvalInstances:
        """The questions of one held-out part; users without a target or without any history there are dropped."""
        first, stop = (self.valid, self.test) if part == "valid" else (self.test, self.log.stop)
        users = np.arange(self.log.num_users + 1)
        if self.ask == "each":
            user, row = np.repeat(users, stop - first), ranges(first, stop)
            end = np.minimum(row + self.ahead, stop[user])
        else:
            user, row = users[1:], first[1:]
            end = np.minimum(row + 1, stop[1:]) if self.ask == "next" else stop[1:]
        asked, known = end > row, row > self.log.start[user]
        keep = asked & known
        dropped = {
            f"users with nothing held out for {part}": int((~asked).sum()),
            "questions without a history": int((asked & ~known).sum()),
        }
        return EvalInstances(self.log, user[keep], row[keep], end[keep], {k: n for k, n in dropped.items() if n})


def ratio(log: Log, valid: float, test: float, *, rounding: Literal["paper", "author"] = "paper") -> Split:
    """The last fraction `test` of each user's rows, and the fraction `valid` before it.

    `rounding="author"` cuts as HGN's released program does: ceil(test n) for test, then ceil(valid of the remainder).
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"split ratio: valid={valid} and test={test} must be fractions that leave a train part")
    n = log.sizes
    # the small term keeps 0.2 * 10 from becoming 2.0000000000000004 and then 3
    held = np.ceil(test * n - 1e-9).astype(np.int64) if rounding == "author" else np.round(test * n).astype(np.int64)
    rest = n - held
    if rounding == "author":
        chosen = np.ceil(valid * rest - 1e-9).astype(np.int64)
    else:
        chosen = np.minimum(np.round(valid * n).astype(np.int64), rest)
    cut = log.stop - held
    return Split(log, cut - chosen, cut, "rest")


def leave_last_out(log: Log, valid: int = 1, test: int = 1) -> Split:
    """The last `test` rows of each user for test, the `valid` before them for validation.

    A user with too few rows to keep one for training is trained on whole and never asked about.
    """
    if valid < 0 or test < 1:
        raise ConfigError(f"leave-last-out: valid={valid} must be at least 0 and test={test} at least 1")
    long = log.sizes > valid + test
    cut = np.where(long, log.stop - test, log.stop)
    return Split(log, np.where(long, cut - valid, cut), cut, "next" if valid <= 1 and test == 1 else "rest")


def global_time(log: Log, valid: float = 0.1, test: float = 0.1) -> Split:
    """Two dates for everybody: the newest fraction `test` of all rows is test, the `valid` before it validation.

    Rows that share a second with the cut stay together, after it. The next item after each held-out step is asked.
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"split by time: valid={valid} and test={test} must be fractions that leave a train part")
    times = _times(log)
    return _two_dates(log, _date(times, 1 - valid - test), _date(times, 1 - test))


def by_date(log: Log, date: int, valid: float = 0.1) -> Split:
    """Rows from `date` on are test, in the unit of the log's times; the newest fraction `valid` of the rows before it
    is validation. The next item after each held-out step is asked."""
    if not 0 <= valid < 1:
        raise ConfigError(f"split by date: valid={valid} must be a fraction of the rows before {date}, and leave some")
    times = _times(log)
    before = times[times < date]
    if not 0 < len(before) < len(times):
        raise DataError(f"{log.name}: date={date} leaves one part empty; its times run from {times[0]} to {times[-1]}")
    return _two_dates(log, _date(before, 1 - valid) if valid else date, date)


def _times(log: Log) -> Ids:
    if log.time is None:
        raise DataError(f"{log.name}: a split by time needs times; this log has only an order")
    return np.sort(log.time[log.rows()])


def _date(times: Ids, share: float) -> int:
    # the small term keeps (1 - 0.3 - 0.3) * 10 from becoming 3.9999999999999996 and then 3
    return int(times[int(len(times) * share + 1e-9)])


def _two_dates(log: Log, valid: int, test: int) -> Split:
    return Split(log, _rows_before(log, valid), _rows_before(log, test), "each")


def _rows_before(log: Log, date: int) -> Ids:
    assert log.time is not None
    user, _ = log.events()
    earlier = log.time[log.rows()] < date
    return log.start + np.bincount(user[earlier], minlength=log.num_users + 1)


def whole_users(log: Log, valid: float = 0.1, test: float = 0.1, *, seed: int = 0) -> Split:
    """A random fraction of users is held out whole: nothing of theirs is trained on, every step of theirs is asked.

    The remaining users are trained on whole.
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"whole users: valid={valid} and test={test} must be fractions that leave training users")
    draw = np.random.default_rng(seed).permutation(log.num_users) + 1
    n_test, n_valid = round(test * log.num_users), round(valid * log.num_users)
    cut_valid, cut_test = log.stop.copy(), log.stop.copy()
    held_test, held_valid = draw[:n_test], draw[n_test : n_test + n_valid]
    cut_valid[held_test] = cut_test[held_test] = log.start[held_test]
    cut_valid[held_valid] = log.start[held_valid]
    return Split(log, cut_valid, cut_test, "each")


def newest_users(log: Log, valid: int = 1, test: int = 1) -> Split:
    """The users (sessions) whose last row lies within the last `test` days of the log are held out whole, and those
    of the `valid` days before these; every step of theirs is asked.
    """
    if log.time is None:
        raise DataError(
            f"{log.name}: a split by date needs times; this log has only an order. If it brings a split of its own, "
            "the protocol session takes it"
        )
    if not (valid >= 0 and test > 0):
        raise ConfigError(f"newest users: valid={valid} and test={test} must be numbers of days, test above 0")
    time = log.column(log.time)
    first, last = int(time.min()), int(time.max())
    unit = unit_of(first, last)
    if unit is None:
        raise DataError(f"{log.name}: times from {first:,} to {last:,} are no dates, so there are no days to split by")
    day = 86_400 * UNITS[unit]
    ended = np.full(log.num_users + 1, np.iinfo(np.int64).min)
    ended[log.sizes > 0] = log.time[log.stop[log.sizes > 0] - 1]
    cut_test = np.where(ended > last - test * day, log.start, log.stop)
    return Split(log, np.where(ended > last - (test + valid) * day, log.start, cut_test), cut_test, "each")


def given(log: Log, valid: float = 0.1) -> Split:
    """The source says of each user "train", "valid" or "test", in the column `split` of `log.user_table`.

    Test and validation users (sessions, mostly) are held out whole, and every step of theirs is asked. Where the source
    names none for validation, the newest fraction `valid` of its training users is taken: those whose last row is the
    latest, or, in a log without times, those that are numbered last.
    """
    if not 0 <= valid < 1:
        raise ConfigError(f"given split: valid={valid} must be a fraction of the training users, and leave some")
    part = np.concatenate([[""], _parts(log)])  # user 0 is nobody
    if valid and not (part == "valid").any():
        train = np.flatnonzero((part == "train") & (log.sizes > 0))
        if log.time is not None:
            train = train[np.argsort(log.time[log.stop[train] - 1], kind="stable")]
        part[train[len(train) - round(valid * len(train)) :]] = "valid"
    cut_test = np.where(part == "test", log.start, log.stop)
    return Split(log, np.where(part == "valid", log.start, cut_test), cut_test, "each")


def _parts(log: Log) -> np.ndarray[Any, np.dtype[np.str_]]:
    """(U,) the part that the source gives each user to."""
    table = log.user_table
    if table is None or "split" not in table.columns:
        raise DataError(
            f"{log.name}: this log brings no split of its own; read it with a table of users that has a column "
            '"split" (--users sessions.csv), or choose another protocol'
        )
    part = table["split"].cast(pl.String)
    known = ("train", "valid", "test")
    strange = ~part.is_in(known).fill_null(False)
    if strange.any():
        at = int(strange.arg_true()[0])
        found = "nothing" if part[at] is None else repr(part[at])
        raise DataError(
            f"{log.name}: the column split says {found} of user {log.users.tokens[at]!r}; it may say {', '.join(known)}"
        )
    missing = [word for word in ("train", "test") if not (part == word).any()]
    if missing:
        raise DataError(f"{log.name}: the column split says {missing[0]} of no user; such users are needed")
    return part.to_numpy().astype(np.str_)


SPLITS: dict[str, Callable[..., Split]] = {
    "ratio": ratio,
    "leave-last-out": leave_last_out,
    "global-time": global_time,
    "date": by_date,
    "whole-users": whole_users,
    "newest-users": newest_users,
    "given": given,
}
