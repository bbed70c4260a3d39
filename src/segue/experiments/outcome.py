"""`Outcome`: an experiment that was run: its model, how it was trained, and its result on the test part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.data.extent import Extent
from segue.data.log import Log
from segue.data.splits import Split
from segue.evaluation.result import Result
from segue.evaluation.summary import summary
from segue.models.base.model import Model
from segue.reporting.numbers import validation_figure
from segue.training.state import Training

if TYPE_CHECKING:
    from segue.experiments.experiment import Experiment


@dataclass(frozen=True)
class FinalFit:
    """The training of a model on the whole log, the test part included.

    Attributes:
        training: its record.
        extent: the rows that it was trained on.
    """

    training: Training
    extent: Extent

    def about(self) -> dict[str, Any]:
        """What is stored with the saved model, as plain values."""
        cost = {"seconds": self.training.seconds, "cpu_seconds": self.training.cpu_seconds}
        return {"final_training": {"epochs": len(self.training.epochs), **cost}}


@dataclass(frozen=True, eq=False)
class Outcome:
    """An experiment that was run.

    Attributes:
        experiment: what was run.
        split: of the log.
        model: the trained model; with `final`, the one that was fitted on the whole log.
        training: how the tested model was trained.
        result: the evaluation on the test part, of the model that was trained without it.
        final: the fit on the whole log; None if there was none.
    """

    experiment: Experiment
    split: Split
    model: Model
    training: Training
    result: Result
    final: FinalFit | None = None

    @property
    def results(self) -> list[Result]:
        """The rows of a table."""
        return [self.result]

    @property
    def models(self) -> dict[str, Model]:
        """The models of these rows, by name."""
        return {self.result.model: self.model}

    def add_final(self, log: Log, *, folder: Path | None = None) -> Outcome:
        """The outcome with a model that is fitted on the whole log in place of the one that was tested.

        Args:
            log: the whole log.
            folder: where the state of an interrupted training is kept; the same call resumes it.
        """
        model, final = self.experiment.fit_whole(log, self.training.best, folder=folder)
        return replace(self, model=model, final=final)

    def about(self) -> dict[str, Any]:
        """What is stored with the saved model, as plain values."""
        return {
            "experiment": self.experiment.as_dict(),
            "training": about_training(self.experiment, self.training),
            **about_extents(self.experiment.tested_extent(self.split), self.final),
            "results": summary([self.result]),
        }


def about_training(experiment: Experiment, training: Training) -> dict[str, Any]:
    """What is stored about the training of the tested model, as plain values."""
    return {
        "seed": experiment.seed,
        "epochs": len(training.epochs),
        "best": training.best,
        "validation": {experiment.monitor: validation_figure(training.metric)},
        "seconds": training.seconds,
        "cpu_seconds": training.cpu_seconds,
        "peak_mb": training.peak_mb,
        **({} if training.time_limit is None else {"stopped_after_minutes": training.time_limit / 60}),
    }


def about_extents(tested: Extent, final: FinalFit | None) -> dict[str, Any]:
    """What the saved model was trained on, and what the tested model was trained on, as plain values."""
    saved = final.extent if final else tested
    extents = {"trained_on": saved.as_dict(), "tested_model_trained_on": tested.as_dict()}
    return {**extents, **(final.about() if final else {})}


def about_fit(experiment: Experiment, final: FinalFit) -> dict[str, Any]:
    """What is stored with a model that was fitted on the whole log and never measured, as plain values."""
    return {
        "experiment": experiment.as_dict(),
        "training": about_training(experiment, final.training),
        "trained_on": final.extent.as_dict(),
    }
