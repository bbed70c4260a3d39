"""`Table`: a source with known column names whose rows are not read yet.

CSV, TSV, .inter ──┐
Parquet file(s)  ──┼── Table(where, columns, load) ── load(kinds) ── a data frame of just those columns
a data frame     ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.data.readers.text import HEAD_ROWS, Loaded, TextFile
from segue.errors import DataError
from segue.expansion import Expansion
from segue.io import reason
from segue.parquet_size import decoded_size

ColumnKind = Literal["name", "time", "rating", "text", "any"]
Kinds = Mapping[str, ColumnKind]
Frame = pl.DataFrame
Tables = tuple[Frame, Frame | None, Frame | None]  # of a named data set: events, users, items
FAILED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)  # what reading a damaged file raises
DECODED = Expansion(ratio=1000, spare=1 << 32)  # of Parquet columns in memory from their file


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


def parquet_table(paths: Sequence[Path], where: str) -> Table:
    """Parquet files of the same columns and types."""
    for path in paths:
        parquet_schema(path)
    table = polars_table(pl.scan_parquet(list(paths), glob=False, hive_partitioning=False), where)

    def load(kinds: Kinds) -> Loaded:
        for path in paths:
            _check_size(path, kinds)
        return table.load(kinds)

    return replace(table, load=load)


def _check_size(path: Path, columns: Container[str]) -> None:
    """Refuse a Parquet file whose columns take far more memory than the file: they hold nothing but repetitions."""
    try:
        size = decoded_size(path, columns).bytes
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from error
    if size > DECODED.limit(path):
        raise DataError(
            f"{path}: would take {size / 1e9:,.0f} GB of memory, {size // path.stat().st_size:,} times its size; "
            "is it damaged? Write or download it again"
        )


def parquet_schema(path: Path) -> pl.Schema:
    """The columns of a Parquet file and their types.

    Raises:
        DataError: it is not a whole Parquet file.
    """
    try:
        decoded_size(path, ())
        return pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema()
    except (ValueError, *FAILED) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path}: not a whole Parquet file ({reason(error)}); write or download it again")


def polars_table(frame: pl.LazyFrame, where: str) -> Table:
    """A polars frame."""
    try:
        columns = frame.collect_schema().names()
    except FAILED as error:
        raise DataError(f"{where}: cannot be read ({reason(error)})") from error
    head = partial(_load_polars, frame.head(HEAD_ROWS), where)
    return Table(where, columns, lambda kinds: (_load_polars(frame, where, kinds), ()), head)


def _load_polars(frame: pl.LazyFrame, where: str, kinds: Kinds) -> pl.DataFrame:
    try:
        return frame.select(list(kinds)).collect()
    except FAILED as error:
        raise DataError(f"{where}: cannot be read ({reason(error)})") from error


def pandas_table(frame: Any) -> Table:
    """A pandas frame. An index of times, or one with a name, is a column."""
    frame = _with_index(frame)
    columns = [str(column) for column in frame.columns]
    head = partial(_load_pandas, frame.head(HEAD_ROWS))
    return Table("the pandas frame", columns, lambda kinds: (_load_pandas(frame, kinds), ()), head)


def _with_index(frame: Any) -> Any:
    """The frame with the levels of its index as columns that have a name, or that are times."""
    columns = {str(column) for column in frame.columns}
    if type(frame.index).__name__ == "DatetimeIndex" and frame.index.name is None and "timestamp" not in columns:
        frame = frame.rename_axis("timestamp")
    named = [name for name in frame.index.names if name is not None and str(name) not in columns]
    return frame.reset_index(level=named) if named else frame


def _load_pandas(frame: Any, kinds: Kinds) -> pl.DataFrame:
    chosen = frame.loc[:, [str(column) in kinds for column in frame.columns]]
    try:
        return pl.from_pandas(chosen.rename(columns=str)).select(list(kinds))
    except ImportError as error:
        raise DataError("pandas frames need pyarrow: pip install 'segue[pandas]'") from error
    except Exception as error:  # pyarrow's own errors cannot be named without importing it
        for column in chosen.columns:
            try:
                pl.from_pandas(chosen[[column]].rename(columns=str))
            except Exception as problem:
                raise DataError(
                    f"the pandas frame, column {str(column)!r}: its values cannot be converted to one type "
                    f"({reason(problem)}); make them text: frame[{column!r}].astype(str)"
                ) from error
        raise DataError(f"the pandas frame cannot be converted: {reason(error)}") from error
