"""`Table`: a source with known column names whose rows are not read yet.

CSV, TSV, .inter ──┐
Parquet file(s)  ──┼── Table(where, columns, load) ── load(kinds) ── a data frame of just those columns
a data frame     ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.data.readers.text import HEAD_ROWS, Loaded, TextFile, names_as_numbers
from segue.errors import DataError
from segue.io import reason

ColumnKind = Literal["name", "time", "rating", "text", "any"]
Kinds = Mapping[str, ColumnKind]
Frame = pl.DataFrame
Tables = tuple[Frame, Frame | None, Frame | None]  # of a named data set: events, users, items


@dataclass(frozen=True)
class Table:
    """Named columns whose rows are not read yet.

    Attributes:
        where: the name of the source in messages.
        columns: the column names, in the order of the source.
        load: reads columns: a mapping column -> kind ("name", "time", "rating", "text" or "any") gives a frame of them,
            and what was assumed about the source, one sentence each.
        head: the same for the first rows, at most 1,000, without the sentences.
        hint: what to say besides when a column is missing: how the first line of a text file was understood.
    """

    where: str
    columns: list[str]
    load: Callable[[Kinds], Loaded]
    head: Callable[[Kinds], pl.DataFrame]
    hint: str = ""


def text_table(path: Path, delimiter: str | None, header: bool | None) -> Table:
    """A delimited text file."""
    file = TextFile.open(path, delimiter, header)
    return Table(path.name, file.columns, file.load, file.head, file.header.hint)


def parquet_table(paths: Sequence[Path], where: str, partitions: Sequence[str] = ()) -> Table:
    """Parquet files of the same columns; `partitions` are the names in folders such as day=1, which become columns."""
    schemas = [_parquet_columns(path) for path in paths]
    for path, columns in zip(paths, schemas, strict=True):
        if columns != schemas[0]:
            raise DataError(
                f"{path}: its columns ({', '.join(columns)}) are not those of {paths[0].name} ({', '.join(schemas[0])})"
            )
    hive = dict.fromkeys(partitions, pl.String) if partitions else None
    frame = pl.scan_parquet(list(paths), glob=False, hive_partitioning=bool(hive), hive_schema=hive)
    return polars_table(frame, where, partitions)


def _parquet_columns(path: Path) -> list[str]:
    try:
        return list(pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a whole Parquet file ({reason(error)}); write or download it again") from error


def polars_table(frame: pl.LazyFrame, where: str, text: Sequence[str] = ()) -> Table:
    """A polars frame; the columns `text` hold names as they stand in a text, which may be whole numbers."""
    try:
        columns = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{where}: cannot be read ({reason(error)})") from error
    head = partial(_load_polars, frame.head(HEAD_ROWS), where, text)
    return Table(where, columns, lambda kinds: (_load_polars(frame, where, text, kinds), ()), head)


def _load_polars(frame: pl.LazyFrame, where: str, text: Sequence[str], kinds: Kinds) -> pl.DataFrame:
    try:
        loaded = frame.select(list(kinds)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{where}: cannot be read ({reason(error)})") from error
    return names_as_numbers(loaded, [name for name in text if kinds.get(name) == "name"])


def pandas_table(frame: Any) -> Table:
    """A pandas frame."""
    columns = [str(column) for column in frame.columns]
    head = partial(_load_pandas, frame.head(HEAD_ROWS))
    return Table("the pandas frame", columns, lambda kinds: (_load_pandas(frame, kinds), ()), head)


def _load_pandas(frame: Any, kinds: Kinds) -> pl.DataFrame:
    chosen = frame.loc[:, [str(column) in kinds for column in frame.columns]]
    try:
        return pl.from_pandas(chosen.rename(columns=str)).select(list(kinds))
    except ImportError as error:
        raise DataError("pandas frames need pyarrow: pip install 'segue[pandas]'") from error
    except Exception as error:  # pyarrow's own errors cannot be named without importing it
        raise DataError(f"the pandas frame cannot be converted: {reason(error)}") from error
