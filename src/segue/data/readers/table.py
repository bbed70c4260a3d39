"""`Table`: a source with known column names whose rows are not read yet.

CSV, TSV, .inter ──┐
Parquet file(s)  ──┼── Table(where, columns, load) ── load(kinds) ── a data frame of just those columns
a data frame     ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.data.readers.text import ATOMIC, SUFFIXES, TextFile
from segue.errors import DataError
from segue.io import reason

PARQUET = (".parquet", ".pq")
ColumnKind = Literal["name", "time", "rating", "any"]
Frame = pl.DataFrame
Tables = tuple[Frame, Frame | None, Frame | None]  # of a named data set: events, users, items


@dataclass(frozen=True)
class Table:
    """Named columns whose rows are not read yet.

    Attributes:
        where: the name of the source in messages.
        columns: the column names, in the order of the source.
        load: reads columns: a mapping column -> kind ("name", "time", "rating" or "any") gives a frame of them.
        has_header: whether the source has a header. If not, the columns are called "1", "2", ...
    """

    where: str
    columns: list[str]
    load: Callable[[Mapping[str, ColumnKind]], pl.DataFrame]
    has_header: bool = True


def open_table(source: Any, *, delimiter: str | None = None) -> Table:
    """Open a path or a data frame, without reading its rows.

    Raises:
        DataError: there is no such file, or it cannot be read as a table; the message says why.
    """
    if isinstance(source, str | Path):
        return _open_path(Path(source), delimiter)
    if isinstance(source, pl.DataFrame | pl.LazyFrame):
        return _open_polars(source.lazy(), "the polars frame")
    if type(source).__module__.partition(".")[0] == "pandas":
        return _open_pandas(source)
    raise DataError(f"cannot read a log from a {type(source).__name__}; give a path, or a polars or pandas DataFrame")


def _open_path(path: Path, delimiter: str | None) -> Table:
    if path.is_dir():
        return _open_folder(path, delimiter)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in PARQUET:
        return _open_parquet([path], path.name)
    if suffix in SUFFIXES or delimiter is not None:
        file = TextFile.open(path, delimiter)
        return Table(path.name, file.columns, file.load, file.has_header)
    raise DataError(
        f"{path}: cannot read {suffix} files; give CSV, TSV, Parquet or a RecBole .inter, "
        "or give delimiter=... if it is text"
    )


def _open_folder(folder: Path, delimiter: str | None) -> Table:
    atomic = sorted(folder.glob(f"*{ATOMIC}"))
    if len(atomic) == 1:
        return _open_path(atomic[0], delimiter)
    parts = [p for p in sorted(folder.iterdir()) if p.suffix in PARQUET and not p.stem.endswith((".items", ".users"))]
    if parts and not atomic:
        return _open_parquet(parts, folder.name)
    listed = ", ".join(sorted(p.name for p in folder.iterdir())[:10]) or "nothing"
    raise DataError(f"{folder}: a folder must hold a saved log, Parquet files or one {ATOMIC} file; it holds {listed}")


def _open_parquet(paths: list[Path], where: str) -> Table:
    schemas = [_parquet_columns(path) for path in paths]
    for path, columns in zip(paths, schemas, strict=True):
        if columns != schemas[0]:
            raise DataError(
                f"{path}: its columns ({', '.join(columns)}) are not those of {paths[0].name} ({', '.join(schemas[0])})"
            )
    return _open_polars(pl.scan_parquet(paths), where)


def _parquet_columns(path: Path) -> list[str]:
    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a whole Parquet file ({reason(error)}); write or download it again") from error


def _open_polars(frame: pl.LazyFrame, where: str) -> Table:
    try:
        columns = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{where}: cannot be read ({reason(error)})") from error
    return Table(where, columns, partial(_load_polars, frame, where))


def _load_polars(frame: pl.LazyFrame, where: str, kinds: Mapping[str, ColumnKind]) -> pl.DataFrame:
    try:
        return frame.select(list(kinds)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{where}: cannot be read ({reason(error)})") from error


def _open_pandas(frame: Any) -> Table:
    return Table("the pandas frame", [str(column) for column in frame.columns], partial(_load_pandas, frame))


def _load_pandas(frame: Any, kinds: Mapping[str, ColumnKind]) -> pl.DataFrame:
    chosen = frame.loc[:, [str(column) in kinds for column in frame.columns]]
    try:
        return pl.from_pandas(chosen.rename(columns=str)).select(list(kinds))
    except ImportError as error:
        raise DataError("pandas frames need pyarrow: pip install 'segue[pandas]'") from error
    except Exception as error:  # pyarrow's own errors cannot be named without importing it
        raise DataError(f"the pandas frame cannot be converted: {reason(error)}") from error
