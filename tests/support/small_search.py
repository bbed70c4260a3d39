"""A small search for tests, and a clock that they control."""

from __future__ import annotations

from typing import Any

from segue.data import synthetic
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.tuning.search import Search
from segue.tuning.trial import Trial

LOG = synthetic.markov(60, 15, 12, seed=1, shortest=4)
LEAVE_ONE_OUT = Protocol.named("leave-one-out")
SMALL = {"epochs": 8, "batch_size": 64}
SPACE: Space = {"lr": LogUniform(1e-3, 1e-1), "embedding_dim": Choice(4, 8)}


def small_search(model: str = "bprmf", space: Space = SPACE, **changes: Any) -> Search:
    experiment = Experiment(model=model, protocol=LEAVE_ONE_OUT, settings=changes.pop("settings", SMALL), patience=3)
    return Search(experiment=experiment, space=space, **{"trials": 5, **changes})


def results(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """What an interruption must not change."""
    return [(t.number, t.settings, t.state, t.metric, t.best_epoch, t.epochs) for t in trials]


def ignore(text: str) -> None:
    pass


class Clock:
    """A clock that advances by search second per call."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
