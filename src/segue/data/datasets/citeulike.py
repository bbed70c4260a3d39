"""The logs of HCRNN (Song et al., AAAI 2019): sequences of at least 10 items, the last 100 of each, and their split.

    CiteULike    the authors' own sequences and split
    MovieLens    ml-1m ── ratings of 5 ── items with 50 ── users with 10 ── last 100 of each ── the authors' split
    LastFM       lastfm-dataset-1K ── tracks of 50 users ── users with 10 ── last 100 of each ── a split of our own

The paper's Table 2 counts prefixes: a sequence of n items makes n - 1 of them, the m-th with m + 1 clicks (`counts`).

The paper says that MovieLens's items have 25 ratings; with 50 users, items, prefixes and clicks are those of Table 2.
Which users are test and validation was read off test.txt and valid.txt of the authors' repository, where movies and
seconds tell whose sequence it is. There, what happened within a second is in the authors' order; here, made anew from
MovieLens 1M, it is in MovieLens's.

Of LastFM the repository has the test and validation sequences and the list of items. It tells that items are tracks
(users listen to albums in order, and to one track fifty times), that sequences are the last 100 of a user, and that
there are 963 of them; with 91,249 prefixes that makes 92,212 rows. What the 5,778 tracks were counted by is not
known: by plays there would be many more, so here it is by users.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.datasets import movielens
from segue.data.datasets.dataset import Dataset, package_file
from segue.data.datasets.yoochoose import split_of
from segue.data.filters import frequent_users, items_of_many_users, last_rows
from segue.data.log import Ids, Log
from segue.data.readers.table import Tables
from segue.data.splits import whole_users

LONGEST = 100
SPLIT = "hcrnn_movielens_split.json"  # the users of MovieLens 1M whose sequences are test or validation


def citeulike(path: Path) -> Tables:
    """`hcrnn_citeulike.parquet`: user (a sequence), raw_item (an article's number), timestamp, split."""
    table = pl.read_parquet(path)
    events = table.select("user", "timestamp", item=pl.col("raw_item").cast(pl.Int64))
    return events, split_of(table, path), None


def reconstructed(path: Path) -> Tables:
    """`hcrnn_movielens_reconstructed.parquet`, of the same columns; titles from `ml-1m.items.parquet` beside it."""
    events, users, _ = citeulike(path)
    return events, users, movielens.films(path.with_name("ml-1m.items.parquet"))


def rebuilt(read: Callable[[Path], Tables]) -> Callable[[Path], Tables]:
    """A reader of MovieLens 1M, followed by the authors' filters and split."""

    def reader(path: Path) -> Tables:
        events, _, items = read(path)
        kept = events.filter(pl.col("rating") == 5)
        kept = kept.filter(pl.len().over("item") >= 50)
        kept = kept.filter(pl.len().over("user") >= 10)
        kept = kept.sort("user", "timestamp", maintain_order=True).group_by("user", maintain_order=True).tail(LONGEST)
        part = pl.lit("train")
        for name, users in json.loads(package_file(SPLIT)).items():
            part = pl.when(pl.col("user").is_in(users)).then(pl.lit(name)).otherwise(part)
        users = kept.select("user").unique(maintain_order=True).with_columns(split=part)
        return kept.select("user", "item", "timestamp"), users, items

    return reader


HISTORY = pl.Schema(dict.fromkeys(("user", "time", "artist", "artist_name", "item", "title"), pl.String))


def lastfm(path: Path) -> Tables:
    """`userid-timestamp-artid-artname-traid-traname.tsv`, newest first; plays without a track's number are left out."""
    lines = pl.scan_csv(path, separator="\t", has_header=False, schema=HISTORY, quote_char=None)
    plays = lines.filter(pl.col("item").is_not_null() & (pl.col("item") != "")).collect(engine="streaming").reverse()
    title = pl.format("{} - {}", pl.col("artist_name").fill_null("?"), pl.col("title").fill_null("?"))
    items = plays.select("item", title=title).unique("item", keep="last", maintain_order=True)
    time = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.epoch("s")
    return plays.select("user", "item", timestamp=time), None, items


def last_plays(log: Log) -> Log:
    """Tracks of 50 users, users of 10 plays, the last 100 of each; a fifth of the users, drawn, is test."""
    log = last_rows(frequent_users(items_of_many_users(log, 50), 10), LONGEST)
    split = whole_users(log, valid=0.08, test=0.2)
    parts = np.where(split.test < log.stop, "test", np.where(split.valid < log.stop, "valid", "train"))[1:]
    return replace(log, user_metadata=pl.DataFrame({"split": parts}))


def counts(sizes: Ids) -> tuple[int, int]:
    """(prefixes, clicks) as Table 2 counts them, of sequences with `sizes` items each.

    >>> counts(np.array([3, 2]))
    (3, 7)
    """
    return int((sizes - 1).sum()), int((sizes * (sizes + 1) // 2 - 1).sum())


ML_1M = next(dataset for dataset in movielens.DATASETS if dataset.name == "ml-1m")
COLUMNS = {"user": "user", "item": "item", "time": "timestamp", "rating": ""}
CELMA = "http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html"
AUTHORS = "https://github.com/gtshs2/HCRNN"
TERMS = "CiteULike: for research; as prepared by the authors of HCRNN, cite Song et al. 2019"

DATASETS = (
    Dataset(
        name="citeulike",
        title="CiteULike as prepared for HCRNN (Song et al., AAAI 2019)",
        licence=TERMS,
        homepage=AUTHORS,
        users=1_798,
        items=1_980,
        rows=49_662,
        files={"hcrnn_citeulike.parquet": citeulike},
        columns=COLUMNS,
        by_hand=(
            f"take data/citeulike (train.txt, valid.txt, test.txt) of {AUTHORS} and write hcrnn_citeulike.parquet with "
            'columns user (sess_idx), raw_item (ItemId), timestamp (Time) and split ("train", "valid" or "test"), rows '
            "in the order of the files"
        ),
    ),
    Dataset(
        name="hcrnn-movielens",
        title="MovieLens 1M as prepared for HCRNN (Song et al., AAAI 2019)",
        licence=movielens.TERMS,
        homepage=ML_1M.homepage,
        users=4_639,
        items=930,
        rows=175_554,
        files={
            "hcrnn_movielens_reconstructed.parquet": reconstructed,
            **{file: rebuilt(read) for file, read in ML_1M.files.items()},
        },
        columns=COLUMNS,
        sources=ML_1M.sources,
        by_hand=ML_1M.by_hand,
    ),
    Dataset(
        name="hcrnn-lastfm",
        title="Last.fm 1K, raw, as filtered for HCRNN (Song et al., AAAI 2019)",
        licence="Last.fm: for non-commercial use; cite Celma 2010",
        homepage=CELMA,
        users=963,
        items=5_778,
        rows=92_212,
        files={"userid-timestamp-artid-artname-traid-traname.tsv": lastfm},
        columns=COLUMNS,
        by_hand=(
            f"download lastfm-dataset-1K.tar.gz, which {CELMA} links to, and unpack "
            "userid-timestamp-artid-artname-traid-traname.tsv"
        ),
        rules=last_plays,
    ),
)
