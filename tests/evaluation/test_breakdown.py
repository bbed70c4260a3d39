"""Groups part the questions, and their figures are those of the questions in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from segue.data.splits import Split
from segue.errors import ConfigError
from segue.evaluation.breakdown import breakdown, by_history, by_leak, by_length, by_popularity, step_curve
from segue.evaluation.metrics import at_step
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.result import Result
from segue.evaluation.significance import interval
from segue.evaluation.task import measure

from .worlds import FixedScores, make_log

RNG = np.random.default_rng(0)
ROWS = [RNG.integers(1, 13, n).tolist() for n in (2, 3, 5, 9, 17, 4, 2, 2, 6, 30)]
TIMES = RNG.integers(1_600_000_000, 1_600_000_010, sum(map(len, ROWS)))
PROTOCOL = replace(PROTOCOLS["session"], arguments={"valid": 0}, horizon=3, ks=(3, 5))


@pytest.fixture(scope="module")
def world() -> tuple[Split, list[Result]]:
    """Predictions of two models after every step of most sessions."""
    log = make_log(ROWS, 12)
    parts = pl.DataFrame({"split": ["test"] * 8 + ["train"] * 2})
    log = replace(log, time=TIMES, user_metadata=parts)
    split = PROTOCOL.split(log)
    torch.manual_seed(0)
    results = []
    for name in ("one", "two"):
        ranks = PROTOCOL.rank(FixedScores(torch.randn(len(ROWS) + 1, 13)), split, "test")
        results.append(Result(model=name, predictions=ranks, protocol=PROTOCOL, log=log.fingerprint, items=12))
    return split, results


def test_lengths_double(world: tuple[Split, list[Result]]) -> None:
    split, (one, _) = world
    groups = by_length(split, one.predictions)
    assert groups.names == ("2-3", "4-7", "8-15", "16-31")
    for name, which in zip(groups.names, range(4), strict=True):
        low, high = map(int, name.split("-"))
        sizes = split.log.lengths[one.predictions.user[groups.index == which]]
        assert ((sizes >= low) & (sizes <= high)).all()


def test_histories_are_the_rows_before(world: tuple[Split, list[Result]]) -> None:
    split, (one, _) = world
    groups = by_history(split, one.predictions)
    assert groups.names == ("1", "2-3", "4-7", "8-15", "16-31")
    assert (groups.index == 0).sum() == 8, "each test session has one question after one row"
    assert groups.number is not None
    assert groups.number.tolist() == [n for row in ROWS[:8] for n in range(1, len(row))]
    with pytest.raises(ConfigError, match="the rows of these instances are unknown"):
        by_history(split, replace(one.predictions, row=None))


def test_clean_questions_are_of_those_who_share_nothing(world: tuple[Split, list[Result]]) -> None:
    split, (one, _) = world
    pairs = [
        set(zip(row, times, strict=True))
        for row, times in zip(ROWS, np.split(TIMES, np.cumsum([*map(len, ROWS)])[:-1]), strict=True)
    ]
    learnt = pairs[8] | pairs[9]
    shared = [bool(pair & learnt) for pair in pairs]
    assert any(shared[:8])
    assert not all(shared[:8])
    groups = by_leak(split, one.predictions)
    assert groups.names == ("clean", "shared")
    assert groups.index.tolist() == [int(shared[u - 1]) for u in one.predictions.user]


@pytest.mark.parametrize("by", ["length", "history", "leak"])
def test_a_row_is_what_its_questions_say(by: Any, world: tuple[Split, list[Result]]) -> None:
    split, results = world
    metrics = ["recall@3,1", "recall@5,3", "mrr@5,1"]
    rows = breakdown(results, metrics, split, by=by)
    for metric in metrics:
        for r in results:
            mine = [row for row in rows if (row["model"], row["metric"]) == (r.model, metric)]
            total = sum(row["mean"] * row["instances"] for row in mine)
            assert total == pytest.approx(measure(r.predictions, metric).sum())
            assert sum(row["instances"] for row in mine) == len(r.predictions)
            assert all(row["low"] - 1e-12 <= row["mean"] <= row["high"] + 1e-12 for row in mine)
    groups = {"length": by_length, "history": by_history, "leak": by_leak}[by](split, results[0].predictions)
    inside = groups.index == 1
    row = next(row for row in rows if row["group"] == groups.names[1])
    values, users = measure(results[0].predictions, metrics[0])[inside], results[0].predictions.user[inside]
    assert (row["low"], row["high"]) == interval(values, users)
    assert row["users"] == len(set(users.tolist()))


@pytest.mark.parametrize("refit", [False, True])
def test_popularity_is_that_of_the_target_in_training(refit: bool) -> None:
    counts = [6, 5, 1, 4]  # training rows of items 1 to 4; item 5 is cold
    rows = [[*np.repeat([1, 2, 3, 4], counts).tolist(), 5, target] for target in (1, 2, 3, 4, 5)]
    log = make_log(rows, 5)
    protocol = replace(PROTOCOLS["leave-one-out"], exclude_seen=False)
    split = protocol.split(log)
    ranks = protocol.rank(FixedScores(torch.randn(6, 6)), split, "test")
    groups = by_popularity(split, ranks, refit=refit)
    assert groups.names == ("0", "1-4", "5-19", "20-99", "100+")
    expected = [30, 25, 5, 20, 5 if refit else 0]
    assert groups.number is not None
    assert groups.number.tolist() == expected
    assert [groups.names[i] for i in groups.index] == ["20-99", "20-99", "5-19", "20-99", "5-19" if refit else "0"]


def test_popularity_needs_one_target_at_a_time(world: tuple[Split, list[Result]]) -> None:
    split, (one, _) = world
    with pytest.raises(ConfigError, match="groups by popularity need one target at each instance"):
        by_popularity(split, one.predictions)
    with pytest.raises(ConfigError, match="the rows of these instances are unknown"):
        by_popularity(split, replace(one.predictions, row=None))


def test_the_curve_is_of_each_step_alone(world: tuple[Split, list[Result]]) -> None:
    split, results = world
    rows = breakdown(results, ["recall@3,1", "mrr@3,1", "recall@5,3"], split, by="step")
    assert rows == [*step_curve(results, 3), *step_curve(results, 5)]
    mine = [row for row in rows if (row["model"], row["metric"]) == ("two", "recall@3")]
    assert [row["at"] for row in mine] == [1, 2, 3]
    assert mine[0]["mean"] == pytest.approx(measure(results[1].predictions, "recall@3,1").mean())
    for step, row in enumerate(mine, 1):
        assert row["mean"] == pytest.approx(np.nanmean(at_step(results[1].predictions, 3, step)))
        assert row["instances"] == sum(max(len(r) - step, 0) for r in ROWS[:8])


def test_breakdowns_of_missing_data_are_refused(world: tuple[Split, list[Result]]) -> None:
    split, results = world
    alone = [replace(r, predictions=replace(r.predictions, next_steps=None)) for r in results]
    with pytest.raises(ConfigError, match="a curve over future steps needs a protocol with a horizon of 2 or more"):
        breakdown(alone, ["recall@3"], split, by="step")
    with pytest.raises(ConfigError, match="by='size': must be one of length, history, leak, popularity, step"):
        breakdown(results, ["recall@3"], split, by="size")  # type: ignore[arg-type]
