"""`count_rows`: counts the fields of every row of a text file, in blocks of bytes, without parsing any value.

u1,"Me, Myself\\nand Irene",i2      quotes 2, delimiters outside of quotes 2, line ends outside of quotes 1: 3 fields
u1,Me, Myself and Irene,i2         3 delimiters: 4 fields, an error

Parsers count the fields of a row only when they read all columns. This check costs about a tenth of the reading
of three columns (benchmarks/ingest.py). A byte inside a quoted field is one that follows an odd number of quotes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from segue.data.log import Ids
from segue.data.readers.dialect import Dialect
from segue.data.readers.head import LONGEST

BLOCK = 1 << 18  # bytes; larger blocks do not fit into the cache of a core
UNIT = b"\x1f"  # the "unit separator" of ASCII
BOM = b"\xef\xbb\xbf"
LF, CR, QUOTE = b'\n\r"'
OPEN_QUOTE = "has a quotation mark that is never closed"
INNER_QUOTE = "has a quotation mark inside a field"
BLANK_QUOTE = "has a blank between the delimiter and a quotation mark"
LINE_END = "has a line end of another kind than the first line"
ZERO_BYTE = "has a zero byte"
TOO_LONG = "is longer than 64 MB"
ADVICE = {
    OPEN_QUOTE: "close or remove it",
    INNER_QUOTE: "put the field in quotes and double those inside, or remove them",
    BLANK_QUOTE: "remove the blank",
    LINE_END: "write the whole file with one kind of line end",
    ZERO_BYTE: "the file is damaged or binary; write or download it again",
    TOO_LONG: "is this a table?",
}


class BadRow(Exception):
    """A row that cannot be read.

    Attributes:
        row: its number from 0, with the header.
        line: the number of its first line, from 1.
        fields: its number of fields; 0 if that is not what is wrong.
        quote: whether a quotation mark is what is wrong.
        advice: what to do.
    """

    def __init__(self, problem: str, row: int, line: int, *, fields: int = 0) -> None:
        super().__init__(problem)
        self.row, self.line, self.fields = row, line, fields
        self.quote = problem in (OPEN_QUOTE, INNER_QUOTE, BLANK_QUOTE)
        self.advice = ADVICE.get(problem, "")


@dataclass(frozen=True)
class RowCount:
    """What was counted.

    Attributes:
        rows: the number of rows with the header, without blank lines at the end.
        quoted: whether a field begins with a quotation mark that is an ordinary character.
        joined: the number of the first row, from 0, that has several lines which each have the fields of a row; None
            if there is none. Two quotation marks that belong to different rows make one row of all between them.
    """

    rows: int
    quoted: bool
    joined: int | None = None


def count_rows(file: BinaryIO, dialect: Dialect, fields: int) -> RowCount:
    """Check that every row that is not blank has `fields` fields, and count the rows.

    Raises:
        BadRow: the first row that has another number of fields, a misplaced quotation mark or another line end.
    """
    rows, lines, filled, quoted, joined = 0, 0, 0, False, None
    tail = file.read(len(BOM))
    tail = b"" if tail == BOM else tail
    more = True
    while more:
        chunk = file.read(max(BLOCK, len(tail)))
        more = bool(chunk)
        if not more and not tail:
            break
        block = _Block(tail + chunk if more else tail + dialect.line_end.encode(), dialect)
        if not len(block.ends) and (not more or len(tail) > LONGEST):
            raise BadRow(block.endless, rows, lines + 1)
        block.check(fields, rows, lines)
        joined = block.joined(fields, rows) if joined is None else joined
        tail = block.tail
        if len(block.filled):
            filled = rows + int(block.filled[-1]) + 1
        rows += len(block.ends)
        lines += block.num_lines
        quoted |= block.quoted
    return RowCount(filled, quoted, joined)


class _Block:
    """The whole rows at the start of a block of bytes that begins at the start of a row.

    Attributes:
        ends: (rows,) the positions of the line ends that end a row.
        quotes: the positions of the quotes that may enclose fields.
        filled: the numbers, in the block, of the rows that are not blank.
        tail: the bytes after the last whole row.
        endless: what is wrong if there is no whole row.
    """

    def __init__(self, buffer: bytes, dialect: Dialect) -> None:
        self.line_end, self.separator = ord(dialect.line_end), ord(dialect.delimiter[0])
        self.quoting = dialect.quote is not None
        if len(dialect.delimiter) > 1:
            cut = buffer.rfind(dialect.line_end.encode()) + 1
            self.tail, buffer = buffer[cut:], buffer[:cut].replace(dialect.delimiter.encode(), UNIT)
            self.separator = ord(UNIT)
        self.bytes = np.frombuffer(buffer, np.uint8)
        self.has_quotes, self.has_returns, self.has_zeros = b'"' in buffer, b"\r" in buffer, b"\0" in buffer
        self.quotes = self._where(QUOTE) if self.quoting and self.has_quotes else np.zeros(0, np.int64)
        self.line_ends = self._where(self.line_end)
        self.ends = self._outside(self.line_ends)
        cut = int(self.ends[-1]) + 1 if len(self.ends) else 0
        if len(dialect.delimiter) == 1:
            self.tail = buffer[cut:]
        self.endless = TOO_LONG
        if len(self.quotes):
            first = int(self.quotes[0])
            self.endless = OPEN_QUOTE if not first or self.bytes[first - 1] == self.separator else INNER_QUOTE
        self.bytes = self.bytes[:cut]
        self.num_lines = int(np.searchsorted(self.line_ends, cut))
        self.separators = self._outside(self._where(self.separator))
        starts = np.concatenate([[0], self.ends[:-1] + 1])[: len(self.ends)]
        lengths = self.ends - starts
        blank = (lengths == 0) | ((lengths == 1) & (self.bytes[starts] == CR))
        self.starts, self.filled = starts, np.flatnonzero(~blank)

    def _where(self, byte: int) -> Ids:
        return np.flatnonzero(self.bytes == byte)

    def _outside(self, positions: Ids) -> Ids:
        """The positions that no quotes enclose."""
        if not len(self.quotes):
            return positions
        return positions[np.searchsorted(self.quotes, positions) % 2 == 0]

    @property
    def quoted(self) -> bool:
        """Whether a field begins with a quotation mark that is an ordinary character."""
        if self.quoting or not self.has_quotes:
            return False
        quotes = self._where(QUOTE)
        return bool(((quotes == 0) | np.isin(self.bytes[quotes - 1], (self.separator, self.line_end))).any())

    def check(self, fields: int, rows: int, lines: int) -> None:
        """Raise `BadRow` for the first bad row; `rows` and `lines` are before the block."""
        problems = [self._misplaced_quote(), self._line_end(), self._zero_byte(), self._other_fields(fields)]
        found = [problem for problem in problems if problem is not None]
        if found:
            row, problem, counted = min(found, key=lambda entry: entry[0])
            line = lines + int(np.searchsorted(self.line_ends, self.starts[row])) + 1
            raise BadRow(problem, rows + row, line, fields=counted)

    def _row(self, position: int) -> int:
        return int(np.searchsorted(self.ends, position))

    def joined(self, fields: int, rows: int) -> int | None:
        """The first row of several lines which each have the fields of a row; `rows` are before the block."""
        lines = self.line_ends[: self.num_lines]
        if fields < 2 or len(lines) == len(self.ends):
            return None
        separators = np.diff(np.searchsorted(self._where(self.separator), lines), prepend=0)
        row = np.searchsorted(self.ends, lines)
        other = np.bincount(row, separators != fields - 1, len(self.ends))
        found = np.flatnonzero((np.bincount(row, minlength=len(self.ends)) > 1) & (other == 0))
        return rows + int(found[0]) if len(found) else None

    def _misplaced_quote(self) -> tuple[int, str, int] | None:
        """A quote opens a field at its start and closes it at its end; inside a quoted field it is doubled."""
        quotes = self.quotes[: np.searchsorted(self.quotes, len(self.bytes))]
        if not len(quotes):
            return None
        opening, closing = quotes[::2], quotes[1::2]
        edges = (self.separator, self.line_end, QUOTE)
        opens = (opening == 0) | np.isin(self.bytes[opening - 1], edges)
        closes = np.isin(self.bytes[closing + 1], (*edges, CR))
        bad = np.concatenate([opening[~opens], closing[~closes]])
        if not len(bad):
            return None
        first = int(bad.min())
        after_blank = first > 1 and bytes(self.bytes[first - 2 : first]) == bytes([self.separator, ord(" ")])
        return self._row(first), BLANK_QUOTE if after_blank and first in opening else INNER_QUOTE, 0

    def _line_end(self) -> tuple[int, str, int] | None:
        """Carriage returns and line feeds in turn: parts of files with different line ends."""
        if not self.has_returns:
            return None
        other = self._where(CR if self.line_end == LF else LF)
        if self.line_end == LF:
            other = other[self.bytes[other + 1] != LF]
        other = self._outside(other)
        return (self._row(int(other[0])), LINE_END, 0) if len(other) else None

    def _zero_byte(self) -> tuple[int, str, int] | None:
        zeros = self._where(0) if self.has_zeros else self.ends[:0]
        return (self._row(int(zeros[0])), ZERO_BYTE, 0) if len(zeros) else None

    def _other_fields(self, fields: int) -> tuple[int, str, int] | None:
        separators, ends, per_row = self.separators, self.ends, fields - 1
        if len(separators) == per_row * len(ends):
            table = separators.reshape(len(ends), per_row)
            if not per_row or ((table[:, -1] < ends).all() and (table[1:, 0] > ends[:-1]).all()):
                return None
        counts = np.diff(np.searchsorted(separators, ends), prepend=0)[self.filled]
        bad = np.flatnonzero(counts != per_row)
        if not len(bad):
            return None
        return int(self.filled[bad[0]]), "has another number of fields", int(counts[bad[0]]) + 1
