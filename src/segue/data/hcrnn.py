"""The logs of HCRNN (Song et al., AAAI 2019): sequences of at least 10 items, the last 100 of each, and their split.

    CiteULike    the authors' own sequences and split
    MovieLens    ml-1m ── ratings of 5 ── items with 50 ── users with 10 ── last 100 of each ── the authors' split

The paper's Table 2 counts prefixes: a sequence of n items makes n - 1 of them, the m-th with m + 1 clicks (`counts`).

The paper says that MovieLens's items have 25 ratings; with 50 users, items, prefixes and clicks are those of Table 2.
Which users are test and validation was read off test.txt and valid.txt of the authors' repository, where movies and
seconds tell whose sequence it is. There, what happened within a second is in the authors' order; here, made anew from
MovieLens 1M, it is in MovieLens's.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from segue.data import movielens
from segue.data.dataset import Dataset
from segue.data.log import Ids
from segue.data.sessions import split_of
from segue.data.source import Tables

LONGEST = 100
# users of MovieLens 1M, a bit each, the highest of a byte first: bit u is user u
TEST = """
    AIBgKDAgiKAKUEABECAAwiJYAABQBEIQAgACoAQiYAAAIEAKAAAAAAQAgJAAABBAIABQAAhCAgBABAKgQgIASAgIALAkABACAQAQAAAIxBSIEIEA
    CAAAEAAAAERCAhFoAAEATAAYQgAAACABAZAAiAIBhEGQMAAEEgEpAAAUACxEEAAAgEEB4YAoSAiAAEAAEggACECCAQAAgAAiCTEJEwGURAEQPJAg
    AJIAhAgEQAAFAEIBABABCJAgAWOFQBgoQAEAgSCBCGBWAEgIOAAgAUEACAgAoAAAACAkAAAEUARwBQCAEAkwACACAAAhwoQAAIgAAGQAAyK4DoBQ
    BECwQIAAkAAVCAoUKAAAEAAAFCQ4IEhAgBgQhgASESAAhRQCOAwQCwACACkgAAA8FQBIBAAAhCQgAMAAICEAwQMBAKFHBgoAAAAQSIEAQEghAAgU
    CAgAAFgIACMAyLBSAAIwCEAAAAwIABAiAGAUEAgAwJIAACDAACBBABAIEBJgIFAAAAEAADAAAEAcAAJAACIAmgAAgCoAABQiISABAAAABACAQAAD
    yAAQAhAiAABAigsIAgQBAAACEFBIAACwAFAKkCQAQkAYBABCBwhIADCFgwAECVEAECEAAJAhEAUlIFIxAgCKAIQACgBKCBAgAwAABgACAEQAACAJ
    yIEgAwAIEEICAIZIqAQiCAjQAABCAQQEVIkgQUAEAABCIAQDQABAQSBABAAABCQAAAEYDQAQICQBAABAAAAAACBFwAgKIIKAIAAAAAgEBAlgBqIA
    AQSABCAJICiCCAgWASCRxQAEBBAAAAwCBQAwSAIKlogSgIACABBBAQAEiEQkskAEECgAAAQAAwAABgkgoBAESAEAiIAAQBvAYCAAcEQQAEgAkAAA
    gAIAAgAEzAQAhGAAQAwAYAQKIAAAABBQgIQAAKAAJ0CCAFASEgggLAgQAHgAUmLIQ4CBYKBBAgSAQPAABKIgSIAAAAggAEAEAEAYBQGGAAIDAEAA
"""
VALID = """
    AQAAAAIAAAAAAIAAAAAKAYAgIAAAAQAAAEAgAACBBQAABgAAAAAEAAABAAAgACAQGIAAQAAEEAABQCBIAAQAAABAgAgLAAAgQAgAAQAAIAAgAAAA
    AAAVAABAhAgAAAAAIgAUAAAACAgAAEAABABAAIAAAAAAAAAAAAAABAAAAAAAAAAiBBAEAAAAoAEAAAIoAAAAEAAQMAEAAAAUAAAgAAAAAIAAAAAA
    AAAAIIMYgBAAIAgIAgEggAAAAIgABAAAICBMQEAAAAAAIAEEAAAAAAACgECEQAAAAgAAAQAAAAAAACIQACAAIAAAAAAAAAAACAABEgAwAAAAAAAo
    QoIAAQAAAgAgAAAAAAAABEAACAAAABAAAAAAADiAgABAIAAggAAAAAgAIRAAAAAAAAAAAAAAAAAAAAAQAAAAAAgAAACAIIAgAAIAAAAAAAAAAACI
    QCEAgABCABACAAggAAAAIAAgAAAAAwAAAIAAAEEAAAEIAAAAIAQAAAAAAAAAAAAAAAAABEAAACAAAAACAAAAAAAAABAAoACQAgAQAAAAwAoAABAA
    AApAEAAAAgCIIQAAgSAAAQAQAIAABBAABACAAAAAAAAEIAIAAAQAMAAAAAIAQAAAiAAAAAAAQAAAAAAAAAAAIAgCAAgAAIAAKAAAQQKALAAAAAAA
    ADCACAACAAEAABAAACAABAAGAAAACAAAgAAAAAQAgBAQAAAEAAAAAAAAACQAAAEAAABAAAAAAAAAAAECASAAAAAAAAAARDABAAAAEAAAAAAAABAA
    AABAEAAAAAAAAAAAAAAACCAAAACgQAABEAQAEAAACEAACAwAAIACBEABAAAQAAAIQQIACEAAQABAQAAAAAAAAAhgAAAAEAACAADAAAABAIAABEAA
    AiAAAAAQAACACAAgmBEEAAAAAAFCAAQACACAiQAACBMAASAgAAEAEAACAgAAAAAAAAIAAgAAAQAAAACQAggBAAAIAAAAACAAAoAACAYAAAAAAACA
"""


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
        test, valid = (pl.Series(np.flatnonzero(_bits(part)), dtype=pl.Int64) for part in (TEST, VALID))
        held = pl.when(pl.col("user").is_in(test.implode())).then(pl.lit("test"))
        part = held.when(pl.col("user").is_in(valid.implode())).then(pl.lit("valid")).otherwise(pl.lit("train"))
        users = kept.select("user").unique(maintain_order=True).with_columns(split=part)
        return kept.select("user", "item", "timestamp"), users, items

    return reader


def _bits(text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))


def counts(sizes: Ids) -> tuple[int, int]:
    """(prefixes, clicks) as Table 2 counts them, of sequences with `sizes` items each.

    >>> counts(np.array([3, 2]))
    (3, 7)
    """
    return int((sizes - 1).sum()), int((sizes * (sizes + 1) // 2 - 1).sum())


ML_1M = next(dataset for dataset in movielens.DATASETS if dataset.name == "ml-1m")
COLUMNS = {"user": "user", "item": "item", "time": "timestamp", "rating": ""}
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
)
