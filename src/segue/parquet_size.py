"""`decoded_size`: the memory that a Parquet file takes once it is read, from its headers alone.

    file    "PAR1"  page  page ...  page  footer  length  "PAR1"         a page: a header, then compressed values
    footer  rows, schema, and for each column of each row group: where its pages begin and how long they are

Compression and run lengths let a file of some kilobytes hold gigabytes of values. Readers believe the header of a page,
so the headers of all pages are added up, and not only what the footer says of them. The headers are structures in
Thrift's compact protocol; see https://parquet.apache.org/docs/file-format/.
"""

from __future__ import annotations

import mmap
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"PAR1"
DEEPEST = 64  # structures in structures, and columns in columns: readers of deeper ones run out of stack
REFERENCE = 16  # bytes by which a column refers to a text or a list
SHARED_PREFIXES = 7  # the encoding DELTA_BYTE_ARRAY, in which a text may be two bytes long and decode to a page
Fields = dict[int, Any]  # the fields of a structure, by their numbers


class DecodedSize(NamedTuple):
    """What a Parquet file holds.

    Attributes:
        rows: the number of rows.
        bytes: at least as many as its columns take in memory.
    """

    rows: int
    bytes: int


def decoded_size(path: Path, columns: Container[str] | None = None) -> DecodedSize:
    """The rows of a Parquet file and the memory that its columns take, without decoding any of them.

    Args:
        path: the file.
        columns: the columns that count; None for all.

    Raises:
        ValueError: it is not a whole Parquet file, or its columns are nested too deep to be read.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if path.stat().st_size < 12:
            raise ValueError("too short")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _size(content, columns)
            except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise ValueError("its headers are damaged") from error


def _size(content: mmap.mmap, columns: Container[str] | None) -> DecodedSize:
    end = len(content) - 8
    start = end - int.from_bytes(content[end : end + 4], "little")
    if content[:4] != MAGIC or content[-4:] != MAGIC or start < 4:
        raise ValueError("no Parquet file, or cut short")
    footer = _Reader(content, start, end).struct()
    _check_depth(footer[2])
    widest = max((element.get(2, 0) for element in footer[2]), default=0)  # bytes of a value of fixed length
    total = 0
    for group in footer[4]:
        for column in group[1]:
            described = column[3]
            depth = len(described[3])
            if columns is None or described[3][0].decode("utf-8", "replace") in columns:
                total += sum(_page_size(page, depth, widest) for page in _pages(content, described, start))
    return DecodedSize(int(footer[3]), total)


def _check_depth(schema: list[Fields]) -> None:
    """Refuse columns in columns that are nested too deep. The schema is a tree: each entry has a number of children."""
    left: list[int] = []  # of each open entry, the children that are still to come
    for element in schema:
        left.append(element.get(5, 0))
        if len(left) > DEEPEST:
            raise ValueError("its columns are nested too deep")
        while left and not left[-1]:
            left.pop()
            if left:
                left[-1] -= 1


def _pages(content: mmap.mmap, column: Fields, end: int) -> Iterator[Fields]:
    """The headers of the pages of a column."""
    at = min(column[number] for number in (9, 11) if column.get(number))
    stop = at + column[7]
    if not 4 <= at <= stop <= end:
        raise ValueError("its pages lie outside of it")
    while at < stop:
        reader = _Reader(content, at, stop)
        header = reader.struct()
        if header[3] < 0 or header[2] < 0:
            raise ValueError("a page has no length")
        at = reader.at + header[3]
        yield header


def _page_size(header: Fields, depth: int, widest: int) -> int:
    """At least the bytes that the values of a page take; those of a dictionary may be repeated by reference."""
    page: Fields = header.get(5) or header.get(8) or header.get(7) or {}
    values, size = page.get(1, 0), header[2]
    if values < 0:
        raise ValueError("a page has fewer than no values")
    longest = size if SHARED_PREFIXES in (page.get(2), page.get(4)) else 0
    return int(size + values * (REFERENCE * depth + widest + longest))


class _Reader:
    """Reads values of Thrift's compact protocol.

    Attributes:
        at: the position of the next byte.
    """

    def __init__(self, content: mmap.mmap, at: int, end: int) -> None:
        self.content, self.at, self.end = content, at, end

    def struct(self, depth: int = 0) -> Fields:
        """The fields of a structure."""
        if depth > DEEPEST:
            raise ValueError("its headers are nested too deep")
        fields, number = Fields(), 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._signed()
            kind &= 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):  # true and false in a list, a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind in (7, 8):  # a float, a text
            length = 8 if kind == 7 else self._unsigned()
            self.at += length
            return self.content[self.at - length : self.at]
        if kind in (9, 10):
            head = self._byte()
            count = self._unsigned() if head >> 4 == 15 else head >> 4
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError("its headers have values of an unknown type")

    def _byte(self) -> int:
        if not 0 <= self.at < self.end:
            raise ValueError("its headers are cut short")
        self.at += 1
        return self.content[self.at - 1]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("its headers have a number that is too long")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
