"""`folder_table`: a folder whose files are the parts of one table.

log/day=1/a.parquet ── open_file ── columns user, item        and day = "1" ──┐
log/day=2/a.parquet ── open_file ── columns item, user, shop  and day = "2" ──┴── one frame of the wanted columns

Parts may have their columns in another order, further columns that are not used, and types that go together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from segue.data.readers.dialect import ATOMIC
from segue.data.readers.empty import NoRows
from segue.data.readers.folder_files import PARQUET, find_parts, table_suffix
from segue.data.readers.table import Kinds, Table, parquet_schema, parquet_table
from segue.data.readers.text import Loaded, names_as_numbers
from segue.data.readers.values import check_dates
from segue.errors import DataError
from segue.io import reason

UNITS = ("ms", "us", "ns")


def folder_table(folder: Path, open_file: Callable[[Path], Table]) -> Table:
    """Open the files of a folder as one table; `open_file` opens one file.

    Raises:
        DataError: the folder has no tables, or tables of different formats or columns.
    """
    atomic = sorted(folder.glob(f"*{ATOMIC}"))
    if len(atomic) == 1:
        return open_file(atomic[0])
    parts = find_parts(folder)
    opened, empty = [], []
    name = folder.resolve().name or str(folder)  # of ".", too
    for path, partition in zip(parts.paths, parts.partitions, strict=True):
        try:
            opened.append(_Part(open_file(path), path, partition))
        except NoRows as error:
            empty.append((path, error.columns))
    if not opened:
        raise DataError(f"{folder}: all of its files are empty")
    for path, columns in empty:
        if columns and not any(set(columns) == set(part.table.columns) for part in opened):
            raise _other_columns(path, columns, opened[0])
    if not parts.partitions[0] and all(table_suffix(path) in PARQUET for path in parts.paths):
        schemas = [parquet_schema(path) for path in parts.paths]
        if all(schema == schemas[0] for schema in schemas):
            table = parquet_table(parts.paths, name)
            return replace(table, load=lambda kinds: (table.load(kinds)[0], tuple(parts.warnings)))
    return _joined(opened, name, parts.warnings)


@dataclass(frozen=True)
class _Part:
    table: Table
    path: Path
    partition: dict[str, str | None]

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys([*self.table.columns, *self.partition]))

    def load(self, kinds: Kinds) -> Loaded:
        frame, warnings = self.table.load(self._stored(kinds))
        return self._with_partition(frame, kinds), warnings

    def head(self, kinds: Kinds) -> pl.DataFrame:
        return self._with_partition(self.table.head(self._stored(kinds)), kinds)

    def _stored(self, kinds: Kinds) -> Kinds:
        """The columns in the file itself; one that is not wanted if there is none, to know the number of rows."""
        stored = {name: kind for name, kind in kinds.items() if name not in self.partition}
        return stored or {self.table.columns[0]: "any"}

    def _with_partition(self, frame: pl.DataFrame, kinds: Kinds) -> pl.DataFrame:
        values = {name: value for name, value in self.partition.items() if name in kinds}
        literals = (pl.lit(value, pl.String).alias(name) for name, value in values.items())
        return frame.with_columns(literals).select(list(kinds))


def _other_columns(path: Path, columns: Sequence[str], first: _Part, missing: str = "") -> DataError:
    return DataError(
        f"{path}: its columns ({', '.join(columns)}) are not those of {first.path.name} ({', '.join(first.columns)})"
        f"{missing}; give the file of events"
    )


def _joined(parts: Sequence[_Part], name: str, assumed: Sequence[str]) -> Table:
    columns = list(dict.fromkeys(column for part in parts for column in part.columns))
    load = partial(_load, parts, assumed)
    return Table(name, columns, load, partial(_head, parts), parts[0].table.hint)


def _head(parts: Sequence[_Part], kinds: Kinds) -> pl.DataFrame:
    """The first rows; those of a later part for columns that the first one does not have."""
    sources = {name: next(n for n, part in enumerate(parts) if name in part.columns) for name in kinds}
    wanted = {n: {name: kinds[name] for name in kinds if sources[name] == n} for n in sorted(set(sources.values()))}
    frames = [parts[n].head(names) for n, names in wanted.items()]
    return pl.concat(frames, how="horizontal").select(list(kinds)) if frames else pl.DataFrame()


def _load(parts: Sequence[_Part], assumed: Sequence[str], kinds: Kinds) -> Loaded:
    for part in parts:
        for name in kinds:
            if name not in part.columns:
                having = next(other for other in parts if name in other.columns)
                raise _other_columns(part.path, part.columns, having, f": it has no column {name!r}")
    loaded = [part.load(kinds) for part in parts]
    frames = [frame for frame, _ in loaded]
    for part, frame in zip(parts, frames, strict=True):
        for column in frame:
            check_dates(column, f"{part.path}, column {column.name!r}")
    try:
        frames = [frame.with_columns(_common_types(frames)) for frame in frames]
        joined = pl.concat(frames, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{parts[0].path.parent}: its files have different types ({reason(error)})") from error
    joined = names_as_numbers(joined, [name for name in parts[0].partition if kinds.get(name) == "name"])
    return joined, (*assumed, *(warning for _, warnings in loaded for warning in warnings))


def _common_types(frames: Sequence[pl.DataFrame]) -> list[pl.Expr]:
    """Conversions of columns whose types differ: to text if one is text, times to the finest unit."""
    conversions = []
    for name in frames[0].columns:
        types = {frame[name].dtype for frame in frames}
        if len(types) > 1 and any(dtype in (pl.String, pl.Categorical, pl.Enum) for dtype in types):
            conversions.append(pl.col(name).cast(pl.String))
        elif len(types) > 1 and all(isinstance(dtype, pl.Datetime) for dtype in types):
            units = {dtype.time_unit for dtype in types if isinstance(dtype, pl.Datetime)}
            conversions.append(pl.col(name).dt.cast_time_unit(max(units, key=UNITS.index)))
    return conversions
