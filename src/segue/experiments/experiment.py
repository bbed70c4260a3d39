"""`Experiment`: a complete description of a run. What it holds decides every number that comes out.

    log -> split -> train a model, choosing its epoch on validation -> rank the test questions -> a result

With `refit` the chosen number of epochs is trained once more on train and validation together, as HGN's authors do,
before the test is looked at. Test questions are asked once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from segue.data.diagnostics.leakage import leakage_warnings
from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import DataError, require
from segue.evaluation.protocol import Protocol, RatingProtocol
from segue.evaluation.table import Result, summary
from segue.models.base.model import GradientModel, Model, Sizes
from segue.models.registry import find
from segue.training.loop import fit
from segue.training.state import Training

RIVALS = ("pop", "item-knn", "seq-knn")  # they count, in seconds: whoever cannot beat them should know
RATING_RIVALS = ("global-mean", "user-mean", "item-mean", "biases", "pop")


def rivals(protocol: Protocol) -> tuple[str, ...]:
    """The simple models to be shown beside any other, where it is measured by `protocol`."""
    return RATING_RIVALS if isinstance(protocol, RatingProtocol) else RIVALS


@dataclass(frozen=True, eq=False)
class Outcome:
    """A recipe that was run: the model, how it was trained, and what it reached on the test."""

    recipe: Experiment
    split: Split
    model: Model
    training: Training
    result: Result

    @property
    def results(self) -> list[Result]:
        """What is to be shown of it."""
        return [self.result]

    def about(self) -> dict[str, Any]:
        """What a saved model should say of itself: plain values."""
        return {
            "recipe": self.recipe.as_dict(),
            "training": {
                "seed": self.recipe.seed,
                "epochs": len(self.training.epochs),
                "best": self.training.best,
                "validation": {self.recipe.monitor: self.training.metric},
                "seconds": self.training.seconds,
                "cpu_seconds": self.training.cpu_seconds,
            },
            "results": summary([self.result]),
        }


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """How to get from a log to a number.

    Attributes:
        model: a name in `MODELS`, or a class outside segue such as `./fmc.py:FMC`; see `segue.models.registry.find`.
        protocol: how it is measured.
        settings: the model's settings where they depart from the preset's.
        preset: a named set of settings of the model; None for its defaults.
        seed: of the initial weights and of all that training draws.
        monitor: the metric that chooses the epoch, on validation; by default that of the protocol.
        eval_every: epochs between two looks at validation.
        patience: looks without progress before training stops.
        refit: whether the final model is trained anew on train and validation, for the chosen number of epochs.
        baseline: whether other models are to be held against this one.
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
    baseline: bool = False

    def __post_init__(self) -> None:
        find(self.model).configure(dict(self.settings), self.preset)
        require(self.eval_every >= 1, f"eval_every={self.eval_every}: must be at least 1")
        require(self.patience >= 1, f"patience={self.patience}: must be at least 1")
        require(0 <= self.seed < 2**63, f"seed={self.seed}: must lie between 0 and 2^63 - 1")
        if not self.monitor:
            object.__setattr__(self, "monitor", self.protocol.monitor)
        self.protocol.check(self.monitor)

    @property
    def name(self) -> str:
        """The name of the model's class."""
        return find(self.model).name

    def build(self, log: Log, **settings: Any) -> Model:
        """A new, untrained model for `log`; `settings` depart further from the recipe's."""
        kind = find(self.model)
        config = kind.configure({**self.settings, **settings}, self.preset)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return kind(config, Sizes.of(log, config))

    def split(self, log: Log) -> Split:
        """The protocol's split of `log`.

        Raises:
            DataError: it leaves nothing to learn from, or nothing to ask.
        """
        split = self.protocol.split(log)
        if not len(split.train):
            raise DataError(f"{log.name}: the protocol {self.protocol.name} leaves nothing to train on; choose another")
        instances = self.protocol.instances(split, "test")
        if not len(instances):
            why = "; ".join(f"{n:,} {reason}" for reason, n in instances.dropped.items())
            raise DataError(
                f"{log.name}: too short for the protocol {self.protocol.name}, no test question is left ({why}); "
                "choose another protocol or a longer log"
            )
        return split

    def run(self, log: Log, *, folder: Path | None = None) -> Outcome:
        """Split, train, choose on validation, test once.

        Args:
            log: what to learn from.
            folder: where an interrupted training is kept, to be taken up by the same call.
        """
        split = self.split(log)
        model = self.build(log)
        training = self.choose(model, split, folder=folder)
        if not self.refit:
            return Outcome(self, split, model, training, self.test(model, split, training))
        return self.final(log, training.best, chosen=training)

    def final(self, log: Log, epochs: int, *, chosen: Training | None = None, folder: Path | None = None) -> Outcome:
        """Train on train and validation for `epochs`, which validation has chosen (`chosen`, if it is known how).

        An interrupted training is kept in `folder`, to be taken up by the same call.
        """
        split = self.protocol.split(log)
        model, training = self.refitted(split, epochs, chosen=chosen, folder=folder)
        return Outcome(self, split, model, training, self.test(model, split, training))

    def refitted(
        self, split: Split, epochs: int, *, chosen: Training | None = None, folder: Path | None = None
    ) -> tuple[Model, Training]:
        """The model of `final`, before it is tested, and how it was trained."""
        model = self.build(split.log)
        if isinstance(model, GradientModel):
            model = self.build(split.log, epochs=epochs)
        training = fit(model, split.train_valid, seed=self.seed, folder=folder)
        if chosen is not None:
            training = replace(
                chosen,
                seconds=chosen.seconds + training.seconds,
                cpu_seconds=chosen.cpu_seconds + training.cpu_seconds,
            )
        return model, training

    def choose(
        self, model: Model, split: Split, *, folder: Path | None = None, within: Callable[[Model], Model] | None = None
    ) -> Training:
        """Train on the train part; the model ends with the weights of its best epoch on validation: that of the whole
        that `within` makes of it, where it is a part of one."""
        instances = self.protocol.instances(split, "valid")

        def validate(candidate: Model) -> float:
            return self.protocol.monitored(within(candidate) if within else candidate, split, self.monitor)

        return fit(
            model,
            split.train,
            seed=self.seed,
            validate=validate if len(instances) else None,
            eval_every=self.eval_every,
            patience=self.patience,
            folder=folder,
            keep_state=True,
        )

    def test(self, model: Model, split: Split, training: Training) -> Result:
        """The test questions, asked of a trained model."""
        return Result(
            model=self.name,
            ranks=self.protocol.ask(model, split, "test"),
            protocol=self.protocol,
            log=split.log.fingerprint,
            items=split.log.num_items,
            counts=(split.train_valid if self.refit else split.train).counts(),
            seconds=training.seconds,
            baseline=self.baseline,
            warnings=leakage_warnings(split, refit=self.refit),
        )

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
        }
