"""Opens the files of a folder that segue wrote, of which nothing is believed: hashes, arrays and tables.

    check_hashes(folder, {"item.npy": "9f2c..."}, ...)        every file is the one that was written
    map_column(folder / "item.npy", np.int32, rows=3, ...)    an array, mapped into memory
    read_table(folder / "items.parquet", rows=2, ...)         a table, whose size is known before it is decoded

Sizes are compared before memory is taken. Whatever is in a file, the result is what was asked for or one
`ArtefactError`, which ends in `repair`: what the user can do about it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.errors import ArtefactError
from segue.io import file_hash, reason
from segue.parquet_size import decoded_size

# the form in which NumPy writes an array of one axis; other forms are not read, so that no header is evaluated
_ARRAY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([^']+)', 'fortran_order': (?:False|True), 'shape': \((\d+),\), \} *\n", re.DOTALL
)
_HEADER = 1 << 10  # bytes; a header of this form has 128
LARGEST_RATIO = 100  # of decoded tables to the files of a folder
ALWAYS_DECODED = 1 << 25  # bytes that tables may take whatever the size of the folder: small files compress best


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
    """The size of a file in bytes. A device or a pipe is no file: reading one may never end.

    Raises:
        ArtefactError: the file is missing, or not a file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; {repair}") from None
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({reason(error)}); {repair}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ArtefactError(f"{path}: not a file; {repair}")
    return status.st_size


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


def largest_decoded(folder: Path) -> int:
    """The bytes that the tables of a folder may take in memory together."""
    return ALWAYS_DECODED + LARGEST_RATIO * sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def num_rows(path: Path, *, repair: str) -> int:
    """The number of rows of a Parquet file, as its end says.

    Raises:
        ArtefactError: the file is missing or damaged.
    """
    file_size(path, repair=repair)
    try:
        return decoded_size(path).rows
    except (ValueError, OSError) as error:
        raise ArtefactError(f"{path}: damaged or cut short ({reason(error)}); {repair}") from error


def read_table(path: Path, rows: int, *, largest: int, repair: str) -> pl.DataFrame:
    """The Parquet file of `rows` rows, read if it takes at most `largest` bytes; see `decoded_size`.

    Raises:
        ArtefactError: the file is missing, damaged, of another height, or takes more memory.
    """
    file_size(path, repair=repair)
    try:
        size = decoded_size(path)
        if not size.is_bound:
            raise ValueError("an encoding that segue does not write")
        if size.rows == rows and size.bytes <= largest:
            table = pl.read_parquet(path, glob=False, hive_partitioning=False)
            size = size._replace(rows=table.height)
    except (ValueError, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ArtefactError(f"{path}: damaged or cut short ({reason(error)}); {repair}") from error
    if size.rows != rows:
        raise ArtefactError(f"{path}: {size.rows:,} rows, expected {rows:,}; {repair}")
    if size.bytes > largest:
        raise ArtefactError(
            f"{path}: would take {size.bytes / 1e6:,.0f} MB, and the tables of a folder of this size take "
            f"{largest / 1e6:,.0f} MB at most; {repair}"
        )
    return table
