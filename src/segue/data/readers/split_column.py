"""The split that a file brings in its rows: a column that says train, valid or test of each.

user  item  time  split              rows of u1 by time: train, train, test: cut between them
u1    a     1     train
u1    b     2     train              a user whose rows all say test is held out whole
u1    c     3     test
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from segue.data.log import PARTS, Codes, Ids, Vocab
from segue.data.readers.values import first_row
from segue.errors import DataError

_NAMES = {"train": 0, "training": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2, "testing": 2}
_WITHOUT = 'read the log without the column: split="" (--split-col "")'
Parts = np.ndarray[Any, np.dtype[np.int8]]


def as_parts(column: pl.Series, where: str, *, guessed: bool) -> tuple[Parts | None, list[str]]:
    """Convert a column to parts: 0 for training, 1 for validation and 2 for test; and warnings.

    None if the column says nothing of a split: the same in every row or, if the column was only `guessed` from its
    name, no word of a part.

    Raises:
        DataError: a value is missing or is not a part.
    """
    if column.dtype.is_nested() or column.dtype.is_temporal() or column.dtype == pl.Binary:
        if guessed:
            return None, [f"{where}: {column.dtype} is no part: the column is not used as a split"]
        raise DataError(
            f"{where}: {column.dtype} is no part; write {', '.join(PARTS[:2])} or {PARTS[2]}, or {_WITHOUT}"
        )
    words = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = words.is_in(list(_NAMES)).fill_null(False)
    if not known.any() and guessed:
        return None, [
            f"{where}: {column[0]!r} in row 1 is none of {', '.join(PARTS)}: the column is not used as a split"
        ]
    if not known.all():
        row = first_row(~known)
        value = "empty" if words[row - 1] in (None, "") else f"{column[row - 1]!r} is not a part"
        raise DataError(f"{where}, row {row}: {value}; write {', '.join(PARTS[:2])} or {PARTS[2]}, or {_WITHOUT}")
    parts = words.replace_strict(_NAMES, return_dtype=pl.Int8).to_numpy()
    if (parts == parts[0]).all():
        return None, [f"{where}: every row says {column[0]!r}: the column is not used as a split"]
    return parts, []


def order_by_part(user: Codes, time: Ids | None, parts: Parts) -> Ids:
    """The stable order by user, then time, then part: rows of one time may stand in any order, the split says in which.

    Without times the rows keep their order within the user.
    """
    return np.argsort(user, kind="stable") if time is None else np.lexsort((parts, time, user))


def check_order(user: Codes, parts: Parts, order: Ids, users: Vocab, where: str, *, timed: bool) -> None:
    """Raise `DataError` if a user has a training row after a later part, or validation after test.

    Args:
        user: (R,) the user of each row of the source.
        parts: (R,) its part.
        order: the rows sorted by user and time.
        users: the names of the users.
        where: the column in messages.
        timed: whether the log has times; otherwise the order is that of the source.
    """
    ordered_user, ordered = user[order], parts[order]
    wrong = np.flatnonzero((ordered_user[1:] == ordered_user[:-1]) & (ordered[1:] < ordered[:-1]))
    if not len(wrong):
        return
    before, row = order[wrong[0]], order[wrong[0] + 1]
    name = users.names([int(user[row])])[0]
    raise DataError(
        f"{where}, row {row + 1}: {PARTS[parts[row]]} after the {PARTS[parts[before]]} of row {before + 1} in the "
        f"{'times' if timed else 'rows'} of user {name!r}, as in {len(wrong):,} places; the rows of a user must be "
        f"training, then validation, then test; correct the split, or {_WITHOUT}"
    )
