"""`folder_table`: a folder whose files are the parts of one table.

log/part-1.csv  log/part-2.csv  log/part-10.csv       in this order: numbers in names count as numbers
log/day=1/part.parquet  log/day=2/part.parquet        "day" becomes a column
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from segue.data.readers.dialect import ATOMIC
from segue.data.readers.json_lines import JSON
from segue.data.readers.table import Kinds, Table, parquet_table
from segue.data.readers.text import SUFFIXES, Loaded, names_as_numbers
from segue.errors import DataError

PARQUET = (".parquet", ".pq")
FORMATS = (PARQUET, tuple(set(SUFFIXES) - {"", ATOMIC, ".item", ".user"}), JSON)
METADATA = (".items", ".users")


def folder_table(folder: Path, open_file: Callable[[Path], Table]) -> Table:
    """Open the files of a folder as one table; `open_file` opens one file.

    Raises:
        DataError: the folder has no tables, or tables of different formats or columns.
    """
    atomic = sorted(folder.glob(f"*{ATOMIC}"))
    if len(atomic) == 1:
        return open_file(atomic[0])
    parts = [] if atomic else _parts(folder)
    used = {formats for formats in FORMATS for path in parts if table_suffix(path) in formats}
    if len(used) != 1:
        listed = ", ".join(sorted(p.name for p in folder.iterdir())[:10]) or "nothing"
        raise DataError(
            f"{folder}: a folder must hold a saved log, Parquet, text or JSON files of the same columns, or one "
            f"{ATOMIC} file; it holds {listed}"
        )
    partitions = [_partition(folder, path) for path in parts]
    names = list(partitions[0])
    for path, partition in zip(parts, partitions, strict=True):
        if list(partition) != names:
            raise DataError(f"{path}: its folders ({', '.join(partition)}) are not those of {parts[0]}")
    if PARQUET in used:
        return parquet_table(parts, folder.name, names)
    filled = [n for n, path in enumerate(parts) if path.stat().st_size]
    opened = [_Part(open_file(parts[n]), parts[n], partitions[n]) for n in filled]
    if not opened:
        raise DataError(f"{folder}: all of its files are empty")
    return _joined(opened, folder)


def table_suffix(path: Path) -> str:
    """The suffix of a file in lower case, without that of a compression."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _parts(folder: Path) -> list[Path]:
    """The tables in the folder and in its folders KEY=VALUE; names that begin with a dot or underscore are no data."""
    parts = []
    for path in sorted(folder.iterdir(), key=_natural):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir() and "=" in path.name:
            parts += _parts(path)
        elif path.is_file() and any(table_suffix(path) in formats for formats in FORMATS):
            parts += [] if Path(path.name.partition(table_suffix(path))[0]).suffix in METADATA else [path]
    return parts


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """A sorting key in which part-10 follows part-2."""
    return [
        (int(part), 0, part) if part.isdecimal() else (-1, 1, part) for part in re.split(r"(\d+)", path.name) if part
    ]


def _partition(folder: Path, path: Path) -> dict[str, str]:
    """Key -> value of the folders KEY=VALUE between `folder` and the file."""
    pairs = (name.partition("=") for name in path.relative_to(folder).parent.parts)
    return {key: value for key, _, value in pairs}


@dataclass(frozen=True)
class _Part:
    table: Table
    path: Path
    partition: dict[str, str]

    def load(self, kinds: Kinds) -> Loaded:
        frame, warnings = self.table.load({name: kind for name, kind in kinds.items() if name not in self.partition})
        return self._with_partition(frame, kinds), warnings

    def head(self, kinds: Kinds) -> pl.DataFrame:
        frame = self.table.head({name: kind for name, kind in kinds.items() if name not in self.partition})
        return self._with_partition(frame, kinds)

    def _with_partition(self, frame: pl.DataFrame, kinds: Kinds) -> pl.DataFrame:
        return frame.with_columns(pl.lit(value).alias(name) for name, value in self.partition.items() if name in kinds)


def _joined(parts: Sequence[_Part], folder: Path) -> Table:
    first = parts[0]
    for part in parts:
        if set(part.table.columns) != set(first.table.columns):
            raise DataError(
                f"{part.path}: its columns ({', '.join(part.table.columns)}) are not those of {first.path.name} "
                f"({', '.join(first.table.columns)}); give the file of events"
            )
    load = partial(_load, parts)
    return Table(folder.name, [*first.table.columns, *first.partition], load, first.head, first.table.hint)


def _load(parts: Sequence[_Part], kinds: Kinds) -> Loaded:
    loaded = [part.load(kinds) for part in parts]
    frames = [frame.select(list(kinds)) for frame, _ in loaded]
    text = [name for name in kinds if len({frame[name].dtype for frame in frames}) > 1]
    text = [name for name in text if any(frame[name].dtype == pl.String for frame in frames)]
    frames = [frame.with_columns(pl.col(text).cast(pl.String)) for frame in frames]
    joined = pl.concat(frames, how="vertical_relaxed")
    joined = names_as_numbers(joined, [name for name in parts[0].partition if kinds.get(name) == "name"])
    return joined, tuple(warning for _, warnings in loaded for warning in warnings)
