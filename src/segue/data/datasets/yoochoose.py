"""Logs of sessions that come with a split: whole sessions are train or test.

    yoochoose1_64.parquet   user  item   order  split         users   user  split
                            0     2612   0      train                 0     train
                            0     33285  1      train                 1     train

    yoochoose-clicks.dat    1,2014-04-07T10:51:09.277Z,214536502,0        the publisher's: session, time, item, category

The split becomes the column `split` of the table of users, where the split `given` looks for it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.datasets.dataset import Dataset
from segue.data.filters import frequent_items, frequent_users, select
from segue.data.log import Log
from segue.data.readers.table import Frame, Tables
from segue.data.splits import newest_users
from segue.errors import DataError


def parquet(path: Path) -> Tables:
    """A Parquet file with the columns user (the session), item, split, and timestamp or order."""
    table = pl.read_parquet(path)
    users = split_of(table, path)
    if "timestamp" in table.columns:
        return table.select("user", "item", "timestamp"), users, None
    return table.sort("user", "order").select("user", "item"), users, None


def split_of(table: Frame, path: Path) -> Frame:
    """The table of users (user, split) of a file with these columns in every row."""
    users = table.select("user", "split").unique(maintain_order=True)
    torn = users.filter(pl.col("user").is_duplicated())
    if len(torn):
        raise DataError(
            f"{path}: session {torn['user'][0]} is part of {' and '.join(torn['split'][:2])}; it can be one"
        )
    return users


CLICKS = pl.Schema({"user": pl.Int64, "timestamp": pl.String, "item": pl.Int64, "category": pl.String})


def clicks(path: Path) -> Tables:
    """`yoochoose-clicks.dat`: session, time, item, category, without a header; times become milliseconds."""
    lines = pl.scan_csv(path, has_header=False, schema=CLICKS)
    time = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms").dt.epoch("ms")
    return lines.select("user", "item", time).collect(engine="streaming"), None, None


def last_two_weeks(log: Log) -> Log:
    """Criteo's rules: sessions of 2 clicks, items of 5 (as Hidasi's setup has it, which they follow), the last week for
    test and the one before for validation, and there only items that training has.
    """
    log = frequent_users(frequent_items(frequent_users(log, 2), 5), 2)
    split = newest_users(log, valid=7, test=7)
    parts = np.where(split.test < log.stop, "test", np.where(split.valid < log.stop, "valid", "train"))[1:]
    log = replace(log, user_metadata=pl.DataFrame({"split": parts}))
    _, item = log.events()
    return frequent_users(select(log, (split.train.counts() > 0)[item], "items of the training sessions"), 2)


TERMS = "YooChoose clicks (RecSys Challenge 2015): CC BY-NC-ND 4.0, as its read-me says; cite Ben-Shimon et al. 2015"
HOMEPAGE = "https://recsys.acm.org/recsys15/challenge/"

DATASETS = (
    Dataset(
        name="yoochoose-64",
        title="YooChoose 1/64, the last day of sessions for test",
        licence=TERMS,
        homepage=HOMEPAGE,
        users=131_491,
        items=17_745,
        rows=557_248,
        files={"yoochoose1_64.parquet": parquet},
        columns={"user": "user", "item": "item", "time": "", "rating": ""},
        by_hand=(
            "prepare yoochoose-clicks.dat as https://github.com/CRIPAC-DIG/SR-GNN does (datasets/preprocess.py) and "
            "write yoochoose1_64.parquet with columns user (sessions, numbered in order of time), item, order and "
            'split ("train" or "test")'
        ),
    ),
    Dataset(
        name="yoochoose-100k",
        title="YooChoose, a week of sessions with times",
        licence=TERMS,
        homepage=HOMEPAGE,
        users=21_210,
        items=2_933,
        rows=83_846,
        files={"yoochoose-100k.parquet": parquet},
        columns={"user": "user", "item": "item", "time": "timestamp", "rating": ""},
        by_hand=(
            "write yoochoose-100k.parquet from yoochoose-clicks.dat, with columns user (the session), item, timestamp "
            'and split ("train" or "test")'
        ),
    ),
    Dataset(
        name="yoochoose",
        title="YooChoose clicks, raw, as filtered by Criteo (2018)",
        licence=TERMS,
        homepage=HOMEPAGE,
        users=7_438_177,
        items=37_483,
        rows=31_708_408,
        files={"yoochoose-clicks.dat": clicks},
        columns={"user": "user", "item": "item", "time": "timestamp", "rating": ""},
        by_hand=(
            "download https://s3-eu-west-1.amazonaws.com/yc-rdata/yoochoose-data.7z and unpack yoochoose-clicks.dat"
        ),
        rules=last_two_weeks,
    ),
)
