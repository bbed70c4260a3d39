"""The log of IARN (Pei, Yang et al., CIKM 2017) that its authors have published: ratings of Amazon's clothing.

    iarn_clothing.parquet   user  item   rating  order   split         time   0 ... 164433   164434 ...
                            0     41984  5.0     2719    test                 train, in its  test, in its
                            0     6769   5.0     92655   train                own order      own order

The authors cut at a date (1 January 2014) and give the two parts without times; within each, `order` is the row of
their file. It stands for time here, test after train: what the paper's split at a date needs is kept.
`iarn_clothing.items.parquet` beside it: the categories of each item, 1 to 7 of 835.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.dataset import Dataset
from segue.data.source import Tables

TRAIN = 164_434  # ratings before the date


def clothing(path: Path) -> Tables:
    """A Parquet file with the columns user, item, rating, order and split."""
    table = pl.read_parquet(path)
    late = pl.when(pl.col("split") == "test").then(TRAIN).otherwise(0)
    events = table.select("user", "item", "rating", timestamp=pl.col("order").cast(pl.Int64) + late)
    beside = path.with_suffix(".items.parquet")
    return events.sort("timestamp"), None, pl.read_parquet(beside) if beside.is_file() else None


DATASETS = (
    Dataset(
        name="iarn-clothing",
        title="Amazon Clothing as IARN's authors split it",
        licence="Amazon review data: for research; cite McAuley et al. 2015 and He and McAuley 2016",
        homepage="https://github.com/wenjiepei/IARN",
        users=22_018,
        items=50_044,
        rows=185_176,
        files={"iarn_clothing.parquet": clothing},
        columns={"user": "user", "item": "item", "time": "timestamp", "rating": "rating"},
        by_hand=(
            "write iarn_clothing.parquet from the ratings in https://github.com/wenjiepei/IARN, "
            'with columns user, item, rating, order (the row in their file) and split ("train" or "test")'
        ),
    ),
)
