"""Rows in which a user, an item or a time is missing: an error, or left out and counted.

user   item  time          without drop      row 2: the user is empty
17850  A     10            with drop         rows 1 and 4 stay; {"user": 1, "item": 1}
       B     11
13047  NULL  12            NULL, NaN, NA, None and \\\\N are names unless rows are dropped; then they are empty
12583  C     13
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from segue.data.log import Codes, Vocab
from segue.data.readers.values import first_row, is_empty
from segue.errors import DataError

MARKERS = (  # what programs write for a missing value
    *("NULL", "null", "Null", "(null)", "NaN", "nan", "NaT", "NA", "N/A", "n/a", "#N/A", "<NA>", "None", "\\N"),
    *("nil", "undefined", "(not set)", "(not provided)", "00000000-0000-0000-0000-000000000000"),
)
NEEDED = ("user", "item", "time")


class NoRows(DataError):
    """A table without rows.

    Attributes:
        columns: those in its header; empty if it has none.
    """

    def __init__(self, message: str, columns: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.columns = columns


def complete_rows(
    frame: pl.DataFrame, columns: Mapping[str, str], where: str, *, drop: bool
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that have a user, an item and a time, and the number of empty values of each of these columns.

    Args:
        frame: the rows.
        columns: role -> column.
        where: the name of the source in messages.
        drop: whether other rows are left out. Then text such as "NULL" counts as empty, too.

    Raises:
        DataError: a row is not complete and `drop` is false, or no row is complete.
    """
    empty: dict[str, pl.Series] = {}
    for role in (role for role in NEEDED if role in columns):
        mask = is_empty(frame[columns[role]])
        if frame[columns[role]].dtype == pl.String and (drop or role == "time"):
            mask |= frame[columns[role]].is_in(MARKERS).fill_null(False)
        if mask.any():
            empty[role] = mask
    if not empty:
        return frame, {}
    if not drop:
        role, mask = next(iter(empty.items()))
        raise DataError(f"{where}, column {columns[role]!r}, {_advice(frame[columns[role]], mask)}")
    left = frame.filter(~pl.DataFrame(empty).select(pl.any_horizontal(pl.all())).to_series())
    if not left.height:
        raise DataError(f"{where}: every row has an empty {' or '.join(empty)}; are the columns the right ones?")
    return left, {role: int(mask.sum()) for role, mask in empty.items()}


def _advice(column: pl.Series, mask: pl.Series) -> str:
    row, count = first_row(mask), int(mask.sum())
    content = column[row - 1]
    written = "NaN" if column.dtype.is_float() and content is not None else str(content or "").strip()
    value = f"empty ({written})" if written else "empty"
    if count == 1:
        return f"row {row}: {value}; fill it in, or leave the row out: drop_empty=True (--drop-empty)"
    return (
        f"row {row}: {value}, as in {count:,} of {len(mask):,} rows; fill them in, or leave these rows out: "
        "drop_empty=True (--drop-empty)"
    )


def marker_warnings(vocab: Vocab, codes: Codes, where: str) -> list[str]:
    """A warning for each name that usually stands for a missing value."""
    if vocab.tokens.dtype != pl.String:
        return []
    found = vocab.tokens.is_in(MARKERS).arg_true()
    return [
        f"{where}: {vocab.tokens[index]!r} is the name in {np.count_nonzero(codes == index + 1):,} rows; if it stands "
        "for a missing value, leave these rows out: drop_empty=True (--drop-empty)"
        for index in found
    ]
