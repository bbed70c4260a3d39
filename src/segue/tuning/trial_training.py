"""`TrialTraining`: the training of one trial, which ends early if the trial is pruned or its time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segue.data.splits import Split
from segue.experiments.experiment import Experiment
from segue.models.base.model import Model
from segue.training.loop import StopTraining, fit
from segue.training.state import read_epochs
from segue.tuning.report import format_metric
from segue.tuning.study import ActiveTrial
from segue.tuning.time_limit import uninterrupted
from segue.tuning.trial import State

Report = Callable[[str], object]


class TrialPruned(Exception):
    """Stops the training of a trial that is not in the better half."""


class TrialTraining:
    """Trains the model of one trial; stops when the trial is pruned or its time is up."""

    def __init__(
        self,
        experiment: Experiment,
        split: Split,
        active: ActiveTrial,
        *,
        deadline: float,
        on_validation: Report | None,
    ) -> None:
        self.experiment, self.split, self.active = experiment, split, active
        self.deadline, self.on_validation = deadline, on_validation
        self.metric: float | None = active.trial.metric
        self.best_epoch, self.epochs, self.timed_out = active.trial.best_epoch, active.trial.epochs, False

    @property
    def _log_path(self) -> Path:
        return self.active.folder / "training.jsonl"

    def train(self, model: Model) -> State:
        """Train until the end or the deadline; returns the state of the trial."""
        if not (self.active.folder / "state.safetensors").exists():
            self._log_path.unlink(missing_ok=True)
        training = fit(
            model,
            self.split.train,
            seed=self.experiment.seed,
            validate=self,
            eval_every=self.experiment.eval_every,
            patience=self.experiment.patience,
            folder=self.active.folder,
            keep_state=True,
        )
        if not model.trained_by_gradient:
            self.metric = self._evaluate(model)
        else:
            self.metric, self.best_epoch, self.epochs = training.metric, training.best, len(training.epochs)
        return "timed_out" if self.timed_out else "complete"

    def _evaluate(self, model: Model) -> float:
        """The monitored metric on validation."""
        return self.experiment.protocol.validation_metric(model, self.split, self.experiment.monitor)

    def __call__(self, model: Model) -> float:
        """Validate, called by the training loop.

        Raises:
            TrialPruned: the trial is not in the better half.
            StopTraining: the time is up.
        """
        metric = self._evaluate(model)
        past = read_epochs(self._log_path) if self._log_path.exists() else []
        metrics = {epoch.epoch: epoch.metric for epoch in past if epoch.metric is not None}
        self.epochs = len(past) + 1
        metrics[self.epochs] = metric
        self.best_epoch = max(metrics, key=lambda epoch: metrics[epoch])
        self.metric = metrics[self.best_epoch]
        if self.on_validation:
            number, best = self.active.trial.number, format_metric(self.metric)
            self.on_validation(f"trial {number}, epoch {self.epochs}: {format_metric(metric)}, best {best}")
        with uninterrupted():  # the journal, which other processes read too
            is_pruned = self.active.report(self.epochs, self.metric)
        if is_pruned:
            raise TrialPruned
        self.timed_out = time.monotonic() >= self.deadline
        if self.timed_out:
            raise StopTraining(metric)
        return metric

    def result(self) -> dict[str, Any]:
        """Fields of `Trial`."""
        return {"metric": self.metric, "best_epoch": self.best_epoch, "epochs": self.epochs}
