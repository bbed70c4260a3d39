"""Metadata of users or items, matched to a log: row i - 1 of the table belongs to id i.

item  movie_title  year             title              year      ids 1..I of the log; the title of an item that the
2     GoldenEye    1995     ──►     GoldenEye (1995)   1995      source does not have is its name

user  age                           age                          ids 1..U; values of a user that the source does not
7     24                    ──►     24                           have are null
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.data.log import Vocab
from segue.data.readers.dialect import ATOMIC
from segue.data.readers.names import as_names
from segue.data.readers.roles import guess_column
from segue.data.readers.source import open_table
from segue.data.readers.table import ColumnKind
from segue.errors import DataError

Named = Literal["user", "item"]


def find_metadata(source: Any, role: Named) -> Path | None:
    """The metadata file of a log: X.item beside X.inter, X.items.parquet beside X.parquet; None if there is none."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    if path.is_dir():
        atomic = sorted(path.glob(f"*{ATOMIC}"))
        return find_metadata(atomic[0], role) if len(atomic) == 1 else None
    file = path.with_suffix(f".{role}" if path.suffix == ATOMIC else f".{role}s{path.suffix}")
    return file if file.exists() else None


def read_metadata(source: Any, vocab: Vocab, role: Named) -> tuple[pl.DataFrame, list[str]]:
    """The rows of `source` in the order of the ids of `vocab`; items get a column `title` first, if there are titles.

    Names are matched as text, so 12 matches "12". Of several rows for one name the first is used. If there is a column
    `year`, titles that do not end in a year get " (year)". The second result is what was assumed about the source.

    Raises:
        DataError: the source cannot be read, has no column of names, or has no name of `vocab`.
    """
    table = open_table(source)
    key = guess_column(role, table.columns)
    if key is None:
        raise DataError(
            f"{table.where}: no column looks like the {role}; the columns are {', '.join(table.columns)}. "
            f"Call the column of names {role!r} in a header line"
        )
    title = guess_column("title", [column for column in table.columns if column != key]) if role == "item" else None
    kinds: dict[str, ColumnKind] = {key: "name"} if title is None else {key: "name", title: "text"}
    frame, warnings = table.load({column: kinds.get(column, "any") for column in table.columns})
    read = as_names(frame[key], f"{table.where}, column {key!r}")
    names = read.values.cast(pl.String)
    frame = frame.drop(key).with_columns(names.alias("\0name")).unique("\0name", keep="first", maintain_order=True)
    tokens = vocab.tokens.cast(pl.String)
    if not tokens.is_in(frame["\0name"].implode()).any():
        raise DataError(
            f"{table.where}: none of its {role}s ({names[0]!r}, ...) is in the log ({tokens[0]!r}, ...); "
            "are these the same names?"
        )
    matched = pl.DataFrame({"\0name": tokens}).join(frame, on="\0name", how="left", maintain_order="left")
    matched = matched.drop("\0name")
    if title is not None:
        matched = _with_titles(matched, title, guess_column("year", matched.columns), tokens)
    return matched, [*warnings, *read.warnings]


def _with_titles(table: pl.DataFrame, title: str, year: str | None, tokens: pl.Series) -> pl.DataFrame:
    text, years = _as_text(table[title]), None if year is None else _as_text(table[year])
    if years is not None:
        years = years.str.replace(r"^(\d+)\.0$", "$1")
        has_year = text.str.contains(r"\(\d{4}\)\s*$") | years.is_null()
        text = pl.select(pl.when(has_year).then(text).otherwise(pl.format("{} ({})", text, years))).to_series()
    rest = table.drop({title, "title"} & set(table.columns))
    return rest.insert_column(0, pl.Series("title", text.zip_with(text.is_not_null(), tokens)))


def _as_text(column: pl.Series) -> pl.Series:
    """Titles or years as text, whole numbers without a decimal point, dates as their year; null for empty ones."""
    if column.dtype in (pl.Date, pl.Datetime):
        column = column.dt.year()
    text = column.cast(pl.String).str.strip_chars()
    if column.dtype.is_float():
        text = text.str.replace(r"\.0$", "").replace("NaN", None)
    return text.replace("", None)
