"""Opens the files of a folder that segue wrote, of which nothing is believed: hashes, arrays and tables.

    check_hashes(folder, {"item.npy": "9f2c..."}, ...)        every file is the one that was written
    map_column(folder / "item.npy", np.int32, rows=3, ...)    an array, mapped into memory
    StoredTables(folder, ...).read("items.parquet", rows=2)   a table, whose size is known before it is decoded

Sizes are compared before memory is taken. Whatever is in a file, the result is what was asked for or one
`ArtefactError`, which ends in `repair`: what the user can do about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.errors import ArtefactError
from segue.expansion import Expansion
from segue.io import check_regular_file, file_hash, reason
from segue.parquet_size import DecodedSize, decoded_size

# the form in which NumPy writes an array of one axis; other forms are not read, so that no header is evaluated
_ARRAY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([^']+)', 'fortran_order': (?:False|True), 'shape': \((\d+),\), \} *\n", re.DOTALL
)
_HEADER = 1 << 10  # bytes; a header of this form has 128
DECODED = Expansion(ratio=100, spare=1 << 25)  # of the tables of a folder, all together, from all of its files
TOO_REPETITIVE = "leave out columns of metadata whose values repeat"  # the repair of tables that are being saved


def check_hashes(folder: Path, hashes: Mapping[str, str], *, repair: str) -> None:
    """Compare the SHA-256 of files, which are read in pieces, with what is expected.

    Raises:
        ArtefactError: a file is missing, or another one.
    """
    for name, expected in hashes.items():
        path = folder / name
        file_size(path, repair=repair)
        try:
            found = file_hash(path)
        except OSError as error:
            raise ArtefactError(f"{path}: cannot be read ({reason(error)}); {repair}") from error
        if found != expected:
            raise ArtefactError(f"{path}: damaged (its hash is not the one that was saved); {repair}")


def file_size(path: Path, *, repair: str) -> int:
    """The size of a file in bytes.

    Raises:
        ArtefactError: the file is missing, a folder, a pipe or a device.
    """
    try:
        return check_regular_file(path).st_size
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; {repair}") from None
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({reason(error)}); {repair}") from error


def map_column(path: Path, dtype: type[np.generic], rows: int, *, repair: str) -> np.ndarray[Any, np.dtype[Any]]:
    """(rows,) an array of one axis that `np.save` wrote, mapped into memory and not writeable.

    Raises:
        ArtefactError: the file is missing, cut short, too long, or of another type or length.
    """
    size = file_size(path, repair=repair)
    try:
        with path.open("rb") as file:
            header = _ARRAY.match(file.read(_HEADER))
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({reason(error)}); {repair}") from error
    wanted = np.dtype(dtype)
    if header is None:
        raise ArtefactError(f"{path}: damaged, not an array of {wanted}; {repair}")
    found, length = header[1].decode("latin1"), int(header[2])
    if (found, length) != (wanted.str, rows):
        raise ArtefactError(f"{path}: {length:,} values of type {found}, expected {rows:,} of {wanted.str}; {repair}")
    if size != header.end() + rows * wanted.itemsize:
        raise ArtefactError(f"{path}: damaged or cut short ({size:,} bytes for {rows:,} values); {repair}")
    if not rows:  # nothing can be mapped
        return np.empty(0, wanted)
    return np.memmap(path, wanted, "r", header.end(), (rows,))


class StoredTables:
    """The Parquet files of a folder. What they take in memory together is limited by the size of the folder.

    Args:
        folder: the folder.
        repair: what the user can do about a damaged file, the end of the error message.
    """

    def __init__(self, folder: Path, *, repair: str) -> None:
        self.folder, self.repair = folder, repair
        self.limit = self.left = DECODED.limit(folder)

    def num_rows(self, name: str) -> int:
        """The number of rows of a file, as its end says.

        Raises:
            ArtefactError: the file is missing or damaged.
        """
        return self._size(name).rows

    def read(self, name: str, rows: int) -> pl.DataFrame:
        """The table of `rows` rows in a file, read if the memory that is left suffices for it; see `decoded_size`.

        Raises:
            ArtefactError: the file is missing, damaged, of another height, or takes more memory.
        """
        size, path = self._size(name), self.folder / name
        if size.rows == rows:
            self._take(path, size)
            try:
                table = pl.read_parquet(path, glob=False, hive_partitioning=False)
            except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise self._damaged(path, error) from error
            size = size._replace(rows=table.height)
            if size.rows == rows:
                return table
        raise ArtefactError(f"{path}: {size.rows:,} rows, expected {rows:,}; {self.repair}")

    def check(self, target: Path) -> None:
        """Check that all tables of the folder can be read one after the other, without decoding any.

        Args:
            target: the name that the folder will have, for the message.

        Raises:
            ArtefactError: one is damaged, or would take more memory than is left.
        """
        for path in sorted(self.folder.glob("*.parquet")):
            self._take(target / path.name, self._size(path.name))

    def _size(self, name: str) -> DecodedSize:
        path = self.folder / name
        file_size(path, repair=self.repair)
        try:
            size = decoded_size(path)
            if not size.is_bound:
                raise ValueError("an encoding that segue does not write")
        except (ValueError, OSError) as error:
            raise self._damaged(path, error) from error
        return size

    def _take(self, path: Path, size: DecodedSize) -> None:
        self.left -= size.bytes
        if self.left < 0:
            taken = self.limit - self.left
            raise ArtefactError(
                f"{path}: with it the tables of the folder would take {taken / 1e6:,.0f} MB, and those of a folder of "
                f"this size take {self.limit / 1e6:,.0f} MB at most; {self.repair}"
            )

    def _damaged(self, path: Path, error: BaseException) -> ArtefactError:
        return ArtefactError(f"{path}: damaged or cut short ({reason(error)}); {self.repair}")
