"""YooChoose clicks: logs of sessions with a split of their own, in which a session is completely train or test.

    yoochoose1_64.parquet   user  item   order  split         users   user  split
                            0     2612   0      train                 0     train
                            0     33285  1      train                 1     train

    yoochoose-clicks.dat    1,2014-04-07T10:51:09.277Z,214536502,0        the raw file: session, time, item, category

The split becomes the column `split` of the user metadata, which the split "given" uses.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.datasets.dataset import Dataset, role_columns
from segue.data.filters import frequent_items, frequent_users, select
from segue.data.log import Log
from segue.data.readers.table import Frame, Tables
from segue.data.splits import newest_users
from segue.errors import DataError


def read_parquet_with_split(path: Path) -> Tables:
    """Read a Parquet file with the columns user (the session), item, split, and timestamp or order."""
    table = pl.read_parquet(path, glob=False)
    users = split_by_user(table, path)
    if "timestamp" in table.columns:
        return table.select("user", "item", "timestamp"), users, None
    return table.sort("user", "order").select("user", "item"), users, None


def split_by_user(table: Frame, path: Path) -> Frame:
    """The user metadata (user, split) of a table with these columns in every row.

    Raises:
        DataError: a user is in two parts.
    """
    users = table.select("user", "split").unique(maintain_order=True)
    repeated = users.filter(pl.col("user").is_duplicated())
    if len(repeated):
        parts = " and ".join(repeated["split"][:2])
        raise DataError(f"{path}: session {repeated['user'][0]} is part of {parts}; it can be one")
    return users


CLICKS = pl.Schema({"user": pl.Int64, "timestamp": pl.String, "item": pl.Int64, "category": pl.String})


def read_clicks(path: Path) -> Tables:
    """Read `yoochoose-clicks.dat`: session, time, item, category, without a header; times become milliseconds."""
    lines = pl.scan_csv(path, glob=False, has_header=False, schema=CLICKS)
    time = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms").dt.epoch("ms")
    return lines.select("user", "item", time).collect(engine="streaming"), None, None


def filter_last_two_weeks(log: Log) -> Log:
    """Criteo's filters: sessions with 2 clicks, items with 5 (as in Hidasi's setup, which they follow).

    The last week is the test part and the week before it the validation part; both keep only items of training.
    """
    log = frequent_users(frequent_items(frequent_users(log, 2), 5), 2)
    split = newest_users(log, valid=7, test=7)
    parts = np.where(split.test < log.stop, "test", np.where(split.valid < log.stop, "valid", "train"))[1:]
    log = replace(log, user_metadata=pl.DataFrame({"split": parts}))
    _, item = log.events()
    return frequent_users(select(log, (split.train.counts() > 0)[item], "items of the training sessions"), 2)


_TERMS = "YooChoose clicks (RecSys Challenge 2015): CC BY-NC-ND 4.0, as its read-me says; cite Ben-Shimon et al. 2015"
_HOMEPAGE = "https://recsys.acm.org/recsys15/challenge/"

DATASETS = (
    Dataset(
        name="yoochoose-64",
        title="YooChoose 1/64, the last day of sessions for test",
        licence=_TERMS,
        homepage=_HOMEPAGE,
        num_users=131_491,
        num_items=17_745,
        num_rows=557_248,
        files={"yoochoose1_64.parquet": read_parquet_with_split},
        columns=role_columns(time="", rating=""),
        instructions=(
            "prepare yoochoose-clicks.dat as https://github.com/CRIPAC-DIG/SR-GNN does (datasets/preprocess.py) and "
            "write yoochoose1_64.parquet with columns user (sessions, numbered in order of time), item, order and "
            'split ("train" or "test")'
        ),
    ),
    Dataset(
        name="yoochoose-100k",
        title="YooChoose, a week of sessions with times",
        licence=_TERMS,
        homepage=_HOMEPAGE,
        num_users=21_210,
        num_items=2_933,
        num_rows=83_846,
        files={"yoochoose-100k.parquet": read_parquet_with_split},
        columns=role_columns(rating=""),
        instructions=(
            "write yoochoose-100k.parquet from yoochoose-clicks.dat, with columns user (the session), item, timestamp "
            'and split ("train" or "test")'
        ),
    ),
    Dataset(
        name="yoochoose",
        title="YooChoose clicks, raw, as filtered by Criteo (2018)",
        licence=_TERMS,
        homepage=_HOMEPAGE,
        num_users=7_438_177,
        num_items=37_483,
        num_rows=31_708_408,
        files={"yoochoose-clicks.dat": read_clicks},
        columns=role_columns(rating=""),
        instructions=(
            "download https://s3-eu-west-1.amazonaws.com/yc-rdata/yoochoose-data.7z and unpack yoochoose-clicks.dat"
        ),
        preprocess=filter_last_two_weeks,
    ),
)
