"""`Method` and `MethodResult`: one row of a paper's table, before and after it is run.

Method: HGN, its experiment, seeds 0 1 2, published .0426   ->   MethodResult: three runs, how their epochs were chosen
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from segue.data.log import Floats, Log
from segue.errors import TrainingError
from segue.evaluation.significance import mean_error
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.models.registry import find
from segue.papers.printed import AS_PRINTED, Comparison, OneOf, Printed, compare_with_paper, grid
from segue.papers.reproduction import COSTS, Row
from segue.papers.run_cache import EpochSelection, Run, RunCache
from segue.papers.verdict import figure_interval
from segue.reporting.console import say
from segue.resource_usage import largest, total

SEEDS = (0, 1, 2)
QUICK_EPOCHS = 1  # epochs of each training of a quick version
TRAINING_RULES = ("monitor", "eval_every", "patience", "refit")  # settings of the experiment, not of the model


def seeds_of(model: str) -> tuple[int, ...]:
    """Three seeds, or one for a model whose figures do not depend on it; tables give one to the longest trainings."""
    return SEEDS if find(model).depends_on_seed else SEEDS[:1]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of a table: the experiment that is run and the published figures.

    Attributes:
        name: as it is shown.
        experiment: with `refit`, the final models are trained on train and validation together, for the number of
            epochs that is chosen with the first seed. Without, they are trained on train alone and tested with the
            weights of their best epoch on validation, which each seed chooses for itself.
        choose_epochs: whether validation chooses the number of epochs; otherwise it is that of the settings. Only
            used with `refit`.
        seeds: one training for each.
        published: the published figures by metric; empty for a method that the paper does not report.
        other_logs: figures that the paper reports for other logs, by column.
        printed: the settings that the paper prints; None for a method that it does not report.
        trials: settings, each added to those of the experiment, from which validation chooses with the first seed;
            empty for the experiment as it is.
    """

    name: str
    experiment: Experiment
    choose_epochs: bool = True
    seeds: tuple[int, ...] = (0,)
    published: Mapping[str, float] = field(default_factory=dict)
    other_logs: Mapping[str, float] = field(default_factory=dict)
    printed: Printed | None = None
    trials: tuple[Mapping[str, Any], ...] = ()

    @property
    def epochs(self) -> int:
        """The maximal number of epochs; 0 for a model without gradient training."""
        model, experiment = find(self.experiment.model), self.experiment
        if not model.trained_by_gradient:
            return 0
        return int(model.configure(dict(experiment.settings), experiment.preset).epochs)

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed could give another figure."""
        return find(self.experiment.model).depends_on_seed

    @property
    def comparison(self) -> Comparison | None:
        """The settings beside those that the paper prints; None for a method that it does not report."""
        if self.printed is None:
            return None
        settings = {name: value for name, value in self.experiment.all_settings.items() if name != "seed"}
        tried = {name: [*dict.fromkeys(trial[name] for trial in self.trials)] for name in _varied(self.trials)}
        return compare_with_paper(settings, self.printed, tried)

    def run(self, log: Log, runs: RunCache, *, epochs: int | None = None) -> MethodResult:
        """Choose settings and the number of epochs on validation, then train and test with every seed.

        With `epochs`, only the first seed is trained, for at most that many epochs, with the first of the trials.
        """
        if self.trials:
            return self._run_best_trial(log, runs, epochs)
        seeds = self.seeds if epochs is None else self.seeds[:1]
        if not self.experiment.refit:
            experiment = _limit_epochs(self, epochs)
            results = (runs.run_best_epoch(replace(experiment, seed=seed), log) for seed in seeds)
            selections, trained = zip(*results, strict=True)
            return MethodResult(method=self, selection=selections[0], runs=trained)
        if epochs is None and self.choose_epochs and self.epochs:
            selection = runs.select_epochs(replace(self.experiment, seed=self.seeds[0]), log)
        else:
            selection = EpochSelection(epochs=self.epochs if epochs is None else min(self.epochs, epochs))
        trained = tuple(runs.run_refit(replace(self.experiment, seed=seed), log, selection.epochs) for seed in seeds)
        return MethodResult(method=self, selection=selection, runs=trained)

    def with_best_trial(
        self, log: Log, runs: RunCache, *, epochs: int | None = None
    ) -> tuple[Method, tuple[Trial, ...]]:
        """The method with the trial that validation chooses, and all trials; with `epochs`, with the first of them."""
        if not self.trials:
            return self, ()
        experiments = [self._with_settings(trial) for trial in self.trials]
        if epochs is not None:
            return replace(self, experiment=experiments[0], trials=()), ()
        selections = [_select(replace(experiment, seed=self.seeds[0]), log, runs) for experiment in experiments]
        metrics = [-math.inf if selection.metric is None else selection.metric for selection in selections]
        chosen = replace(self, experiment=experiments[metrics.index(max(metrics))], trials=())
        return chosen, tuple(Trial(*pair) for pair in zip(self.trials, selections, strict=True))

    def _run_best_trial(self, log: Log, runs: RunCache, epochs: int | None) -> MethodResult:
        chosen, trials = self.with_best_trial(log, runs, epochs=epochs)
        result = chosen.run(log, runs, epochs=epochs)
        return replace(result, method=replace(chosen, trials=self.trials), trials=trials) if trials else result

    def _with_settings(self, settings: Mapping[str, Any]) -> Experiment:
        return replace(self.experiment, settings={**self.experiment.settings, **settings})

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        experiment, comparison = self.experiment, self.comparison
        settings = {key: value for key, value in experiment.settings.items() if key != "epochs"}
        beside_paper = {} if comparison is None else {"departs": comparison.departs, "open": comparison.open}
        return {"model": experiment.model, "preset": experiment.preset, "settings": settings, **beside_paper}


@dataclass(frozen=True, kw_only=True)
class BlendedMethod:
    """One row of a table that blends two other methods with a weight chosen on validation.

    Attributes:
        name: as it is shown.
        parts: the two methods; their first seeds are used.
        published: empty, since no paper reports a blend.
        other_logs: empty as well.
    """

    name: str
    parts: tuple[Method, Method]
    published: Mapping[str, float] = field(default_factory=dict)
    other_logs: Mapping[str, float] = field(default_factory=dict)

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed could give another figure."""
        return any(part.depends_on_seed for part in self.parts)

    def run(self, log: Log, runs: RunCache, *, epochs: int | None = None) -> MethodResult:
        """Train both methods and choose the weight; with `epochs`, train for at most that many epochs."""
        parts = [part.with_best_trial(log, runs, epochs=epochs)[0] for part in self.parts]
        first, second = (_limit_epochs(part, epochs) for part in parts)
        selection, run = runs.run_blend(first, second, log)
        return MethodResult(method=self, selection=selection, runs=(run,))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"blend of": [part.name for part in self.parts]}


def _limit_epochs(method: Method, epochs: int | None) -> Experiment:
    """The experiment of a method's first seed, for at most `epochs` epochs."""
    experiment = replace(method.experiment, seed=method.seeds[0])
    if epochs is None or not method.epochs:
        return experiment
    return replace(experiment, settings={**experiment.settings, "epochs": min(epochs, method.epochs)})


def _select(experiment: Experiment, log: Log, runs: RunCache) -> EpochSelection:
    """The best epoch on validation; without a metric if the training diverged."""
    try:
        if experiment.refit or not find(experiment.model).trained_by_gradient:
            return runs.select_epochs(experiment, log)
        return runs.run_best_epoch(experiment, log)[0]
    except TrainingError as error:
        say(f"left out: {error}")
        return EpochSelection()


def printed_method(
    name: str,
    experiment: Experiment,
    printed: Printed,
    *,
    trials: tuple[Mapping[str, Any], ...] | None = None,
    **more: Any,
) -> Method:
    """A method as the paper says: with every printed setting, except those that the experiment has itself.

    Args:
        name: of the method in the paper.
        experiment: with the settings that the paper leaves open, and with departures from it.
        printed: the settings that the paper prints.
        trials: from which validation chooses; by default all combinations of the values that the paper chose from.
        more: other attributes of the method.
    """
    chosen = {key: value.values for key, value in printed.items() if isinstance(value, OneOf)}
    fixed = {key: value for key, value in printed.items() if key not in chosen}
    rules = {key: fixed.pop(key) for key in TRAINING_RULES if key in fixed}
    if trials is None:
        choices = {key: values for key, values in chosen.items() if key not in experiment.settings}
        trials = grid(**choices) if choices else ()
    experiment = replace(experiment, settings={**fixed, **experiment.settings}, **rules)
    return Method(name=f"{name}, {AS_PRINTED}", experiment=experiment, printed=printed, trials=trials, **more)


def _varied(trials: Sequence[Mapping[str, Any]]) -> set[str]:
    """The settings that every trial has."""
    return set.intersection(*(set(trial) for trial in trials)) if trials else set()


class Trial(NamedTuple):
    """Settings that validation could choose, and what it said of them."""

    settings: Mapping[str, Any]
    selection: EpochSelection


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodResult:
    """The result of a method: one run per seed, and how the number of epochs was chosen.

    Attributes:
        method: with the experiment that validation chose.
        selection: how the number of epochs was chosen.
        runs: one for each seed.
        trials: what validation chose from; empty if nothing but the number of epochs was chosen.
    """

    method: Method | BlendedMethod
    selection: EpochSelection
    runs: tuple[Run, ...]
    trials: tuple[Trial, ...] = ()

    def values(self, metric: str) -> Floats:
        """(C,) the metric of each evaluation instance, averaged over seeds."""
        return np.mean([measure(run.predictions, metric) for run in self.runs], axis=0)

    def row(self, metric: str, instances: Any = slice(None)) -> Row:
        """The measured and the published figure of a metric; measured on a subset of the evaluation instances."""
        measured = tuple(
            run.predictions.task.aggregate(float(measure(run.predictions, metric)[instances].mean()), metric)
            for run in self.runs
        )
        error = self._error(metric, instances)
        return Row(
            method=self.method.name,
            metric=metric,
            measured=measured,
            error=error,
            interval=figure_interval(measured, error, depends_on_seed=self.method.depends_on_seed),
            published=self.method.published.get(metric),
            other_logs=self.method.other_logs,
        )

    def _error(self, metric: str, instances: Any) -> float | None:
        """The standard error of a figure over the users; None for a single user."""
        predictions = self.runs[0].predictions
        values, users = self.values(metric)[instances], predictions.users(metric)[instances]
        if len(np.unique(users)) < 2:
            return None
        mean, error = float(values.mean()), mean_error(values, users)
        low, high = (predictions.task.aggregate(max(mean + e, 0.0), metric) for e in (-error, error))
        return (high - low) / 2

    @property
    def costs(self) -> dict[str, float]:
        """The cost of one final training and its test: mean CPU seconds over the seeds, largest peak memory in MB.

        The keys are those of `COSTS`, without what is unknown, as for runs of earlier versions.
        """
        count, test = len(self.runs), total(*(run.test_cpu_seconds for run in self.runs))
        costs = {
            "cpu_seconds": round(sum(run.cpu_seconds for run in self.runs) / count, 2),
            "test_cpu_seconds": None if test is None else round(test / count, 2),
            "peak_mb": largest(*(run.peak_mb for run in self.runs)),
        }
        return {key: cost for key, cost in costs.items() if cost is not None}

    def cost_rows(self, part: str) -> list[Row]:
        """The costs as rows of a part of a table."""
        return [
            Row(method=self.method.name, metric=COSTS[key], measured=(cost,), part=part)
            for key, cost in self.costs.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            **self.method.as_dict(),
            "seeds": [run.seed for run in self.runs],
            "epochs": self.selection.epochs,
            "validation": self.selection.metric,
            "validation_curve": [list(point) for point in self.selection.validation_curve],
            "losses": list(self.selection.losses),
            **({} if self.selection.weight is None else {"weight": self.selection.weight}),
            **({} if not self.trials else {"trials": [_trial_dict(trial) for trial in self.trials]}),
            "seconds": [round(run.seconds, 2) for run in self.runs],
            "cpu_seconds": [round(run.cpu_seconds, 2) for run in self.runs],
            "selection_cpu_seconds": round(self.selection.cpu_seconds, 2),
        }


def _trial_dict(trial: Trial) -> dict[str, Any]:
    selection = trial.selection
    return {
        "trial": dict(trial.settings),
        "validation": selection.metric,
        "epochs": selection.epochs,
        "cpu_seconds": round(selection.cpu_seconds, 2),
    }


def run_methods(
    methods: Sequence[Method | BlendedMethod], log: Log, runs: RunCache, *, epochs: int | None = None
) -> list[MethodResult]:
    """Run all methods in order and print the progress; with `epochs`, one seed each, for at most that many epochs."""
    results = []
    for number, method in enumerate(methods, 1):
        say(f"run {number} of {len(methods)}: {method.name}")
        results.append(method.run(log, runs, epochs=epochs))
    return results


def run_details(results: Sequence[MethodResult], log: str, *, quick: bool) -> dict[str, Any]:
    """Details for the result file: how each method was run on the log."""
    return {
        "quick": quick,
        "log": log,
        **{key: {result.method.name: result.costs[key] for result in results if key in result.costs} for key in COSTS},
        "runs": {result.method.name: result.as_dict() for result in results},
    }
