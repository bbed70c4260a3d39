"""What is known about users or items, matched to a log: row i - 1 of the table belongs to id i.

item  movie_title  year             title              year      ids 1..I of the log; an item that the source
2     GoldenEye    1995     ──►     GoldenEye (1995)   1995      does not know is called by its name

user  age                           age                          ids 1..U; of a user that the source does not know
7     24                    ──►     24                           nothing is known
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.data.log import Vocab
from segue.data.readers.columns import as_names, guess
from segue.data.readers.table import open_table
from segue.data.readers.text import ATOMIC
from segue.errors import DataError

Named = Literal["user", "item"]


def beside(source: Any, role: Named) -> Path | None:
    """Where the table of a log lies: X.item beside X.inter, X.items.parquet beside X.parquet; None if nowhere."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    if path.is_dir():
        atomic = sorted(path.glob(f"*{ATOMIC}"))
        return beside(atomic[0], role) if len(atomic) == 1 else None
    found = path.with_suffix(f".{role}" if path.suffix == ATOMIC else f".{role}s{path.suffix}")
    return found if found.exists() else None


def metadata(source: Any, vocab: Vocab, role: Named) -> pl.DataFrame:
    """The rows of `source` in the order of the ids of `vocab`; of items, a column `title` first where there can be one.

    Names are matched by their text, so 12 is "12". Of several rows for one name the first counts. Where a column
    `year` is there, titles without one get " (year)".

    Raises:
        DataError: the source cannot be read, has no column of names, or knows none of those in `vocab`.
    """
    table = open_table(source)
    key = guess(role, table.columns)
    if key is None:
        raise DataError(
            f"{table.where}: no column looks like the {role}; the columns are {', '.join(table.columns)}. "
            f"Call the one of the names {role!r}, in a first line that is a header"
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
    title, year = guess("title", matched.columns), guess("year", matched.columns)
    return matched if role == "user" or title is None else _titled(matched, title, year, tokens)


def _titled(table: pl.DataFrame, title: str, year: str | None, tokens: pl.Series) -> pl.DataFrame:
    shown = pl.col(title).cast(pl.String)
    if year is not None:
        dated = shown.str.contains(r"\(\d{4}\)\s*$") | pl.col(year).is_null()
        shown = pl.when(dated).then(shown).otherwise(pl.format("{} ({})", shown, pl.col(year)))
    titles = table.select(shown.alias("title")).to_series()
    rest = table.drop({title, "title"} & set(table.columns))
    return rest.insert_column(0, pl.Series("title", titles.zip_with(titles.is_not_null(), tokens)))
