"""What is known about items, matched to a log: row i - 1 of the table belongs to id i.

item  movie_title  year             title              year      ids 1..I of the log; an item that the source
2     GoldenEye    1995     ──►     GoldenEye (1995)   1995      does not know is called by its name
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from segue.data.columns import as_names, guess
from segue.data.log import Vocab
from segue.data.source import open_table
from segue.data.text import ATOMIC
from segue.errors import DataError


def beside(source: Any) -> Path | None:
    """Where the items of a log lie: X.item beside X.inter, X.items.parquet beside X.parquet; None if nowhere."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    if path.is_dir():
        atomic = sorted(path.glob(f"*{ATOMIC}"))
        return beside(atomic[0]) if len(atomic) == 1 else None
    found = path.with_suffix(".item") if path.suffix == ATOMIC else path.with_suffix(f".items{path.suffix}")
    return found if found.exists() else None


def item_table(source: Any, items: Vocab) -> pl.DataFrame:
    """The rows of `source` in the order of ids 1..I; a column `title` first where there is one to be had.

    Items are matched by the text of their names, so 12 is "12". Where a column `year` is there, titles without one
    get " (year)". Of several rows for one item the first counts.

    Raises:
        DataError: the source cannot be read, has no column of item names, or knows none of the items.
    """
    table = open_table(source)
    key = guess("item", table.columns)
    if key is None:
        raise DataError(f"{table.where}: no column looks like the item; the columns are {', '.join(table.columns)}")
    frame = table.load({column: "name" if column == key else "any" for column in table.columns})
    names = as_names(frame[key], f"{table.where}, column {key!r}").cast(pl.String)
    frame = frame.drop(key).with_columns(names.alias("\0item")).unique("\0item", keep="first", maintain_order=True)
    tokens = items.tokens.cast(pl.String)
    if not tokens.is_in(frame["\0item"].implode()).any():
        raise DataError(
            f"{table.where}: none of its items ({names[0]!r}, ...) is in the log ({tokens[0]!r}, ...); "
            "are these the same names?"
        )
    matched = pl.DataFrame({"\0item": tokens}).join(frame, on="\0item", how="left", maintain_order="left")
    title, year = (guess(role, matched.columns) for role in ("title", "year"))
    matched = matched.drop("\0item")
    return matched if title is None else _titled(matched, title, year, tokens)


def _titled(table: pl.DataFrame, title: str, year: str | None, tokens: pl.Series) -> pl.DataFrame:
    shown = pl.col(title).cast(pl.String)
    if year is not None:
        dated = shown.str.contains(r"\(\d{4}\)\s*$") | pl.col(year).is_null()
        shown = pl.when(dated).then(shown).otherwise(pl.format("{} ({})", shown, pl.col(year)))
    titles = table.select(shown.alias("title")).to_series()
    rest = table.drop({title, "title"} & set(table.columns))
    return rest.insert_column(0, pl.Series("title", titles.zip_with(titles.is_not_null(), tokens)))
