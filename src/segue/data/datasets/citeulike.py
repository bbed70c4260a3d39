"""The logs of HCRNN (Song et al., AAAI 2019): sequences of at least 10 items, the last 100 of each, and their split.

    CiteULike    the authors' own sequences and split
    MovieLens    ml-1m ── ratings of 5 ── items with 50 ── users with 10 ── last 100 of each ── the authors' split
    LastFM       lastfm-dataset-1K ── tracks of 50 users ── users with 10 ── last 100 of each ── a new split

The paper's Table 2 counts prefixes: a sequence of n items has n - 1 of them, and the m-th has m + 1 clicks
(`count_prefixes`).

The paper says that MovieLens items have at least 25 ratings. With 50, the numbers of users, items, prefixes and clicks
are those of Table 2. The test and validation users were identified from test.txt and valid.txt of the authors'
repository, by the movies and times of their sequences. In those files, events of one second are in the authors' order.
Here the log is made from MovieLens 1M, and they are in the order of MovieLens.

For LastFM the repository has the test and validation sequences and the list of items. They show that items are tracks
(users listen to albums in order, and to one track fifty times), that sequences are the last 100 events of a user, and
that there are 963 of them; with 91,249 prefixes that makes 92,212 rows. How the 5,778 tracks were selected is not
known. Counting plays would give many more tracks, so users are counted here.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.datasets import movielens
from segue.data.datasets.dataset import Dataset, Reader, package_file, role_columns
from segue.data.datasets.yoochoose import split_by_user
from segue.data.filters import frequent_users, items_of_many_users, last_rows
from segue.data.log import Ids, Log
from segue.data.readers.table import Tables
from segue.data.splits import whole_users

_MAX_LENGTH = 100
SPLIT = "hcrnn_movielens_split.json"  # the users of MovieLens 1M whose sequences are test or validation


def read_citeulike(path: Path) -> Tables:
    """Read `hcrnn_citeulike.parquet`: user (a sequence), raw_item (the number of an article), timestamp, split."""
    table = pl.read_parquet(path, glob=False)
    events = table.select("user", "timestamp", item=pl.col("raw_item").cast(pl.Int64))
    return events, split_by_user(table, path), None


def read_reconstructed_movielens(path: Path) -> Tables:
    """Read `hcrnn_movielens_reconstructed.parquet` (the same columns), and titles from `ml-1m.items.parquet`."""
    events, users, _ = read_citeulike(path)
    return events, users, movielens.read_films(path.with_name("ml-1m.items.parquet"))


def hcrnn_movielens(read: Reader) -> Reader:
    """A reader of MovieLens 1M, followed by the filters and the split of HCRNN's authors."""

    def reader(path: Path) -> Tables:
        events, _, items = read(path)
        events = events.filter(pl.col("rating") == 5)
        events = events.filter(pl.len().over("item") >= 50)
        events = events.filter(pl.len().over("user") >= 10).sort("user", "timestamp", maintain_order=True)
        events = events.group_by("user", maintain_order=True).tail(_MAX_LENGTH)
        part = pl.lit("train")
        for name, members in json.loads(package_file(SPLIT)).items():
            part = pl.when(pl.col("user").is_in(members)).then(pl.lit(name)).otherwise(part)
        users = events.select("user").unique(maintain_order=True).with_columns(split=part)
        return events.select("user", "item", "timestamp"), users, items

    return reader


PLAYS = pl.Schema(dict.fromkeys(("user", "time", "artist", "artist_name", "item", "title"), pl.String))


def read_lastfm(path: Path) -> Tables:
    """Read `userid-timestamp-artid-artname-traid-traname.tsv`, newest first, without plays that have no track id."""
    lines = pl.scan_csv(path, glob=False, separator="\t", has_header=False, schema=PLAYS, quote_char=None)
    plays = lines.filter(pl.col("item").is_not_null() & (pl.col("item") != "")).collect(engine="streaming").reverse()
    title = pl.format("{} - {}", pl.col("artist_name").fill_null("?"), pl.col("title").fill_null("?"))
    items = plays.select("item", title=title).unique("item", keep="last", maintain_order=True)
    time = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.epoch("s")
    return plays.select("user", "item", timestamp=time), None, items


def filter_lastfm(log: Log) -> Log:
    """Tracks with 50 users, users with 10 plays, the last 100 plays of each; a random fifth of the users is test."""
    log = last_rows(frequent_users(items_of_many_users(log, 50), 10), _MAX_LENGTH)
    split = whole_users(log, valid=0.08, test=0.2)
    parts = np.where(split.test < log.stop, "test", np.where(split.valid < log.stop, "valid", "train"))[1:]
    return replace(log, user_metadata=pl.DataFrame({"split": parts}))


def count_prefixes(lengths: Ids) -> tuple[int, int]:
    """(prefixes, clicks) as in the paper's Table 2, for sequences of these lengths.

    >>> count_prefixes(np.array([3, 2]))
    (3, 7)
    """
    return int((lengths - 1).sum()), int((lengths * (lengths + 1) // 2 - 1).sum())


_ML_1M = next(dataset for dataset in movielens.DATASETS if dataset.name == "ml-1m")
CELMA = "http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html"
AUTHORS = "https://github.com/gtshs2/HCRNN"
_TERMS = "CiteULike: for research; as prepared by the authors of HCRNN, cite Song et al. 2019"

DATASETS = (
    Dataset(
        name="citeulike",
        title="CiteULike as prepared for HCRNN (Song et al., AAAI 2019)",
        licence=_TERMS,
        homepage=AUTHORS,
        num_users=1_798,
        num_items=1_980,
        num_rows=49_662,
        files={"hcrnn_citeulike.parquet": read_citeulike},
        columns=role_columns(rating=""),
        instructions=(
            f"take data/citeulike (train.txt, valid.txt, test.txt) of {AUTHORS} and write hcrnn_citeulike.parquet with "
            'columns user (sess_idx), raw_item (ItemId), timestamp (Time) and split ("train", "valid" or "test"), rows '
            "in the order of the files"
        ),
    ),
    Dataset(
        name="hcrnn-movielens",
        title="MovieLens 1M as prepared for HCRNN (Song et al., AAAI 2019)",
        licence=_ML_1M.licence,
        homepage=_ML_1M.homepage,
        num_users=4_639,
        num_items=930,
        num_rows=175_554,
        files={
            "hcrnn_movielens_reconstructed.parquet": read_reconstructed_movielens,
            **{file: hcrnn_movielens(read) for file, read in _ML_1M.files.items()},
        },
        columns=role_columns(rating=""),
        sources=_ML_1M.sources,
        instructions=_ML_1M.instructions,
    ),
    Dataset(
        name="hcrnn-lastfm",
        title="Last.fm 1K, raw, as filtered for HCRNN (Song et al., AAAI 2019)",
        licence="Last.fm: for non-commercial use; cite Celma 2010",
        homepage=CELMA,
        num_users=963,
        num_items=5_778,
        num_rows=92_212,
        files={"userid-timestamp-artid-artname-traid-traname.tsv": read_lastfm},
        columns=role_columns(rating=""),
        instructions=(
            f"download lastfm-dataset-1K.tar.gz, which {CELMA} links to, and unpack "
            "userid-timestamp-artid-artname-traid-traname.tsv"
        ),
        preprocess=filter_lastfm,
    ),
)
