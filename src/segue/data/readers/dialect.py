"""`Dialect`: how the characters of a text file separate its rows and fields, detected from its first lines.

user,title,item          delimiter ","   quote '"'   line end "\\n"
u1,"Me, Myself",i2       a delimiter or a line end inside a quoted field separates nothing
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segue.errors import DataError

ATOMIC = ".inter"
DELIMITERS = ("\t", ",", ";", "|", "::")
TABULAR = {"\t": 2, ",": 3}  # delimiter -> number of fields that makes a table of a file which has another one, too
SPELLINGS = {"\\t": "\t", "\\\\t": "\t", "tab": "\t", "space": " ", "comma": ",", "semicolon": ";", "bar": "|"}
CHECKED = 100  # lines on which delimiters are compared
FIELD_LIMIT = 1 << 30


@dataclass(frozen=True)
class Dialect:
    """How a text file separates rows and fields.

    Attributes:
        delimiter: the field separator, one character or a repeated one such as "::".
        quote: the character around fields that contain the delimiter, or None if quotes are ordinary characters.
        line_end: "\\n" (also for "\\r\\n") or "\\r", as old Mac programs write.
    """

    delimiter: str
    quote: str | None
    line_end: str = "\n"

    @classmethod
    def detect(cls, path: Path, lines: Sequence[str], line_end: str, delimiter: str | None) -> Dialect:
        """The dialect of a file with these first lines. RecBole's files have tabs, and quotes have no meaning in them.

        Raises:
            DataError: `delimiter` cannot separate fields, or two delimiters fit equally well.
        """
        if delimiter is not None:
            delimiter = _checked(path, delimiter)
        elif atomic(path):
            delimiter = "\t"
        else:
            delimiter = _detect_delimiter(path, lines)
        return cls(delimiter, None if atomic(path) or len(delimiter) > 1 else '"', line_end)

    def fields(self, lines: Sequence[str]) -> list[list[str]]:
        """The fields of each row; a blank line is an empty list."""
        if self.quote is None or not any('"' in line for line in lines):
            return [line.split(self.delimiter) if line else [] for line in lines]
        with _long_fields():
            return list(csv.reader((f"{line}\n" for line in lines), delimiter=self.delimiter))


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the limit of the csv module on the length of a field for a while."""
    limit = csv.field_size_limit(FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _checked(path: Path, delimiter: str) -> str:
    """The delimiter; "\\t" may be spelled as a backslash and a t, or as "tab"."""
    if isinstance(delimiter, str):
        delimiter = SPELLINGS.get(delimiter, delimiter)
        if escaped := re.fullmatch(r"\\+x([0-7][0-9a-fA-F])", delimiter):
            delimiter = chr(int(escaped[1], 16))
    if isinstance(delimiter, str) and delimiter.isascii() and len(set(delimiter)) == 1 and delimiter not in '"\n\r\0':
        return delimiter
    raise DataError(
        f"{path}: {delimiter!r} cannot separate fields; give one character, such as ',', tab, or a code such as \\x01"
    )


def _detect_delimiter(path: Path, lines: Sequence[str]) -> str:
    """The delimiter that gives most fields, among those that give every line as many as the first, if there are any."""
    candidates = [delimiter for delimiter in DELIMITERS if delimiter in lines[0]]
    if not candidates:
        if any("  " in line.strip() for line in lines[:2]):
            raise DataError(
                f"{path}: columns aligned by several spaces are not read; write one delimiter between fields"
            )
        return " "
    counts = {delimiter: _num_fields(delimiter, lines[:CHECKED]) for delimiter in candidates}
    consistent = [delimiter for delimiter in candidates if len(set(counts[delimiter])) == 1]
    most = max(counts[delimiter][0] for delimiter in consistent or candidates)
    best = [delimiter for delimiter in consistent or candidates if counts[delimiter][0] == most]
    if len(best) > 1:
        raise DataError(f"{path}: {best[0]!r} and {best[1]!r} fit equally well as delimiters; give one (--delimiter)")
    for other in consistent:  # lists of one length may have more parts than the row has fields
        rarely_in_a_field = other in TABULAR and DELIMITERS.index(other) < DELIMITERS.index(best[0])
        if rarely_in_a_field and counts[other][0] >= TABULAR[other]:
            raise DataError(f"{path}: {other!r} and {best[0]!r} both fit as delimiters; give one (--delimiter)")
    return best[0]


def _num_fields(delimiter: str, lines: Sequence[str]) -> list[int]:
    rows = Dialect(delimiter, None if len(delimiter) > 1 else '"').fields(lines)
    return [len(row) for row in rows if row]


def atomic(path: Path) -> bool:
    """Whether this is one of RecBole's atomic files: tabs, `name:type` headers, quotes have no meaning."""
    return Path(path.name.removesuffix(".gz")).suffix in (ATOMIC, ".item", ".user")
