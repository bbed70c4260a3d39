"""Lists that were made elsewhere have the figures of their model, and are refused where they do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from segue.config import Config
from segue.data.log import Log
from segue.data.synthetic import from_sequences, markov
from segue.errors import DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.ranks import Ranks
from segue.evaluation.task import mean_metric
from segue.experiments.lists import EVENTS, read_lists
from segue.models.base.model import Model, Sizes

LOG = markov(40, 15, 9, seed=1, shortest=4)
LEAVE = PROTOCOLS["leave-one-out"]
STEPS = replace(PROTOCOLS["whole-users"], ks=(1, 3, 5), arguments={"valid": 0.2, "test": 0.3})
METRICS = ("recall@5", "ndcg@5", "mrr@5", "recall@1")


class Made(Model):
    """Other scores without ties for every history."""

    name, Config, window = "made", Config, None

    def __init__(self, log: Log) -> None:
        super().__init__(Config(), Sizes.of(log))

    def score(self, batch: Any, items: Any = None) -> torch.Tensor:
        keys = (31 * batch.user + (batch.history * torch.arange(1, batch.history.shape[1] + 1).flip(0)).sum(1)).tolist()
        width = self.sizes.num_items + 1
        rows = [torch.randperm(width, generator=torch.Generator().manual_seed(key)).float() for key in keys]
        scores = torch.stack(rows)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def made(protocol: Protocol, log: Log) -> Ranks:
    split = protocol.split(log)
    ranks = protocol.evaluate(Made(log), split, "test")
    assert isinstance(ranks, Ranks)
    return ranks


def exported(ranks: Ranks, log: Log, *, length: int = 20) -> pl.DataFrame:
    """The lists of a model as somebody else would write them: names, in any order."""
    rows = [
        {"user": log.users.names([user])[0], "item": log.items.names([item])[0], "rank": rank, EVENTS: row}
        for user, row, top in zip(ranks.user, ranks.row - log.start[ranks.user], ranks.top[:, :length], strict=True)
        for rank, item in enumerate(top, start=1)
        if item
    ]
    return pl.DataFrame(rows).sample(fraction=1, shuffle=True, seed=3)


def write(frame: pl.DataFrame, folder: Path, name: str = "theirs.parquet") -> Path:
    path = folder / name
    frame.write_csv(path) if name.endswith("csv") else frame.write_parquet(path)
    return path


@pytest.mark.parametrize("file", ["theirs.parquet", "theirs.csv"])
@pytest.mark.parametrize("protocol", [LEAVE, STEPS, replace(LEAVE, exclude_seen=False)], ids=lambda one: one.name)
def test_lists_of_a_model_have_the_figures_of_the_model(tmp_path: Path, protocol: Protocol, file: str) -> None:
    ranks = made(protocol, LOG)
    result = read_lists(write(exported(ranks, LOG), tmp_path, file), LOG, "theirs").result(protocol)
    assert [mean_metric(result.predictions, m) for m in METRICS] == [mean_metric(ranks, m) for m in METRICS]
    assert np.array_equal(result.predictions.rank, ranks.rank)
    assert np.array_equal(result.predictions.top, ranks.top)
    assert result.predictions.same_instances(ranks)
    assert (result.model, result.log, result.cpu_seconds, result.peak_mb) == ("theirs", LOG.fingerprint, None, None)


def test_what_is_below_the_end_of_a_list_is_a_miss(tmp_path: Path) -> None:
    ranks = made(LEAVE, LOG)
    lists = read_lists(write(exported(ranks, LOG, length=3).drop(EVENTS), tmp_path), LOG, "short")
    result = lists.result(LEAVE)
    assert lists.shortest == 3
    assert (
        mean_metric(result.predictions, "recall@5") == mean_metric(ranks, "recall@3") < mean_metric(ranks, "recall@5")
    )


def test_lists_that_no_instance_asks_for_are_counted(tmp_path: Path) -> None:
    log = from_sequences([[1, 2, 3, 4], [2, 3, 4, 5], [3]])
    frame = pl.DataFrame({"user": [1, 2, 3], "item": [5, 1, 1], "rank": [1, 1, 1]})
    lists = read_lists(write(frame, tmp_path), log, "theirs")
    assert lists.num_unused(LEAVE) == 1
    assert len(lists.result(LEAVE).predictions) == 2


GOOD = {"user": [1, 1, 2, 2], "item": [5, 6, 1, 6], "rank": [1, 2, 1, 2]}
REFUSED = {
    "another column": (
        lambda t: t.rename({"rank": "score"}),
        r"has no column 'rank'; lists have .* has user, item, sc",
    ),
    "no rows": (lambda t: t.head(0), "has no rows, so there is no list"),
    "an unknown user": (
        lambda t: t.with_columns(user=pl.Series([1, 1, 2, 77])),
        r"column 'user', row 4: the user 77 is not in the log, whose users have names such as 1; neither .* 1 rows",
    ),
    "an unknown item": (
        lambda t: t.with_columns(item=pl.Series([5, 99, 1, 98])),
        r"row 2: the item 99 .*2 rows in all",
    ),
    "a rank of 0": (lambda t: t.with_columns(rank=pl.Series([0, 1, 1, 2])), r"column 'rank', row 1: 0; .*from 1"),
    "half a rank": (
        lambda t: t.with_columns(rank=pl.Series([1.0, 1.5, 1.0, 2.0])),
        r"column 'rank', row 2: 1\.5; this must",
    ),
    "a rank in words": (lambda t: t.with_columns(rank=pl.Series(["1", "2", "1", "last"])), r"row 4: 'last'; this must"),
    "no rank": (lambda t: t.with_columns(rank=pl.Series([1, None, 1, 2])), r"column 'rank', row 2: None; this must"),
    "a gap": (
        lambda t: t.with_columns(rank=pl.Series([1, 3, 1, 2])),
        r"user 1 do not count .*: 3 stands where 2 is due",
    ),
    "a rank twice": (lambda t: t.with_columns(rank=pl.Series([1, 1, 1, 2])), r"user 1 do not .*: 1 stands where 2 is"),
    "no first rank": (lambda t: t.with_columns(rank=pl.Series([1, 2, 2, 3])), r"user 2 do not .*: 2 stands where 1 is"),
    "an item twice": (
        lambda t: t.with_columns(item=pl.Series([5, 5, 1, 6])),
        r"user 1 has the item 5 twice, again at r",
    ),
    "an instance without a list": (lambda t: t.head(2), r"1 of 2 test instances under leave-one-out .* of the user 2$"),
    "an item that was seen": (
        lambda t: t.with_columns(item=pl.Series([5, 6, 1, 3])),
        r"list of the user 2 has at rank 2 the item 3, which the user has already had \(1 entries in all\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    log = from_sequences([[1, 2, 3, 4], [2, 3, 4, 5], [6]])
    read_lists(write(pl.DataFrame(GOOD), tmp_path), log, "good").result(LEAVE)
    with pytest.raises(DataError, match=rf"^theirs\.parquet.*{message}"):
        read_lists(write(change(pl.DataFrame(GOOD)), tmp_path), log, "theirs").result(LEAVE)


def test_several_instances_of_a_user_need_the_number_of_events(tmp_path: Path) -> None:
    frame = exported(made(STEPS, LOG), LOG)
    with pytest.raises(DataError, match=r"the ranks of the user \d+ do not count"):
        read_lists(write(frame.drop(EVENTS), tmp_path), LOG, "theirs")
    first = frame.filter(pl.col(EVENTS) == pl.col(EVENTS).min().over("user"))
    with pytest.raises(
        DataError, match=r"users have several test instances under whole-users, .*in a column num_events"
    ):
        read_lists(write(first.drop(EVENTS), tmp_path), LOG, "theirs").result(STEPS)
    with pytest.raises(DataError, match=r"test instances under whole-users have no list; .* after \d+ events"):
        read_lists(write(first, tmp_path), LOG, "theirs").result(STEPS)
