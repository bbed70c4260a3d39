"""The ratings of the Netflix prize, November 1999 to December 2005, in the four files that most copies have.

combined_data_1.txt ... combined_data_4.txt      1:                       the film of the lines below
                                                 1488844,3,2005-09-06     user, rating, day
movie_titles.csv                                 1,2003,Dinosaur Planet   a title may contain commas
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.readers.table import Frame, Tables


def read_combined_data(path: Path) -> Tables:
    """Read `combined_data_1.txt` and the other parts beside it, and titles from `movie_titles.csv` if it is there."""
    parts = [_read_part(part) for part in sorted(path.parent.glob("combined_data_[1-4].txt"))]
    return hgn.shuffle_rows(pl.concat(parts)), None, _read_titles(path.with_name("movie_titles.csv"))


def _read_part(path: Path) -> Frame:
    """Read one file as a stream: a line is a heading, "1:", or a rating of the heading above it."""
    lines = pl.scan_csv(
        path, glob=False, has_header=False, separator="\t", quote_char=None, schema=pl.Schema({"line": pl.String})
    )
    heading = pl.col("line").str.ends_with(":")
    number = pl.when(heading).then(pl.col("line").str.strip_suffix(":")).cast(pl.Int32)
    ratings = lines.with_columns(item=number.forward_fill()).filter(~heading)
    fields = pl.col("line").str.split_exact(",", 2).struct
    return ratings.select(
        "item",
        user=fields.field("field_0").cast(pl.Int32),
        rating=fields.field("field_1").cast(pl.Float32),
        timestamp=fields.field("field_2").str.to_date("%Y-%m-%d").dt.epoch("s"),
    ).collect(engine="streaming")


def _read_titles(path: Path) -> Frame | None:
    if not path.is_file():
        return None
    rows = [line.split(",", 2) for line in path.read_text("latin-1").splitlines()]
    films = pl.DataFrame(rows, schema=dict.fromkeys(("item", "year", "title"), pl.String), orient="row")
    has_year = pl.col("year").str.contains(r"^\d{4}$")
    title = pl.when(has_year).then(pl.format("{} ({})", "title", "year")).otherwise("title")
    return films.select(pl.col("item").cast(pl.Int64), title=title)
