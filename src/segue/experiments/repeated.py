"""`Repeated`: an experiment that is run with several seeds, as one row of a table.

seed 0 ─> outcome ─┐
seed 1 ─> outcome ─┼─> one result: the mean of every instance      the model of the best validation is kept
seed 2 ─> outcome ─┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.data.splits import Split
from segue.evaluation.repeated_predictions import RepeatedPredictions
from segue.evaluation.result import Result
from segue.evaluation.task import can_measure, mean_metric
from segue.experiments.outcome import Outcome
from segue.models.base.model import Model
from segue.reporting.console import say
from segue.resource_usage import largest, total
from segue.training.budget import TimeBudget

RunSeed = Callable[[int, Path, TimeBudget | None], Outcome]


@dataclass(frozen=True, eq=False)
class Repeated:
    """The outcomes of one experiment with several seeds.

    Attributes:
        outcomes: one for each seed.
        folders: where the state of each training is kept.
    """

    outcomes: tuple[Outcome, ...]
    folders: tuple[Path, ...]

    @property
    def best(self) -> int:
        """The index of the outcome with the best validation metric; the first of equal ones, and without validation."""
        metrics = [outcome.training.metric for outcome in self.outcomes]
        known = [float("-inf") if metric is None else metric for metric in metrics]
        return known.index(max(known))

    @property
    def kept(self) -> Outcome:
        """The outcome whose model is kept."""
        return self.outcomes[self.best]

    @property
    def model(self) -> Model:
        """The model that is kept."""
        return self.kept.model

    @property
    def models(self) -> dict[str, Model]:
        """The models of the rows that are kept, by name."""
        return self.kept.models

    @property
    def split(self) -> Split:
        """The split of the log."""
        return self.kept.split

    @property
    def results(self) -> list[Result]:
        """The rows of a table: each is the mean over the seeds."""
        rows = zip(*(outcome.results for outcome in self.outcomes), strict=True)
        return [mean_result(row) for row in rows]

    def add_final(self, log: Log) -> Repeated:
        """The same, with the kept model fitted on the whole log; the others are not."""
        outcomes = list(self.outcomes)
        outcomes[self.best] = self.kept.add_final(log, folder=self.folders[self.best])
        return replace(self, outcomes=tuple(outcomes))

    def about(self) -> dict[str, Any]:
        """What is stored with the saved model: all about its own training, and the figures of every seed."""
        about = self.kept.about()
        return about if len(self.outcomes) == 1 else {**about, "seeds": self.figures()}

    def remarks(self) -> list[str]:
        """Which of the models is kept, in words; nothing with one seed."""
        if len(self.outcomes) == 1:
            return []
        chosen = "the first" if self.kept.training.metric is None else "the best on validation"
        return [f"it is the model of seed {self.kept.experiment.seed}, {chosen} of {len(self.outcomes)}"]

    def figures(self) -> list[dict[str, Any]]:
        """The seed, the training and the test figures of each outcome, as plain values."""
        return [
            {
                "seed": outcome.experiment.seed,
                "training": outcome.about()["training"],
                "metrics": _figures(outcome.result),
                "saved": index == self.best,
            }
            for index, outcome in enumerate(self.outcomes)
        ]


def repeat(run: RunSeed, seeds: Sequence[int], folder: Path, budget: TimeBudget | None = None) -> Repeated:
    """Train and test a model with each seed.

    Args:
        run: takes a seed, the folder of the state of its training, and its share of the budget.
        seeds: the seeds.
        folder: where the states of the trainings are kept; the same call resumes them.
        budget: a limit on the time of all trainings together.
    """
    if len(seeds) == 1:
        return Repeated((run(seeds[0], folder, budget),), (folder,))
    folders = tuple(folder / f"seed-{seed}" for seed in seeds)
    outcomes = []
    for index, (seed, own) in enumerate(zip(seeds, folders, strict=True)):
        say(f"seed {seed}: {index + 1} of {len(seeds)} trainings")
        outcomes.append(run(seed, own, budget and budget.share(len(seeds) - index)))
    return Repeated(tuple(outcomes), folders)


def mean_result(results: Sequence[Result]) -> Result:
    """One result for several trainings of a model; the only one, if there is one."""
    if len(results) == 1:
        return results[0]
    return replace(
        results[0],
        predictions=RepeatedPredictions([result.predictions for result in results]),
        seconds=_mean(result.seconds for result in results),
        cpu_seconds=_mean(result.cpu_seconds for result in results),
        test_cpu_seconds=_mean(result.test_cpu_seconds for result in results),
        peak_mb=largest(*(result.peak_mb for result in results)),
    )


def _mean(times: Iterable[float | None]) -> float | None:
    known = list(times)
    seconds = total(*known)
    return None if seconds is None else seconds / len(known)


def _figures(result: Result) -> dict[str, float]:
    metrics = result.protocol.table_metrics(result.protocol.cut_offs)
    return {m: mean_metric(result.predictions, m) for m in metrics if can_measure(result.predictions, m)}
