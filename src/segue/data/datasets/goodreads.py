"""Goodreads shelves of one genre: the files of the UCSD Book Graph.

goodreads_interactions_children.json.gz, one JSON object a line:

    {"user_id": "8842...", "book_id": "2331", "rating": 4, "date_added": "Fri Nov 17 11:37:35 -0800 2017", ...}

A rating of 0 says that a book was shelved and not rated. An event's time is `date_added`, which every line has; when
the book was read (`read_at`) most do not say.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.datasets.dataset import Dataset
from segue.data.readers.table import Tables

LINE = pl.Schema({"user_id": pl.String, "book_id": pl.String, "rating": pl.Float32, "date_added": pl.String})
DATE = "%a %b %d %H:%M:%S %z %Y"


def interactions(path: Path) -> Tables:
    """`goodreads_interactions_children.json` (.gz too)."""
    lines = pl.scan_ndjson(path, schema=LINE).select(
        user="user_id",
        item=pl.col("book_id").cast(pl.Int64),
        rating="rating",
        timestamp=pl.col("date_added").str.to_datetime(DATE, time_unit="us").dt.epoch("s"),
    )
    return hgn.without_order_in_ties(lines.collect(engine="streaming")), None, None


COLUMNS = {"user": "user", "item": "item", "time": "timestamp", "rating": "rating"}
TERMS = "for academic use; no redistribution, no commercial use; cite Wan and McAuley 2018 and Wan et al. 2019"
HOMEPAGE = "https://cseweb.ucsd.edu/~jmcauley/datasets/goodreads.html"
FOLDER = "https://mcauleylab.ucsd.edu/public_datasets/gdrive/goodreads/byGenre/"

DATASETS = (
    Dataset(
        name="goodreads-children",
        title="Goodreads Children, raw, as filtered for HGN",
        licence=TERMS,
        homepage=HOMEPAGE,
        users=48_296,
        items=32_871,
        rows=2_784_423,
        files={
            "goodreads_interactions_children.json.gz": interactions,
            "goodreads_interactions_children.json": interactions,
        },
        columns=COLUMNS,
        by_hand=f"download {FOLDER}goodreads_interactions_children.json.gz",
        rules=hgn.positive,
        shuffled=True,
    ),
    Dataset(
        name="goodreads-comics",
        title="Goodreads Comics, raw, as filtered for HGN",
        licence=TERMS,
        homepage=HOMEPAGE,
        users=34_445,
        items=33_121,
        rows=2_411_314,
        files={
            "goodreads_interactions_comics_graphic.json.gz": interactions,
            "goodreads_interactions_comics_graphic.json": interactions,
        },
        columns=COLUMNS,
        by_hand=f"download {FOLDER}goodreads_interactions_comics_graphic.json.gz",
        rules=hgn.positive,
        shuffled=True,
    ),
)
