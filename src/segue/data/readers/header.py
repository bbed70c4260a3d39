"""`Header`: the column names of a text file, and whether they stand in its first line.

user_id:token   item_id:token   timestamp:float         a header; in a RecBole file, ":" and the type are removed
196             242             881250949               no header: the columns are called 1, 2, 3
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segue.data.readers.dialect import atomic
from segue.data.readers.empty import NoRows
from segue.data.readers.roles import COLUMN_NAMES, simplify
from segue.errors import DataError

KNOWN = set(" ".join(COLUMN_NAMES.values()).split())
DATA = r"[-+]?[\d.]+($|e|[-/]\d\d?[-/]\d)"  # numbers and dates
COMMENTS = ("#", "%", "//", "--")
NOT_A_HEADER = (
    "The first line looks like data: without a header, columns go by number, "
    'user="1" (--user-col 1). If it is a header, say header=True (--header)'
)
NO_COLUMN_KNOWN = "If the first line is an event and not a header, say header=False (--no-header)"


@dataclass(frozen=True)
class Header:
    """The column names of a text file.

    Attributes:
        present: whether the first line is a header.
        columns: the names in the header, or "1", "2", ... if there is none.
        fields: the fields of the first line as they are.
        hint: what to say besides when a column is missing: how the first line was understood.
    """

    present: bool
    columns: list[str]
    fields: Sequence[str] = ()
    hint: str = ""

    @classmethod
    def detect(cls, path: Path, rows: Sequence[Sequence[str]], header: bool | None) -> Header:
        """The header of a file with these first rows; `header` says whether there is one, None if it is not known.

        Raises:
            DataError: the first line is a comment, a header without rows or with a name twice, or perhaps an event.
        """
        first = rows[0]
        if first[0] in COMMENTS or first[0].startswith("sep="):
            raise DataError(f"{path}: the first line, {' '.join(first[:5])}, is neither a header nor a row; remove it")
        present = _is_header(path, rows) if header is None else header
        if not present:
            return cls(False, [str(n + 1) for n in range(len(first))], first, NOT_A_HEADER if header is None else "")
        columns = [name.strip() or f"column {n}" for n, name in enumerate(first, 1)]
        if atomic(path):
            columns = [name.partition(":")[0] for name in columns]
        repeated = [name for name, n in Counter(columns).items() if n > 1]
        if repeated:
            raise DataError(f"{path}: the header has {repeated[0]!r} twice; rename one")
        if len(rows) == 1:
            raise NoRows(f"{path}: a header and no rows; one event per row is needed", columns)
        unknown = header is None and len(_known(first)) < 2  # a word may be one by chance
        return cls(True, columns, first, NO_COLUMN_KNOWN if unknown else "")


def _is_header(path: Path, rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is a header.

    It is one if a field is a usual column name, if it is ",0,1,2" as pandas writes it, if it has a word where all other
    rows have numbers, or if no field is a number or a date.
    """
    first, rest = rows[0], rows[1:]
    if _known(first) or (not first[0] and _is_range(first[1:])):
        return True
    if _is_range(first):
        raise DataError(
            f"{path}: the first line, {','.join(first[:5])}, may be an event or the header of a pandas frame without "
            "column names; say which: header=False (--no-header) or header=True (--header)"
        )
    return not any(map(_is_data, first)) or any(_is_word_over_numbers(n, field, rest) for n, field in enumerate(first))


def _known(fields: Sequence[str]) -> set[str]:
    """The usual column names among the fields."""
    return KNOWN.intersection(simplify(field.partition(":")[0]) for field in fields)


def _is_range(fields: Sequence[str]) -> bool:
    """Whether the fields are 0, 1, 2 ...: the default column names of pandas."""
    return len(fields) > 1 and list(fields) == [str(n) for n in range(len(fields))]


def _is_word_over_numbers(n: int, field: str, rest: Sequence[Sequence[str]]) -> bool:
    below = [row[n] for row in rest if n < len(row) and row[n]]
    return bool(field) and not _is_data(field) and len(below) > 1 and all(map(_is_data, below))


def _is_data(field: str) -> bool:
    return re.match(DATA, field) is not None
