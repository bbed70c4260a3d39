"""`TextFile`: a delimited text file whose format is detected from its first lines and which is read by polars.

196,242,881250949        one event a line: the columns of the header, or 1, 2, 3
1 5 8 8 3                one user a line: the columns are user and item
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from segue.data.readers.dialect import Dialect
from segue.data.readers.empty import NoRows
from segue.data.readers.head import NOT_UTF8, Head
from segue.data.readers.header import Header
from segue.data.readers.packed_text import DAMAGED, check_unpacked, open_text
from segue.data.readers.rows import UNIT, BadRow, RowCount, count_rows
from segue.data.readers.user_lines import user_events, user_line_fields
from segue.data.readers.values import WHOLE, is_empty
from segue.errors import DataError
from segue.io import reason

SUFFIXES = ("", ".csv", ".tsv", ".txt", ".dat", ".data", ".tab", ".psv", ".log", ".inter", ".item", ".user")
_FLOAT = r"(?i)^-?((0|[1-9][0-9]*)(\.[0-9]*)?(e[-+]?[0-9]+)?|nan|inf)$"
HEAD_ROWS = 1000
_Counted = tuple[Dialect, RowCount, tuple[str, ...]]  # how rows are read, their number, and what was assumed
Loaded = tuple[pl.DataFrame, tuple[str, ...]]  # the rows, and what was assumed about the source, one sentence each
LITERAL_QUOTES = ("\t", "|")  # the delimiters of files that often do not quote
ONE_USER = (
    "The rows have different numbers of fields, so that each was read as a user and their items. "
    "If the columns are the same in every row, correct the rows"
)


@dataclass(frozen=True)
class TextFile:
    """A delimited text file of known format whose rows are not read yet.

    Attributes:
        path: the file; it may be gzip-compressed.
        dialect: how rows and fields are separated.
        header: the column names.
        types: the type of each column in the first lines.
        rows: the fields of the first rows.
        user_line: the pattern of fields if a line is a user and their items, not an event; otherwise empty.
    """

    path: Path
    dialect: Dialect
    header: Header
    types: list[type[pl.DataType]]
    rows: Sequence[Sequence[str]] = ()
    user_line: str = ""

    @classmethod
    def open(cls, path: Path, delimiter: str | None, header: bool | None = None) -> TextFile:
        """Detect the format from the first lines.

        Raises:
            DataError: the file is empty, binary, not UTF-8, not what its suffix says, or its header repeats a name.
        """
        head = Head.read(path)
        try:
            dialect = Dialect.detect(path, head.lines, head.line_end, delimiter)
            rows = [row for row in dialect.fields(head.lines) if any(row)]
        except csv.Error as error:
            raise DataError(f"{path}: its first lines cannot be cut into fields ({error}); correct them") from error
        if not rows:
            raise NoRows(f"{path}: has no values; one event per row is needed")
        if not header and (pattern := user_line_fields(rows, dialect.delimiter, numbers=header is None)):
            named = Header(False, ["user", "item"], hint=ONE_USER)
            return cls(path, dialect, named, [], user_line=pattern)
        names = Header.detect(path, rows, header)
        if names.present and not head.lines[1].strip() and head.lines[0].count('"') % 2 == 0:
            raise DataError(f"{path}: the line below the header is blank; remove it")
        body = rows[names.present :]
        types = [_type(row[n] for row in body if n < len(row)) for n in range(len(names.columns))]
        return cls(path, dialect, names, types, body[:HEAD_ROWS])

    @property
    def columns(self) -> list[str]:
        """The column names, in the order of the file."""
        return self.header.columns

    def head(self, kinds: Mapping[str, str]) -> pl.DataFrame:
        """The first rows of some columns, with the types of the first lines; empty fields are null."""
        columns = {name: self.columns.index(name) for name in kinds} if self.rows else {}
        fields = {name: [row[n] or None if n < len(row) else None for row in self.rows] for name, n in columns.items()}
        frame = pl.DataFrame(fields, dict.fromkeys(fields, pl.String))
        return frame.with_columns(
            pl.col(name).str.strip_chars().cast(self.types[n], strict=False) for name, n in columns.items()
        )

    def load(self, kinds: Mapping[str, str]) -> Loaded:
        """Read the columns of `kinds` with the types of the first lines, or as text if a later row does not fit them.

        The second result is what was assumed about the file.

        Raises:
            DataError: the file is damaged, or a row has more or fewer fields than the header.
        """
        if self.user_line:
            events, note = self._users()
            return names_as_numbers(events, ["user", "item"]).select(list(kinds)), (note,)
        dialect, counted, notes = self._counted()
        rows = counted.rows - self.header.present
        frame = self._typed(dialect, kinds)
        if frame is None:
            frame = self._as_text(dialect, kinds)
        if frame.height < rows:
            raise DataError(f"{self.path}: {rows:,} rows were counted and {frame.height:,} read; report this file")
        return self._without_second_header(frame.head(rows)), notes  # without blank lines at the end

    def _counted(self) -> _Counted:
        """The dialect in which every row has as many fields as the header, the number of rows, and what was assumed."""
        try:
            counted = self._count(self.dialect)
        except BadRow as problem:
            if problem.quote:
                literal = self._with_literal_quotes(problem.row, str(problem))
                if literal is not None:
                    return literal
            raise DataError(f"{self.path}: {self._describe(problem)}") from problem
        return (
            (self.dialect, counted, ()) if counted.joined is None else self._with_joined_rows(counted, counted.joined)
        )

    def _with_joined_rows(self, counted: RowCount, row: int) -> _Counted:
        """The file in which a quoted field has lines that look like rows: its quotes may be ordinary characters."""
        why = "would be several lines in quotes that each look like a row"
        literal = self._with_literal_quotes(row, why) if self.dialect.delimiter in LITERAL_QUOTES else None
        if literal is not None:
            return literal
        note = (
            f"{self.path.name}: row {row + (not self.header.present)} has several lines in quotes that each look like "
            "a row; if they are rows, remove the quotation marks or double them"
        )
        return self.dialect, counted, (note,)

    def _count(self, dialect: Dialect) -> RowCount:
        try:
            with open_text(self.path) as file:
                return count_rows(file, dialect, len(self.columns))
        except DAMAGED as error:
            raise DataError(f"{self.path}: cut short or damaged ({error}); download it again") from error

    def _with_literal_quotes(self, number: int, why: str) -> _Counted | None:
        """The file with quotes as ordinary characters, if its rows have the right number of fields then.

        That is sure if no field begins with a quote. If one does, it is assumed of files separated by tabs or bars.
        """
        dialect = replace(self.dialect, quote=None)
        try:
            counted = self._count(dialect)
        except BadRow:
            return None
        if counted.quoted and self.dialect.delimiter not in LITERAL_QUOTES:
            return None
        row = number + (not self.header.present)
        note = f"{self.path.name}: quotation marks are read as ordinary characters, because row {row} {why}"
        return dialect, counted, (note,) if counted.quoted else ()

    def _describe(self, problem: BadRow) -> str:
        where = "the header" if self.header.present else "the first row"
        row = f"row {problem.row + (not self.header.present)} (line {problem.line})"
        if problem.row == 0 and self.header.present:
            row = "the header"
        if not problem.fields:
            return f"{row} {problem}; {problem.advice}"
        fields = "1 field" if problem.fields == 1 else f"{problem.fields} fields"
        advice = "correct it or leave it out"
        if self.header.present and all(len(fields) == len(self.columns) + 1 for fields in self.rows):
            advice = "every row has a field more than the header; add the missing name, as for row names, to its start"
            if not any(fields[-1] for fields in self.rows):
                advice = f"every row ends with {self.dialect.delimiter!r} and the header does not; add it there"
        elif problem.fields > len(self.columns) and self.dialect.quote:
            advice = f"put values that contain {self.dialect.delimiter!r} in quotes, or leave the row out"
        return f"{row} has {fields}, {where} has {len(self.columns)}; {advice}"

    def _typed(self, dialect: Dialect, kinds: Mapping[str, str]) -> pl.DataFrame | None:
        """The columns, or None if a later row does not fit the types of the first lines."""
        types = dict(zip(self.columns, self.types, strict=True))
        numbers = [name for name, kind in kinds.items() if kind == "name" and types[name] == pl.Int64]
        for name, kind in kinds.items():
            if kind == "rating" and types[name] != pl.String:
                types[name] = pl.Float32
            elif kind == "time" and types[name] == pl.Float64:
                types[name] = pl.String  # so that no fraction passes through a float
            elif kind in ("name", "text"):
                types[name] = pl.String
        columns = [whole_numbers(name) if name in numbers else pl.col(name) for name in kinds]
        try:
            frame = self._scan(dialect, types, columns)
        except (pl.exceptions.PolarsError, *DAMAGED):
            return None
        return None if any(frame[name].has_nulls() for name in numbers) else frame

    def _as_text(self, dialect: Dialect, kinds: Mapping[str, str]) -> pl.DataFrame:
        try:
            frame = self._scan(dialect, dict.fromkeys(self.columns, pl.String), [pl.col(name) for name in kinds])
        except (pl.exceptions.PolarsError, *DAMAGED) as error:
            why = reason(error)
            if "utf-8" in why.lower() or "utf8" in why.lower():
                raise DataError(f"{self.path}: {NOT_UTF8}") from error
            raise DataError(
                f"{self.path}: cannot be read as text separated by {dialect.delimiter!r} ({why})"
            ) from error
        return names_as_numbers(frame, [name for name, kind in kinds.items() if kind == "name"])

    def _scan(self, dialect: Dialect, types: Mapping[str, type[pl.DataType]], columns: list[pl.Expr]) -> pl.DataFrame:
        source: Path | io.BytesIO = self.path
        separator = dialect.delimiter
        if len(separator) > 1:  # polars supports separators of one byte only
            with open_text(self.path) as file:
                source = io.BytesIO(file.read().replace(separator.encode(), UNIT))
            separator = UNIT.decode()
        scan = pl.scan_csv(
            source,
            glob=False,
            has_header=False,
            skip_rows=1 if self.header.present else 0,
            separator=separator,
            quote_char=dialect.quote,
            eol_char=dialect.line_end,
            schema=types,
        )
        return scan.select(columns).collect(engine="streaming")

    def _without_second_header(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame; an error if a row repeats the names of its columns, as in files that were joined."""
        text = [name for name in frame.columns if frame[name].dtype == pl.String]
        if self.header.present and text:
            raw = dict(zip(self.columns, self.header.fields, strict=True))
            same = (
                pl.col(name).str.strip_chars("\ufeff ").str.to_lowercase() == raw[name].strip().lower() for name in text
            )
            row = frame.with_row_index("\0row", 1).filter(pl.all_horizontal(same))
            if len(text) == len(frame.columns) and row.height:
                raise DataError(f"{self.path}: row {row.item(0, 0)} is the header again; leave it out")
        return frame

    def _users(self) -> tuple[pl.DataFrame, str]:
        """The events of a file of one user a line, and a sentence that says so."""
        whole_lines = Dialect(UNIT.decode(), None, self.dialect.line_end)
        lines = replace(self, header=Header(False, ["line"]))
        try:
            check_unpacked(self.path)
            frame = lines._scan(whole_lines, {"line": pl.String}, [pl.col("line")])
        except (pl.exceptions.PolarsError, *DAMAGED) as error:
            raise DataError(f"{self.path}: cannot be read ({reason(error)})") from error
        events, alone = user_events(frame["line"], self.user_line)
        note = (
            f"{self.path.name} is read as one user a line: the first field is the user, the others are items, "
            "oldest first" + (f"; {alone:,} lines have a user and no item" if alone else "")
        )
        return events, note


def names_as_numbers(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """The frame with the text columns `names` as whole numbers where every value is one; blanks do not count."""
    for name in names:
        whole = frame.select(pl.col(name).str.strip_chars()).select(whole_numbers(name)).to_series()
        if whole.null_count() == is_empty(frame[name]).sum():
            frame = frame.with_columns(whole)
    return frame


def whole_numbers(name: str) -> pl.Expr:
    """A text column as whole numbers; null for text that is not the usual form of a number: 007 and +7 are names."""
    number = pl.col(name).cast(pl.Int64, strict=False)
    return pl.when(number.cast(pl.String) == pl.col(name)).then(number).alias(name)


def _type(values: Iterable[str]) -> type[pl.DataType]:
    """The narrowest of Int64, Float64 and String that fits all values that are not empty."""
    filled = [value.strip() for value in values if value]
    if filled and all(re.match(WHOLE, value) for value in filled):
        return pl.Int64
    return pl.Float64 if filled and all(re.match(_FLOAT, value) for value in filled) else pl.String
