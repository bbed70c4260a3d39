"""Logs of sessions that come with a split: whole sessions are train or test.

    yoochoose1_64.parquet   user  item   order  split         users   user  split
                            0     2612   0      train                 0     train
                            0     33285  1      train                 1     train

The split becomes the column `split` of the table of users, where the split `given` looks for it.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.data.dataset import Dataset
from segue.data.source import Frame, Tables
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
)
