"""The logs of IARN (Pei, Yang et al., CIKM 2017): ratings of Amazon's clothing as its authors have published them, and
four more from the publishers' files.

    iarn_clothing.parquet   user  item   rating  order   split         time   0 ... 164433   164434 ...
                            0     41984  5.0     2719    test                 train, in its  test, in its
                            0     6769   5.0     92655   train                own order      own order

The authors cut at a date (1 January 2014) and give the two parts without times; within each, `order` is the row of
their file. It stands for time here, test after train: what the paper's split at a date needs is kept.
`iarn_clothing.items.parquet` beside it: the categories of each item, 1 to 7 of 835.

Of the others the paper says that they are samples in which users and items have more than 3 ratings (section 4.1). How
they were sampled it does not say: the rule alone leaves many times the ratings of its Table 1.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.datasets import amazon, netflix
from segue.data.datasets.dataset import Dataset
from segue.data.filters import k_core
from segue.data.log import Log
from segue.data.readers.table import Tables

TRAIN = 164_434  # ratings before the date


def clothing(path: Path) -> Tables:
    """A Parquet file with the columns user, item, rating, order and split."""
    table = pl.read_parquet(path)
    late = pl.when(pl.col("split") == "test").then(TRAIN).otherwise(0)
    events = table.select("user", "item", "rating", timestamp=pl.col("order").cast(pl.Int64) + late)
    beside = path.with_suffix(".items.parquet")
    return events.sort("timestamp"), None, pl.read_parquet(beside) if beside.is_file() else None


def rated_often(log: Log) -> Log:
    """Users and items with more than 3 ratings, both counted in what is left."""
    return k_core(log, 4, 4)


def shop(name: str, file: str, *, sizes: tuple[int, int, int], raw: tuple[int, int, int]) -> Dataset:
    """Amazon's ratings of one kind of goods, with the categories of the products."""
    users, items, rows = sizes
    readers = {"ratings_{}.csv": amazon.ratings, "reviews_{}.json": amazon.reviews}
    return Dataset(
        name=name,
        title=f"Amazon {file.replace('_', ' ')}, raw, by the rule of IARN's paper",
        licence=amazon.TERMS,
        homepage="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
        users=users,
        items=items,
        rows=rows,
        files={
            shape.format(file) + packed: amazon.categorised(read)
            for shape, read in readers.items()
            for packed in ("", ".gz")
        },
        columns=amazon.COLUMNS,
        by_hand=(
            f"download {amazon.FOLDER}ratings_{file}.csv (the edition of 2014) and, for the categories, "
            f"{amazon.FOLDER}meta_{file}.json.gz"
        ),
        rules=rated_often,
        raw=raw,
        shuffled=True,
    )


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
    Dataset(
        name="iarn-netflix",
        title="Netflix prize, raw, by the rule of IARN's paper",
        licence="Netflix prize data: for research; no redistribution, no commercial use",
        homepage="https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",
        users=17_043,
        items=9_598,
        rows=721_017,
        files={"combined_data_1.txt": netflix.ratings},
        columns=amazon.COLUMNS,
        by_hand=(
            "download combined_data_1.txt to combined_data_4.txt and movie_titles.csv from "
            "https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data"
        ),
        rules=rated_often,
        raw=(480_189, 17_770, 100_480_507),
        shuffled=True,
    ),
    shop("iarn-electronics", "Electronics", sizes=(11_117, 15_985, 136_998), raw=(4_201_696, 476_002, 7_824_482)),
    shop("iarn-home", "Home_and_Kitchen", sizes=(15_745, 19_383, 201_660), raw=(2_511_610, 410_243, 4_253_926)),
    shop("iarn-sport", "Sports_and_Outdoors", sizes=(11_723, 13_811, 127_178), raw=(1_990_521, 478_898, 3_268_695)),
)
