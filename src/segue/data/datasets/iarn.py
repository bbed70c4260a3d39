"""The logs of IARN (Pei, Yang et al., CIKM 2017): Amazon clothing as published by its authors, and four logs from the
publishers' files.

    iarn_clothing.parquet   user  item   rating  order   split         time   0 ... 164433   164434 ...
                            0     41984  5.0     2719    test                 train, in its  test, in its
                            0     6769   5.0     92655   train                own order      own order

The authors cut at a date (1 January 2014) and publish the two parts without times; within each part, `order` is the row
in their file. Here it takes the place of time, with test after train, which is all that the paper's split needs.
`iarn_clothing.items.parquet` beside it has the categories of each item, 1 to 7 of 835, the most general first.

The paper says that its logs are samples in which users and items have more than 3 ratings (section 4.1). Of Clothing,
all numbers of Table 1 come out if users and items with at least 3 training ratings are kept, both counted once, before
either is removed (`filter_by_training_rows`). Its users and items are those of the training part that is left. How the
other logs were sampled is not known; the filter alone leaves many times the ratings of Table 1.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.datasets import amazon, netflix
from segue.data.datasets.dataset import Dataset, role_columns
from segue.data.filters import k_core, select
from segue.data.log import Log
from segue.data.readers.table import Tables

NUM_TRAIN = 164_434  # ratings before the date
MIN_TRAIN = 3  # of a user or an item of Table 1


def read_clothing(path: Path) -> Tables:
    """Read a Parquet file with the columns user, item, rating, order and split."""
    table = pl.read_parquet(path, glob=False)
    offset = pl.when(pl.col("split") == "test").then(NUM_TRAIN).otherwise(0)
    events = table.select("user", "item", "rating", timestamp=pl.col("order").cast(pl.Int64) + offset)
    item_file = path.with_suffix(".items.parquet")
    return events.sort("timestamp"), None, pl.read_parquet(item_file, glob=False) if item_file.is_file() else None


def filter_by_training_rows(log: Log) -> Log:
    """Keep users and items with at least 3 rows before the date, each counted once in the whole training part."""
    assert log.time is not None
    user, item = log.events()
    is_train = log.column(log.time) < NUM_TRAIN
    users, items = (
        np.bincount(key[is_train], minlength=size + 1) >= MIN_TRAIN
        for key, size in ((user, log.num_users), (item, log.num_items))
    )
    return select(log, users[user] & items[item], f"users and items with at least {MIN_TRAIN} rows before the date")


def filter_frequent(log: Log) -> Log:
    """Keep users and items with more than 3 ratings, both counted in what is left."""
    return k_core(log, 4, 4)


def amazon_dataset(name: str, category: str, *, size: tuple[int, int, int], raw_size: tuple[int, int, int]) -> Dataset:
    """Amazon's ratings of one product category, with the categories of the products; `size` is after the filter."""
    num_users, num_items, num_rows = size
    readers = {"ratings_{}.csv": amazon.read_ratings, "reviews_{}.json": amazon.read_reviews}
    return Dataset(
        name=name,
        title=f"Amazon {category.replace('_', ' ')}, raw, by the rule of IARN's paper",
        licence=amazon.TERMS,
        homepage=amazon.HOMEPAGE,
        num_users=num_users,
        num_items=num_items,
        num_rows=num_rows,
        files={
            pattern.format(category) + suffix: amazon.with_products(read)
            for pattern, read in readers.items()
            for suffix in ("", ".gz")
        },
        columns=role_columns(),
        instructions=(
            f"download {amazon.BASE_URL}ratings_{category}.csv (the edition of 2014) and, for the categories, "
            f"{amazon.BASE_URL}meta_{category}.json.gz"
        ),
        preprocess=filter_frequent,
        raw_size=raw_size,
        shuffled_ties=True,
    )


CLOTHING = Dataset(
    name="iarn-clothing",
    title="Amazon Clothing as IARN's authors split it",
    licence=amazon.TERMS,
    homepage="https://github.com/wenjiepei/IARN",
    num_users=22_018,
    num_items=50_044,
    num_rows=185_176,
    files={"iarn_clothing.parquet": read_clothing},
    columns=role_columns(),
    instructions=(
        "write iarn_clothing.parquet from the ratings in https://github.com/wenjiepei/IARN, "
        'with columns user, item, rating, order (the row in their file) and split ("train" or "test")'
    ),
)
DATASETS = (
    CLOTHING,
    replace(
        CLOTHING,
        name="iarn-clothing-table1",
        title="Amazon Clothing as IARN's authors split it, with the users and items of their Table 1",
        num_users=19_948,
        num_items=20_786,
        num_rows=135_128,
        preprocess=filter_by_training_rows,
        raw_size=CLOTHING.size,
    ),
    Dataset(
        name="iarn-netflix",
        title="Netflix prize, raw, by the rule of IARN's paper",
        licence="Netflix prize data: for research; no redistribution, no commercial use",
        homepage="https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",
        num_users=17_043,
        num_items=9_598,
        num_rows=721_017,
        files={"combined_data_1.txt": netflix.read_combined_data},
        columns=role_columns(),
        instructions=(
            "download combined_data_1.txt to combined_data_4.txt and movie_titles.csv from "
            "https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data"
        ),
        preprocess=filter_frequent,
        raw_size=(480_189, 17_770, 100_480_507),
        shuffled_ties=True,
    ),
    amazon_dataset(
        "iarn-electronics", "Electronics", size=(11_117, 15_985, 136_998), raw_size=(4_201_696, 476_002, 7_824_482)
    ),
    amazon_dataset(
        "iarn-home", "Home_and_Kitchen", size=(15_745, 19_383, 201_660), raw_size=(2_511_610, 410_243, 4_253_926)
    ),
    amazon_dataset(
        "iarn-sport", "Sports_and_Outdoors", size=(11_723, 13_811, 127_178), raw_size=(1_990_521, 478_898, 3_268_695)
    ),
)
