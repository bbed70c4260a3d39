"""`write_table`: a table that arrives block by block, written to one Parquet, CSV or JSON Lines file.

The file appears completely or not at all, and one block is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from segue.errors import ConfigError, DataError
from segue.io import atomic_file, is_unicode, reason
from segue.temporary import temporary_folder

FORMATS = (".parquet", ".csv", ".jsonl")


def check_format(path: Path) -> None:
    """Raise `ConfigError` unless the name of a file ends in one of `FORMATS`."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {path}: give a file whose name ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if path.suffix.lower() == ".parquet" and not is_unicode(path.absolute()):
        raise ConfigError(
            f"--out {str(path.absolute())!r}: is no valid Unicode (UTF-8), which Parquet needs; give another name"
        )


def write_table(blocks: Iterable[pl.DataFrame], path: Path) -> int:
    """Write blocks of rows, all with the same columns, to a file.

    Args:
        blocks: at least one block; they are read one after the other.
        path: the file, which is replaced; the end of its name gives the format.

    Returns:
        The number of rows.

    Raises:
        ConfigError: the name has another ending.
        DataError: the file cannot be written; nothing is changed.
    """
    check_format(path)
    write = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_json_lines}[path.suffix.lower()]
    try:
        with atomic_file(path) as temporary:
            return write(blocks, temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"--out {path}: cannot be written: {reason(error)}") from error


def _write_csv(blocks: Iterable[pl.DataFrame], path: Path) -> int:
    rows = 0
    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            block.write_csv(file, include_header=number == 0)
            rows += len(block)
    return rows


def _write_json_lines(blocks: Iterable[pl.DataFrame], path: Path) -> int:
    rows = 0
    with path.open("wb") as file:
        for block in blocks:
            block.write_ndjson(file)
            rows += len(block)
    return rows


def _write_parquet(blocks: Iterable[pl.DataFrame], path: Path) -> int:
    """Polars adds no rows to a Parquet file, so the blocks are files of their own until the last one is there."""
    parts: list[Path] = []
    rows = 0
    with temporary_folder(path) as folder:
        for number, block in enumerate(blocks):
            parts.append(folder / f"{number}.parquet")
            block.write_parquet(parts[-1])
            rows += len(block)
        pl.scan_parquet(parts, glob=False).sink_parquet(path)
    return rows
