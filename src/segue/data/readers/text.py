"""`TextFile`: a delimited text file whose format is detected from its first lines and which is read by polars.

user_id:token   item_id:token   timestamp:float         a header; in a RecBole file, ":" and the type are removed
196             242             881250949               without a header the columns are called 1, 2, 3
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from segue.data.readers.columns import COLUMN_NAMES, first_row, simplify
from segue.errors import DataError
from segue.io import reason

ATOMIC = ".inter"
SUFFIXES = ("", ".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".item", ".user")
DELIMITERS = ("\t", ",", ";", "|", "::")
UNIT = "\x1f"  # the "unit separator" of ASCII
SAMPLE = 1 << 16
GZIP = b"\x1f\x8b"
WHOLE = r"^-?(0|[1-9][0-9]*)$"  # "007" is a name, not the number 7
NOT_UTF8 = "not UTF-8; convert it, for example with iconv -f latin1 -t utf8"
DAMAGED = (EOFError, OSError, zlib.error)
KNOWN = set(" ".join(COLUMN_NAMES.values()).split())


@dataclass(frozen=True)
class TextFile:
    """A delimited text file of known format whose rows are not read yet.

    Attributes:
        path: the file; it may be gzip-compressed.
        delimiter: the field separator.
        columns: the names in the header, or "1", "2", ... if there is none.
        has_header: whether the first line is a header.
        types: the type of each column in the first lines.
    """

    path: Path
    delimiter: str
    columns: list[str]
    has_header: bool
    types: list[type[pl.DataType]]

    @classmethod
    def open(cls, path: Path, delimiter: str | None) -> TextFile:
        """Detect the format from the first lines.

        Raises:
            DataError: the file is empty, binary, not UTF-8, not what its suffix says, or its header repeats a name.
        """
        lines = _sample(path)
        if delimiter is None:
            delimiter = "\t" if _atomic(path) else _detect_delimiter(lines[0])
        elif not delimiter or len(set(delimiter)) > 1 or not delimiter.isascii() or delimiter in '"\n\r':
            raise DataError(f"{path}: {delimiter!r} cannot separate fields; give one character, such as ',' or '\\t'")
        rows = [row for row in _fields(lines, delimiter, _quote(path, delimiter)) if any(row)]
        has_header = not _is_data(rows[0])
        columns = [name.strip() or f"column {n}" for n, name in enumerate(rows[0], 1)]
        if _atomic(path):
            columns = [name.partition(":")[0] for name in columns]
        if not has_header:
            columns = [str(n + 1) for n in range(len(columns))]
        elif len(rows) == 1:
            raise DataError(f"{path}: a header and no rows; one event per row is needed")
        repeated = [name for name, n in Counter(columns).items() if n > 1]
        if repeated:
            raise DataError(f"{path}: the header has {repeated[0]!r} twice; rename one")
        body = rows[1:] if has_header else rows
        types = [_type(row[n] for row in body if n < len(row)) for n in range(len(columns))]
        return cls(path, delimiter, columns, has_header, types)

    def load(self, kinds: Mapping[str, str]) -> pl.DataFrame:
        """Read the columns of `kinds` with the types of the first lines, or as text if a later row does not fit them.

        Raises:
            DataError: the file is damaged, or a row has too many fields, or too few for a name, a time or a rating.
        """
        frame = self._typed(kinds)
        if frame is None:
            frame = self._as_text(kinds)
        missing = [frame[name].is_null() for name, kind in kinds.items() if kind != "any" and frame[name].has_nulls()]
        if missing:
            self._check_field_counts(until=min(map(first_row, missing)))
        return frame

    def _typed(self, kinds: Mapping[str, str]) -> pl.DataFrame | None:
        """The columns, or None if a later row does not fit the types of the first lines."""
        types = dict(zip(self.columns, self.types, strict=True))
        numbers = [name for name, kind in kinds.items() if kind == "name" and types[name] == pl.Int64]
        for name, kind in kinds.items():
            if kind == "rating" and types[name] != pl.String:
                types[name] = pl.Float32
            elif kind == "name":
                types[name] = pl.String
        try:
            frame = self._scan(types, [_whole(name) if name in numbers else pl.col(name) for name in kinds])
        except (pl.exceptions.PolarsError, *DAMAGED):
            return None
        return None if any(frame[name].has_nulls() for name in numbers) else frame

    def _as_text(self, kinds: Mapping[str, str]) -> pl.DataFrame:
        try:
            frame = self._scan(dict.fromkeys(self.columns, pl.String), [pl.col(name) for name in kinds])
        except (pl.exceptions.PolarsError, *DAMAGED) as error:
            self._check_field_counts()
            raise DataError(
                f"{self.path}: cannot be read as text separated by {self.delimiter!r} ({reason(error)})"
            ) from error
        for name in [name for name, kind in kinds.items() if kind == "name"]:
            whole = frame.select(_whole(name)).to_series()
            if whole.null_count() == frame[name].null_count():
                frame = frame.with_columns(whole)
        return frame

    def _scan(self, types: Mapping[str, type[pl.DataType]], columns: list[pl.Expr]) -> pl.DataFrame:
        source: Path | io.BytesIO = self.path
        separator = self.delimiter
        if len(separator) > 1:  # polars supports separators of one byte only
            with _open(self.path) as file:
                source = io.BytesIO(file.read().replace(separator.encode(), UNIT.encode()))
            separator = UNIT
        scan = pl.scan_csv(
            source,
            has_header=False,
            skip_rows=1 if self.has_header else 0,
            separator=separator,
            quote_char=_quote(self.path, self.delimiter),
            schema=types,
        )
        frame = scan.select(columns).collect(engine="streaming")
        if frame.height and all(value is None for value in frame.row(-1)):  # blank lines at the end
            filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series().arg_true()
            frame = frame.head(filled[-1] + 1 if len(filled) else 0)
        return frame

    def _check_field_counts(self, until: int | None = None) -> None:
        """Raise `DataError` for the first row, up to row `until`, whose number of fields differs from the columns."""
        reference = "the header" if self.has_header else "the first row"
        try:
            with _open(self.path) as raw:
                lines = (line.decode().rstrip("\r\n") for line in raw)
                rows = enumerate(_fields(lines, self.delimiter, _quote(self.path, self.delimiter)), not self.has_header)
                for n, row in islice(rows, None if until is None else until + self.has_header):
                    if row and len(row) != len(self.columns):
                        fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                        raise DataError(
                            f"{self.path}: row {n} has {fields}, {reference} has {len(self.columns)}; "
                            "correct it or leave it out"
                        )
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: {NOT_UTF8}") from error
        except (*DAMAGED, csv.Error) as error:
            raise DataError(f"{self.path}: cut short or damaged ({error}); download it again") from error


def _whole(name: str) -> pl.Expr:
    """A text column as whole numbers; null for text that is not the usual form of a number: 007 and +7 are names."""
    number = pl.col(name).cast(pl.Int64, strict=False)
    return pl.when(number.cast(pl.String) == pl.col(name)).then(number).alias(name)


def _sample(path: Path) -> list[str]:
    """The first lines of the file; the first one is not blank."""
    try:
        with _open(path) as file:
            raw = file.read(SAMPLE)
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error}); is it whole? Download or write it again") from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: UTF-16 text; save it as UTF-8")
    if b"\0" in raw or raw.startswith(b"PAR1"):
        raise DataError(f"{path}: binary, not text; is the suffix right?")
    if len(raw) == SAMPLE:
        raw = raw[: raw.rfind(b"\n") + 1] or raw
    try:
        lines = re.split("\r?\n", raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {NOT_UTF8}") from error
    if not lines or not lines[0].strip():
        raise DataError(
            f"{path}: empty; one event per row is needed"
            if not "".join(lines).strip()
            else f"{path}: the first line is blank; remove it"
        )
    return lines


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP
    if path.suffix == ".gz" and not compressed:
        raise DataError(f"{path}: not a gzip file; rename it without .gz, or download it again")
    return cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb")


def _detect_delimiter(line: str) -> str:
    best = max(DELIMITERS, key=line.count)
    return best if best in line else " "


def _quote(path: Path, delimiter: str) -> str | None:
    """The quote character: None for RecBole's files and for delimiters of more than one character."""
    return None if _atomic(path) or len(delimiter) > 1 else '"'


def _fields(lines: Iterable[str], delimiter: str, quote: str | None) -> Iterator[list[str]]:
    if len(delimiter) > 1:
        return (line.split(delimiter) if line else [] for line in lines)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE)


def _is_data(fields: list[str]) -> bool:
    """Whether a first line is data: no field is a usual column name, and one is a number or a date."""
    names = [simplify(field.partition(":")[0]) for field in fields]
    return not KNOWN.intersection(names) and any(re.match(r"[-+]?[\d.]+($|e|-\d\d-\d\d)", field) for field in fields)


def _type(values: Iterable[str]) -> type[pl.DataType]:
    """The narrowest of Int64, Float64 and String that fits all values that are not empty."""
    filled = [value for value in values if value]
    if filled and all(re.match(WHOLE, value) for value in filled):
        return pl.Int64
    return pl.Float64 if filled and all(map(_is_number, filled)) else pl.String


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _atomic(path: Path) -> bool:
    """Whether this is one of RecBole's atomic files: tabs, `name:type` headers, quotes have no meaning."""
    return Path(path.name.removesuffix(".gz")).suffix in (ATOMIC, ".item", ".user")
