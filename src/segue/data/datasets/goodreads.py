"""Goodreads shelves of one genre: the files of the UCSD Book Graph.

    goodreads_interactions_children.json.gz, one JSON object per line:

    {"user_id": "8842...", "book_id": "2331", "rating": 4, "date_added": "Fri Nov 17 11:37:35 -0800 2017", ...}

A rating of 0 means that a book was put on a shelf and not rated. The time of an event is `date_added`, which every line
has. Most lines do not have the time of reading (`read_at`).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.datasets.dataset import Dataset, role_columns
from segue.data.readers.json_lines import not_a_pattern
from segue.data.readers.table import Tables

LINE = pl.Schema({"user_id": pl.String, "book_id": pl.String, "rating": pl.Float32, "date_added": pl.String})
DATE = "%a %b %d %H:%M:%S %z %Y"


def read_interactions(path: Path) -> Tables:
    """Read `goodreads_interactions_children.json` (also .gz)."""
    lines = pl.scan_ndjson(not_a_pattern(path), schema=LINE).select(
        user="user_id",
        item=pl.col("book_id").cast(pl.Int64),
        rating="rating",
        timestamp=pl.col("date_added").str.to_datetime(DATE, time_unit="us").dt.epoch("s"),
    )
    return hgn.shuffle_rows(lines.collect(engine="streaming")), None, None


_BASE_URL = "https://mcauleylab.ucsd.edu/public_datasets/gdrive/goodreads/byGenre/"


def genre_dataset(name: str, genre: str, file: str, *, size: tuple[int, int, int]) -> Dataset:
    """The raw shelves of one genre, filtered as for HGN; `size` is after the filters."""
    num_users, num_items, num_rows = size
    return Dataset(
        name=name,
        title=f"Goodreads {genre}, raw, as filtered for HGN",
        licence="for academic use; no redistribution, no commercial use; cite Wan and McAuley 2018 and Wan et al. 2019",
        homepage="https://cseweb.ucsd.edu/~jmcauley/datasets/goodreads.html",
        num_users=num_users,
        num_items=num_items,
        num_rows=num_rows,
        files={f"{file}.json.gz": read_interactions, f"{file}.json": read_interactions},
        columns=role_columns(),
        instructions=f"download {_BASE_URL}{file}.json.gz",
        preprocess=hgn.filter_positive,
        shuffled_ties=True,
    )


DATASETS = (
    genre_dataset(
        "goodreads-children",
        "Children",
        "goodreads_interactions_children",
        size=(48_296, 32_871, 2_784_423),
    ),
    genre_dataset(
        "goodreads-comics",
        "Comics",
        "goodreads_interactions_comics_graphic",
        size=(34_445, 33_121, 2_411_314),
    ),
)
