"""`Experiment`: the complete description of a run, from which every figure follows.

    log -> split -> train a model, and select its best epoch on validation -> evaluate on the test part -> a result

With `refit`, the model is trained again on training and validation data together, for the selected number of epochs,
as HGN's authors do. The test part is evaluated once, at the end.

With `final`, the model to use is then fitted on the whole log, the test part included, with the same settings and
number of epochs. The result stays that of the model without the test part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from segue.data.extent import Extent
from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import DataError, require
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result, measured_test
from segue.experiments.outcome import FinalFit, Outcome
from segue.experiments.retrained import rank_retrained
from segue.models.base.model import GradientModel, Model, Sizes
from segue.models.registry import find
from segue.reporting.console import say
from segue.resource_usage import largest
from segue.training.budget import TimeBudget
from segue.training.loop import fit
from segue.training.state import Training

REFIT_FOLDER, FINAL_FOLDER = "refit", "final"  # inside the folder of a training, for the states of later trainings
TRAIN, TRAIN_VALID, WHOLE_LOG = "training part", "training and validation parts", "whole log"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One model, its settings, its training and its evaluation.

    Attributes:
        model: a name in `MODELS`, or a class outside segue such as `./fmc.py:FMC`; see `segue.models.registry.find`.
        protocol: how the model is evaluated.
        settings: settings of the model that differ from those of the preset.
        preset: a named set of settings of the model; None for its defaults.
        seed: seed of the initial weights and of everything that is random in training.
        monitor: the metric that selects the epoch on validation; by default that of the protocol's task.
        eval_every: epochs between two validations.
        patience: training stops after so many validations without a better metric.
        refit: whether the tested model is trained on training and validation data, for the selected number of epochs.
        final: whether the model is fitted on the whole log after the test, for the same number of epochs.
        baseline: whether other models are compared with this one in tables.
    """

    model: str
    protocol: Protocol
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    seed: int = 0
    monitor: str = ""
    eval_every: int = 1
    patience: int = 10
    refit: bool = False
    final: bool = False
    baseline: bool = False

    def __post_init__(self) -> None:
        require(
            isinstance(self.protocol, Protocol),
            f"protocol={self.protocol!r}: must be a Protocol, such as Protocol.named('leave-one-out')",
        )
        _ = self._config
        require(self.eval_every >= 1, f"eval_every={self.eval_every}: must be at least 1")
        require(self.patience >= 1, f"patience={self.patience}: must be at least 1")
        require(0 <= self.seed < 2**63, f"seed={self.seed}: must lie between 0 and 2^63 - 1")
        if not self.monitor:
            object.__setattr__(self, "monitor", self.protocol.task.default_monitor)
        self.protocol.check_metric(self.monitor)

    @property
    def name(self) -> str:
        """The name of the model's class."""
        return find(self.model).name

    @property
    def _config(self) -> Any:
        return find(self.model).configure(dict(self.settings), self.preset)

    def setting(self, name: str) -> Any:
        """The value of a setting of the model, or of the network in it; None if it has none of this name."""
        config = self._config
        return config.setting(name) if name in config.known_settings(self.settings) else None

    @property
    def all_settings(self) -> dict[str, Any]:
        """All settings of the model, and those of its training that can change its figures."""
        config = self._config
        names = ("seed", "monitor", "eval_every", "patience", "refit")
        return {**config.as_dict(), **{name: getattr(self, name) for name in names}}

    def build(self, log: Log, **settings: Any) -> Model:
        """A new, untrained model for `log`; `settings` override those of the experiment."""
        kind = find(self.model)
        config = kind.configure({**self.settings, **settings}, self.preset)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = kind(config, Sizes.of(log, config))
        model.exclude_seen = getattr(self.protocol, "exclude_seen", None)
        self.protocol.check_model(model)
        return model

    def split(self, log: Log) -> Split:
        """The protocol's split of `log`.

        Raises:
            DataError: no training rows are left, or no test instances.
        """
        if not isinstance(log, Log):
            raise DataError(f"a {type(log).__name__} is no log; load_log makes one of a file or a data frame")
        split = self.protocol.split(log)
        if not len(split.train):
            raise DataError(f"{log.name}: the protocol {self.protocol.name} leaves nothing to train on; choose another")
        instances = self.protocol.instances(split, "test")
        if not len(instances):
            why = "; ".join(f"{n:,} {reason}" for reason, n in instances.dropped.items())
            why = why or "the test part has no users"
            raise DataError(
                f"{log.name}: too short for the protocol {self.protocol.name}, no test instance is left ({why}); "
                "choose another protocol, a larger test part or a longer log"
            )
        return split

    def run(self, log: Log, *, folder: Path | None = None, budget: TimeBudget | None = None) -> Outcome:
        """Split the log, train the model, select its epoch on validation, and evaluate it on the test part once.

        With `final`, a model of the same settings is then fitted on the whole log.

        Args:
            log: the log.
            folder: where the state of an interrupted training is kept; the same call resumes it.
            budget: a limit on the time of all trainings and validations; the test is not counted. A model that is
                fitted in one step is not stopped.
        """
        outcome = self.train_and_test(log, folder=folder, budget=budget)
        return outcome.add_final(log, folder=folder) if self.final else outcome

    def train_and_test(self, log: Log, *, folder: Path | None = None, budget: TimeBudget | None = None) -> Outcome:
        """`run` without the fit on the whole log, for which the budget has time left; the arguments are the same."""
        split = self.split(log)
        model = self.build(log)
        budget = budget and budget.before(self.retrainings(split, log))
        training = self.select_epoch(model, split, folder=folder, budget=budget)
        if self.refit:
            refit = folder / REFIT_FOLDER if folder else None
            return self.run_refit(log, training.best, selection=training, folder=refit)
        return Outcome(self, split, model, training, self.evaluate(model, split, training))

    def fit_whole(self, log: Log, epochs: int = 0, *, folder: Path | None = None) -> tuple[Model, FinalFit]:
        """The model fitted on the whole log, and how; the arguments are those of `fit_rows`."""
        model, training = self.fit_rows(log, epochs, folder=folder / FINAL_FOLDER if folder else None)
        return model, FinalFit(training, Extent.of(log, WHOLE_LOG))

    def run_refit(
        self, log: Log, epochs: int, *, selection: Training | None = None, folder: Path | None = None
    ) -> Outcome:
        """Train on training and validation data for `epochs` epochs, and evaluate on the test part.

        Args:
            log: the log.
            epochs: number of epochs, as selected on validation.
            selection: the training that selected it, whose time is added; None if it is unknown.
            folder: where the state of an interrupted training is kept; the same call resumes it.
        """
        split = self.protocol.split(log)
        model, training = self.refit_model(split, epochs, selection=selection, folder=folder)
        return Outcome(self, split, model, training, self.evaluate(model, split, training))

    def refit_model(
        self, split: Split, epochs: int, *, selection: Training | None = None, folder: Path | None = None
    ) -> tuple[Model, Training]:
        """The model of `run_refit` before its evaluation, and how it was trained."""
        model, training = self.fit_rows(split.train_valid, epochs, folder=folder)
        if selection is not None:
            training = replace(
                selection,
                seconds=selection.seconds + training.seconds,
                cpu_seconds=selection.cpu_seconds + training.cpu_seconds,
                peak_mb=largest(selection.peak_mb, training.peak_mb),
            )
        return model, training

    def fit_rows(self, rows: Log, epochs: int, *, folder: Path | None = None) -> tuple[Model, Training]:
        """A model that is trained on all rows of a log (or a view of it), and how it was trained; nothing is validated.

        Args:
            rows: the rows to train on.
            epochs: number of epochs of a model that is trained by gradient descent; 0 for that of its settings.
            folder: where the state of an interrupted training is kept; the same call resumes it.

        Raises:
            DataError: there are no rows.
        """
        rows = self.protocol.with_targets(rows)
        if not len(rows):
            raise DataError(f"{rows.name}: has no rows to train on")
        settings = {"epochs": epochs} if epochs and find(self.model).trained_by_gradient else {}
        model = self.build(rows, **settings)
        return model, fit(model, rows, seed=self.seed, folder=folder, keep_state=folder is not None)

    def select_epoch(
        self,
        model: Model,
        split: Split,
        *,
        folder: Path | None = None,
        wrap: Callable[[Model], Model] | None = None,
        budget: TimeBudget | None = None,
    ) -> Training:
        """Train on the training part; the model ends with the weights of its best epoch on validation.

        Args:
            model: an untrained model.
            split: of the log.
            folder: where the state of an interrupted training is kept; the same call resumes it.
            wrap: makes the model that is evaluated from the one that is trained, if that is only a part of it.
            budget: a limit on the time of the training and its validations.
        """
        instances = self.protocol.instances(split, "valid")
        if not len(instances) and isinstance(model, GradientModel):
            say(
                f"{self.name}: no validation instance is left, so no epoch is chosen: all {model.config.epochs} epochs "
                "are trained; monitor, eval_every and patience change nothing"
            )

        def validate(candidate: Model) -> float:
            return self.protocol.validation_metric(wrap(candidate) if wrap else candidate, split, self.monitor)

        return fit(
            model,
            split.train,
            seed=self.seed,
            validate=validate if len(instances) else None,
            eval_every=self.eval_every,
            patience=self.patience,
            folder=folder,
            keep_state=True,
            budget=budget,
        )

    def evaluate(self, model: Model, split: Split, training: Training) -> Result:
        """The result of a trained model on the test part; with `retrain`, it is trained anew while the part goes by."""

        evaluate = partial(rank_retrained, self, model, split, training.best) if self.protocol.trains_anew else None
        test = measured_test(self.protocol, model, split, training_peak=training.peak_mb, evaluate=evaluate)
        return Result(
            model=self.name,
            **test._asdict(),
            protocol=self.protocol,
            log=split.log.fingerprint,
            items=split.log.num_items,
            counts=(split.train_valid if self.refit else split.train).counts(),
            seconds=training.seconds,
            cpu_seconds=training.cpu_seconds,
            baseline=self.baseline,
            settings=self.all_settings,
            **self.protocol.check(split, refit=self.refit)._asdict(),
        )

    def retrainings(self, split: Split, log: Log) -> float:
        """How often the model is trained again after its epoch is selected; one with more rows counts more."""
        rows = [split.train_valid] * self.refit + [log] * self.final
        return sum(len(part) for part in rows) / max(len(split.train), 1)

    def warnings(self, split: Split) -> tuple[str, ...]:
        """What makes figures of this split doubtful, one sentence each."""
        return self.protocol.check(split, refit=self.refit).warnings

    def tested_extent(self, split: Split) -> Extent:
        """The rows that the tested model is trained on."""
        return Extent.of(split.train_valid, TRAIN_VALID) if self.refit else Extent.of(split.train, TRAIN)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "model": self.name,
            "settings": dict(self.settings),
            "preset": self.preset,
            "protocol": {**self.protocol.as_dict(), "fingerprint": self.protocol.fingerprint},
            "seed": self.seed,
            "monitor": self.monitor,
            "eval_every": self.eval_every,
            "patience": self.patience,
            "refit": self.refit,
            **({"final": True} if self.final else {}),  # absent in what earlier versions stored
        }
