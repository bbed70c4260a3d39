"""`decoded_size`: the memory that a Parquet file takes once it is read, from its headers alone.

    file    "PAR1"  page  page ...  page  footer  length  "PAR1"         a page: a header, then compressed values
    footer  rows, schema, and for each column of each row group: where its pages begin and how long they are

Compression and run lengths let a file of some kilobytes hold gigabytes of values. Readers believe the header of a page,
so the headers of all pages are added up, and not only what the footer says of them. No library shows them: pyarrow,
which is optional, and polars give the footer alone. The headers are structures in Thrift's compact protocol, and their
fields have the names of parquet.thrift; see https://parquet.apache.org/docs/file-format/.
"""

from __future__ import annotations

import mmap
from collections.abc import Container, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"PAR1"
MAX_DEPTH = 64  # structures in structures, and columns in columns: readers of deeper ones run out of stack
REFERENCE = 16  # bytes by which a column refers to a text or a list
Fields = dict[int, Any]  # the fields of a structure, by their numbers


class FileMetaData(IntEnum):
    """Fields of the footer."""

    schema = 2
    num_rows = 3
    row_groups = 4


class SchemaElement(IntEnum):
    """Fields of a column, or of a structure of columns."""

    type = 1
    type_length = 2
    num_children = 5


class RowGroup(IntEnum):
    """Fields of some rows."""

    columns = 1


class ColumnChunk(IntEnum):
    """Fields of one column of a row group."""

    meta_data = 3


class ColumnMetaData(IntEnum):
    """Fields that describe the pages of a column."""

    path_in_schema = 3
    total_compressed_size = 7
    data_page_offset = 9
    dictionary_page_offset = 11


class PageHeader(IntEnum):
    """Fields before each page."""

    uncompressed_page_size = 2
    compressed_page_size = 3
    data_page_header = 5
    dictionary_page_header = 7
    data_page_header_v2 = 8


ENCODING = {  # the kind of a page -> the field of its own header that has the encoding of its values
    PageHeader.data_page_header: 2,
    PageHeader.dictionary_page_header: 2,
    PageHeader.data_page_header_v2: 4,  # there, field 2 is the number of nulls
}
NUM_VALUES = 1  # the field of the header of each of these kinds
FIXED_LEN_BYTE_ARRAY = 7  # of the types
DELTA_BYTE_ARRAY = 7  # of the encodings: a text is the length of what it shares with the one before, and the rest


class DecodedSize(NamedTuple):
    """What a Parquet file holds.

    Attributes:
        rows: the number of rows.
        bytes: at least as many as its columns take in memory, if it is a bound.
        is_bound: False if a column has the encoding DELTA_BYTE_ARRAY. A text of it may be two bytes long and decode to
            the length of the page, which no header tells. `bytes` counts such texts as they are written.
    """

    rows: int
    bytes: int
    is_bound: bool


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
    schema = footer[FileMetaData.schema]
    _check_depth(schema)
    leaves = [element for element in schema if SchemaElement.type in element]
    total, is_bound = 0, True
    for group in footer[FileMetaData.row_groups]:
        for column, leaf in zip(group[RowGroup.columns], leaves, strict=True):
            described = column[ColumnChunk.meta_data]
            names = described[ColumnMetaData.path_in_schema]
            if columns is None or names[0].decode("utf-8", "replace") in columns:
                width = REFERENCE * len(names) + _width(leaf)
                for page in _pages(content, described, start):
                    values, encodings = _values(page)
                    total += page[PageHeader.uncompressed_page_size] + values * width
                    is_bound &= DELTA_BYTE_ARRAY not in encodings
    return DecodedSize(int(footer[FileMetaData.num_rows]), total, is_bound)


def _width(leaf: Fields) -> int:
    """The bytes of each value of a column of wide values; 0 for all others, which take no more than `REFERENCE`."""
    width = leaf.get(SchemaElement.type_length, 0) if leaf[SchemaElement.type] == FIXED_LEN_BYTE_ARRAY else 0
    if width < 0:
        raise ValueError("a column has values of no length")
    return int(width)


def _check_depth(schema: list[Fields]) -> None:
    """Refuse columns in columns that are nested too deep. The schema is a tree: each entry has a number of children."""
    left: list[int] = []  # of each open entry, the children that are still to come
    for element in schema:
        left.append(element.get(SchemaElement.num_children, 0))
        if len(left) > MAX_DEPTH:
            raise ValueError("its columns are nested too deep")
        while left and not left[-1]:
            left.pop()
            if left:
                left[-1] -= 1


def _pages(content: mmap.mmap, column: Fields, end: int) -> Iterator[Fields]:
    """The headers of the pages of a column."""
    offsets = (ColumnMetaData.data_page_offset, ColumnMetaData.dictionary_page_offset)
    at = min(column[offset] for offset in offsets if column.get(offset))
    stop = at + column[ColumnMetaData.total_compressed_size]
    if not 4 <= at <= stop <= end:
        raise ValueError("its pages lie outside of it")
    while at < stop:
        reader = _Reader(content, at, stop)
        header = reader.struct()
        if header[PageHeader.compressed_page_size] < 0 or header[PageHeader.uncompressed_page_size] < 0:
            raise ValueError("a page has no length")
        at = reader.at + header[PageHeader.compressed_page_size]
        yield header


def _values(page: Fields) -> tuple[int, set[int]]:
    """The number of values of a page, and their encodings. A forged page may be of several kinds; all of them count."""
    kinds = [(page[kind], encoding) for kind, encoding in ENCODING.items() if kind in page]
    counts = [header.get(NUM_VALUES, 0) for header, _ in kinds]
    if min(counts, default=0) < 0:
        raise ValueError("a page has fewer than no values")
    return sum(counts), {header[encoding] for header, encoding in kinds if encoding in header}


class _Reader:
    """Reads values of Thrift's compact protocol.

    Attributes:
        at: the position of the next byte.
    """

    def __init__(self, content: mmap.mmap, at: int, end: int) -> None:
        self.content, self.at, self.end = content, at, end

    def struct(self, depth: int = 0) -> Fields:
        """The fields of a structure."""
        if depth > MAX_DEPTH:
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
