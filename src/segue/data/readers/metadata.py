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
from segue.data.readers.columns import as_names, guess_column
from segue.data.readers.dialect import ATOMIC
from segue.data.readers.source import open_table
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
    frame = table.load({column: "name" if column == key else "any" for column in table.columns})
    names = as_names(frame[key], f"{table.where}, column {key!r}").cast(pl.String)
    frame = frame.drop(key).with_columns(names.alias("\0name")).unique("\0name", keep="first", maintain_order=True)
    tokens = vocab.tokens.cast(pl.String)
    if not tokens.is_in(frame["\0name"].implode()).any():
        raise DataError(
            f"{table.where}: none of its {role}s ({names[0]!r}, ...) is in the log ({tokens[0]!r}, ...); "
            "are these the same names?"
        )
    matched = pl.DataFrame({"\0name": tokens}).join(frame, on="\0name", how="left", maintain_order="left")
    matched = matched.drop("\0name")
    title, year = guess_column("title", matched.columns), guess_column("year", matched.columns)
    if role == "item" and title is not None:
        matched = _with_titles(matched, title, year, tokens)
    return matched, table.warnings


def _with_titles(table: pl.DataFrame, title: str, year: str | None, tokens: pl.Series) -> pl.DataFrame:
    text = pl.col(title).cast(pl.String)
    if year is not None:
        has_year = text.str.contains(r"\(\d{4}\)\s*$") | pl.col(year).is_null()
        text = pl.when(has_year).then(text).otherwise(pl.format("{} ({})", text, pl.col(year)))
    titles = table.select(text.alias("title")).to_series()
    rest = table.drop({title, "title"} & set(table.columns))
    return rest.insert_column(0, pl.Series("title", titles.zip_with(titles.is_not_null(), tokens)))
