"""Several seeds: each has its own training, the best on validation is kept, and a row holds their means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.ranks import Ranks
from segue.evaluation.result import Result
from segue.experiments.repeated import Repeated, mean_result, repeat
from segue.training.budget import TimeBudget

RANKS = Ranks(np.array([1]), np.array([2]), np.array([0, 1]), np.zeros((1, 20), np.int32), 20, {})
RESULT = Result(model="m", predictions=RANKS, protocol=PROTOCOLS["hgn"], log="0", items=9)


def outcome(seed: int, metric: float | None) -> Any:
    return SimpleNamespace(
        experiment=SimpleNamespace(seed=seed),
        training=SimpleNamespace(metric=metric),
        result=RESULT,
        about=lambda: {"training": {"seed": seed}},
    )


@pytest.mark.parametrize(
    ("metrics", "best", "why"),
    [
        ((0.1, 0.3, 0.2), 1, "the best on validation"),
        ((0.3, 0.1, 0.3), 0, "the best on validation"),  # the first of equal ones
        ((-0.9, None, -0.8), 2, "the best on validation"),
        ((None, None, None), 0, "the first"),
    ],
)
def test_the_best_on_validation_is_kept(metrics: tuple[float | None, ...], best: int, why: str) -> None:
    repeated = Repeated(tuple(outcome(7 + n, metric) for n, metric in enumerate(metrics)), (Path(),) * 3)
    assert repeated.best == best
    assert repeated.remarks() == [f"it is the model of seed {7 + best}, {why} of 3"]
    assert repeated.about() == {"training": {"seed": 7 + best}, "seeds": repeated.figures()}
    assert [figures["saved"] for figures in repeated.figures()] == [n == best for n in range(3)]
    assert repeated.figures()[0]["metrics"]["mrr@10"] == 0.5
    alone = Repeated(repeated.outcomes[:1], (Path(),))
    assert (alone.remarks(), alone.about()) == ([], {"training": {"seed": 7}})


def test_each_seed_has_its_own_folder_and_an_equal_share_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[int] = []
    monkeypatch.setattr(TimeBudget, "share", lambda self, parts: shares.append(parts) or parts)
    calls: list[Any] = []

    def run(*arguments: Any) -> Any:
        calls.append(arguments)
        return outcome(arguments[0], None)

    folder, budget = Path("state"), TimeBudget(60.0)
    repeated = repeat(run, (4, 5, 6), folder, budget)
    folders = tuple(folder / f"seed-{seed}" for seed in (4, 5, 6))
    assert calls == [(4, folders[0], 3), (5, folders[1], 2), (6, folders[2], 1)]
    assert repeated.folders == folders
    calls.clear()
    assert repeat(run, (4,), folder, budget).folders == (folder,)
    assert calls == [(4, folder, budget)], "one seed has everything"
    assert [budget for *_, budget in (repeat(run, (1, 2), folder), calls)[1][-2:]] == [None, None]
    assert len(shares) == 3


def test_costs_are_means_and_the_largest_memory() -> None:
    one = replace(RESULT, seconds=1.0, cpu_seconds=2.0, test_cpu_seconds=3.0, peak_mb=400)
    other = replace(RESULT, seconds=3.0, cpu_seconds=6.0, test_cpu_seconds=5.0, peak_mb=300)
    mean = mean_result([one, other])
    assert (mean.seconds, mean.cpu_seconds, mean.test_cpu_seconds, mean.peak_mb) == (2.0, 4.0, 4.0, 400)
    assert mean.predictions.runs == (one.predictions, other.predictions)
    assert mean_result([one, replace(other, cpu_seconds=None)]).cpu_seconds is None
    assert mean_result([one]) is one
