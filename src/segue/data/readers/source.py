"""`open_table`: opens what a user gives, a path or a data frame, as a `Table`."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from segue.data.readers.folder import folder_table
from segue.data.readers.folder_files import PARQUET, table_suffix
from segue.data.readers.json_lines import JSON, json_table
from segue.data.readers.packed_text import PACKED
from segue.data.readers.store_table import store_table
from segue.data.readers.table import Table, pandas_table, parquet_table, polars_table, text_table
from segue.data.readers.text import SUFFIXES
from segue.errors import DataError
from segue.event_store.address import is_store_url
from segue.folders import MARKERS, kind_without_marker


def open_table(
    source: Any, *, delimiter: str | None = None, header: bool | None = None, needed: Collection[str] = ()
) -> Table:
    """Open a path or a data frame, without reading its rows.

    Args:
        source: a path, or a polars or pandas data frame.
        delimiter: the field separator of a text file; None to detect it.
        header: whether the first line of a text file is a header; None to detect it.
        needed: columns of a store that are needed; see `store_table`.

    Raises:
        DataError: there is no such file, or it cannot be read as a table; the message says why.
    """
    if is_store_url(source):
        check_no_text_options(source, delimiter, header)
        return store_table(source, needed)
    if isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        raise DataError(f"{source}: an address is not read; download the file, and give its path")
    if isinstance(source, str | Path):
        return _open_path(Path(source), delimiter, header)
    kind = type(source).__module__.partition(".")[0]
    check_no_text_options(f"the {kind} frame", delimiter, header)
    if isinstance(source, pl.DataFrame | pl.LazyFrame):
        return polars_table(source.lazy(), "the polars frame")
    if kind == "pandas" and hasattr(source, "columns"):
        return pandas_table(source)
    raise DataError(f"cannot read a log from a {type(source).__name__}; give a path, or a polars or pandas DataFrame")


def _open_path(path: Path, delimiter: str | None, header: bool | None) -> Table:
    if path.is_dir():
        if kind := kind_without_marker(path):
            raise DataError(f"{path}: a {kind} without its file {MARKERS[kind]}; copy the whole folder again")
        return folder_table(path, partial(_open_path, delimiter=delimiter, header=header))
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: a pipe or a device, which can be read only once; write it to a file first")
    suffix = table_suffix(path)
    if suffix in PACKED:
        raise DataError(f"{path}: cannot read {suffix} files; unpack it first ({PACKED[suffix]} {path.name})")
    if suffix in PARQUET:
        check_no_text_options(str(path), delimiter, header)
        return parquet_table([path], path.name)
    if suffix in JSON:
        check_no_text_options(str(path), delimiter, header)
        return json_table(path)
    if suffix in SUFFIXES or delimiter is not None:
        return text_table(path, delimiter, header)
    raise DataError(
        f"{path}: cannot read {suffix} files; give CSV, TSV, JSON Lines, Parquet or a RecBole .inter, "
        "or give delimiter=... if it is text"
    )


def check_no_text_options(source: str, delimiter: str | None, header: bool | None) -> None:
    """Refuse options of delimited text for a source of another kind, which has neither a delimiter nor a header."""
    given = [name for name, value in (("delimiter", delimiter), ("header", header)) if value is not None]
    if given:
        raise DataError(f"{source}: {given[0]} is an option of delimited text, and this is none; leave it out")
