"""The ratings of Netflix's prize, November 1999 to December 2005, in the four files that most copies have.

combined_data_1.txt ... combined_data_4.txt      1:                       whose ratings follow
                                                 1488844,3,2005-09-06     user, rating, day
movie_titles.csv                                 1,2003,Dinosaur Planet   a title may hold commas
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.readers.table import Frame, Tables


def ratings(path: Path) -> Tables:
    """`combined_data_1.txt` and those beside it; titles from `movie_titles.csv`, if that is there."""
    parts = [_part(part) for part in sorted(path.parent.glob("combined_data_[1-4].txt"))]
    return hgn.without_order_in_ties(pl.concat(parts)), None, _films(path.with_name("movie_titles.csv"))


def _part(path: Path) -> Frame:
    """One file, streaming: a line is a heading, "1:", or a rating of the heading above it."""
    lines = pl.scan_csv(path, has_header=False, separator="\t", quote_char=None, schema=pl.Schema({"line": pl.String}))
    heading = pl.col("line").str.ends_with(":")
    number = pl.when(heading).then(pl.col("line").str.strip_suffix(":")).cast(pl.Int32)
    rated = lines.with_columns(item=number.forward_fill()).filter(~heading)
    fields = pl.col("line").str.split_exact(",", 2).struct
    return rated.select(
        "item",
        user=fields.field("field_0").cast(pl.Int32),
        rating=fields.field("field_1").cast(pl.Float32),
        timestamp=fields.field("field_2").str.to_date("%Y-%m-%d").dt.epoch("s"),
    ).collect(engine="streaming")


def _films(path: Path) -> Frame | None:
    if not path.is_file():
        return None
    rows = [line.split(",", 2) for line in path.read_text("latin-1").splitlines()]
    films = pl.DataFrame(rows, schema=dict.fromkeys(("item", "year", "title"), pl.String), orient="row")
    known = pl.col("year").str.contains(r"^\d{4}$")
    title = pl.when(known).then(pl.format("{} ({})", "title", "year")).otherwise("title")
    return films.select(pl.col("item").cast(pl.Int64), title=title)
