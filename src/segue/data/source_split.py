"""The split that a log brings: a part for each row (`Log.part`), or a column `split` in the metadata of its users.

rows of a user      train train valid test       cut between the parts; each held-out row follows the earlier ones
metadata            user 7: test                 the user (mostly a session) is held out whole, as if each row said test
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from segue.data.log import PARTS, Ids, Log
from segue.errors import DataError

_HOW = 'with a column "split" in its rows (--split-col), or in a table of its users (--users sessions.csv)'


def has_split(log: Log) -> bool:
    """Whether a log brings a split of its own."""
    return log.part is not None or log.user_split is not None


def cuts_users(log: Log) -> bool:
    """Whether the split that a log brings is inside the rows of users; otherwise it holds users out whole."""
    if log.part is None:
        return False
    part, user = log.part[log.rows()], log.events()[0]
    return bool(((np.diff(user) == 0) & (np.diff(part) != 0)).any())


def given_cuts(log: Log, valid: float) -> tuple[Ids, Ids]:
    """(U + 1,) the first validation row and the first test row of each user.

    Where the source names no validation rows, the newest fraction `valid` of the training users is held out: those with
    the latest last row or, in a log without times, those with the highest ids. Where it cuts users, the last fraction
    `valid` of each user's training rows is held out instead.

    Raises:
        DataError: the log brings no split, or one without training or test.
    """
    if not has_split(log):
        raise DataError(f"{log.name}: this log brings no split of its own; read it {_HOW}, or choose another protocol")
    train, validation, named = _counts_of_users(log) if log.part is None else _counts_of_rows(log)
    if valid and not named:
        validation = np.round(valid * train).astype(np.int64) if cuts_users(log) else _newest(log, train, valid)
        train = train - validation
    return log.start + train, log.start + train + validation


def _counts_of_rows(log: Log) -> tuple[Ids, Ids, bool]:
    """(U + 1,) the training rows and the validation rows of each user, and whether the source names validation rows.

    Raises:
        DataError: no row has one of the parts, or the table of users says otherwise.
    """
    assert log.part is not None
    user, part = log.events()[0], log.part[log.rows()]
    counts = [np.bincount(user[part == number], minlength=log.num_users + 1) for number in range(len(PARTS))]
    _check_parts(log, "row", [bool(count.any()) for count in counts])
    if log.user_split is not None:
        for name, count, other in zip(PARTS, counts, _counts_of_users(log)[:2], strict=False):
            differs = np.flatnonzero(count != other)
            if len(differs):
                raise DataError(
                    f"{log.name}: the rows and the table of users bring two splits, which differ in the {name} rows of "
                    f"user {log.users.tokens[int(differs[0]) - 1]!r}; leave one of them out"
                )
    return counts[0], counts[1], bool(counts[1].any())


def _counts_of_users(log: Log) -> tuple[Ids, Ids, bool]:
    """The same from the metadata: all rows of a user are in the part that its row of the table names."""
    part = np.concatenate([[""], _parts_of_users(log)])  # user 0 is the anonymous user
    _check_parts(log, "user", [bool((part == name).any()) for name in PARTS])
    train, validation = (np.where(part == name, log.lengths, 0) for name in PARTS[:2])
    return train, validation, bool((part == "valid").any())


def _check_parts(log: Log, kind: str, there: list[bool]) -> None:
    """Raise `DataError` if a split has no training or no test."""
    missing = [name for name, found in zip(PARTS, there, strict=True) if not found and name != "valid"]
    if missing:
        raise DataError(
            f"{log.name}: no {kind} has {missing[0]} in the column split; at least one {kind} needs it, or leave the "
            'split out: split="" (--split-col "")'
        )


def _newest(log: Log, train: Ids, valid: float) -> Ids:
    """(U + 1,) all rows of the newest fraction of the training users, and 0 for the others."""
    users = np.flatnonzero(train)
    if log.time is not None:
        users = users[np.argsort(log.time[log.stop[users] - 1], kind="stable")]
    newest = users[len(users) - round(valid * len(users)) :]
    return np.where(np.isin(np.arange(len(train)), newest), train, 0)


def _parts_of_users(log: Log) -> np.ndarray[Any, np.dtype[np.str_]]:
    """(U,) the part of each user in the split of the source."""
    column = log.user_split
    assert column is not None
    if column.dtype.is_nested() or column.dtype.is_temporal() or column.dtype == pl.Binary:
        raise DataError(f"{log.name}: the column split holds {column.dtype}; it may say {', '.join(PARTS)}")
    part = column.cast(pl.String)
    unknown = ~part.is_in(PARTS).fill_null(False)
    if unknown.any():
        row = int(unknown.arg_true()[0])
        value = "nothing" if part[row] is None else repr(part[row])
        raise DataError(
            f"{log.name}: the column split says {value} of user {log.users.tokens[row]!r}; it may say "
            f"{', '.join(PARTS)}"
        )
    return part.to_numpy().astype(np.str_)
