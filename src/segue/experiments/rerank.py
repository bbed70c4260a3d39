"""Training two stages: the second is trained as always, and its epoch is the one that orders the candidates best.

    train ──> first   ─┐                                train + valid ──> first  ─┐
                       ├─> epoch (on valid)     refit:                            ├─> both stages ──> test
    train ──> second  ─┘                                train + valid ──> second ─┘

    reranked = rerank(Experiment(model="seq-knn", protocol=p), Experiment(model="mf", protocol=p), log, candidates=100)

The first stage may be a model that is already trained and saved; then it stays as it is. With `final`, both stages are
fitted on the whole log after the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import ConfigError, require
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.result import Result, measured_test
from segue.evaluation.summary import summary
from segue.experiments.experiment import REFIT_FOLDER, Experiment
from segue.experiments.outcome import Outcome, about_extents, about_fit, about_training
from segue.models.base.model import Model
from segue.models.ensembles.rerank import Rerank, RerankConfig
from segue.resource_usage import largest, total
from segue.training.budget import TimeBudget
from segue.training.state import Training

FIRST_FOLDER = "first"  # inside the folder of a training, for the state of the first stage
FIXED_STAGE = "a first stage that is already trained cannot be fitted again: name its model instead"


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """A first stage that is already trained, on the training part alone.

    Attributes:
        model: the model that returns candidates.
        result: its evaluation on the test part.
        facts: what is stored with the saved model.
    """

    model: Model
    result: Result
    facts: dict[str, Any]

    def about(self) -> dict[str, Any]:
        """What is stored with the saved model, as plain values."""
        return self.facts


@dataclass(frozen=True, eq=False)
class Reranked(Outcome):
    """Two stages that were trained and evaluated: the outcome of the second, with the model and the result of both.

    Attributes:
        first: the first stage, evaluated alone.
        model: both stages; with `final`, those that were fitted on the whole log.
        result: the evaluation on the test part, of the stages that were trained without it.
        final: the fit of the second stage on the whole log; None if there was none.
    """

    model: Rerank
    first: Outcome | TrainedStage = field(kw_only=True)

    @property
    def models(self) -> dict[str, Model]:
        """The models of the results, by name."""
        return {self.first.result.model: self.first.model, self.result.model: self.model}

    @property
    def results(self) -> list[Result]:
        """The rows of a table: the first stage alone, and both stages."""
        return [self.first.result, self.result]

    def add_final(self, log: Log, *, folder: Path | None = None) -> Reranked:
        """The outcome with two stages that are fitted on the whole log in place of those that were tested."""
        if isinstance(self.first, TrainedStage):
            raise ConfigError(FIXED_STAGE)
        first = self.first.add_final(log, folder=folder / FIRST_FOLDER if folder else None)
        second, final = self.experiment.fit_whole(log, self.training.best, folder=folder)
        model = Rerank(first.model, second, candidates=self.model.config.candidates)
        return replace(self, first=first, model=model, final=final)

    def about(self) -> dict[str, Any]:
        """What is stored with the saved model of both stages, as plain values."""
        return {
            **about_stages(self.first.about(), self.experiment, self.training, self.model.config),
            **about_extents(self.experiment.tested_extent(self.split), self.final),
            "results": summary([self.result]),
        }


def about_stages(
    first: Mapping[str, Any], second: Experiment, training: Training, config: RerankConfig
) -> dict[str, Any]:
    """The experiment and the training of two stages, as plain values; `first` is what is stored about the first."""
    two = second.as_dict()
    common = {key: two[key] for key in ("protocol", "seed", "monitor", "refit", "final") if key in two}
    time = {key: first["training"][key] + getattr(training, key) for key in ("seconds", "cpu_seconds")}
    peak = largest(first["training"].get("peak_mb"), training.peak_mb)
    parts = [first["experiment"], two]
    return {
        "experiment": {"model": Rerank.name, "parts": parts, **config.as_dict(), **common},
        "training": {**about_training(second, training), **time, "peak_mb": peak},
    }


def rerank(
    first: Experiment | TrainedStage,
    second: Experiment,
    log: Log,
    *,
    candidates: int = 100,
    folder: Path | None = None,
    budget: TimeBudget | None = None,
) -> Reranked:
    """Train two stages, select the epoch of the second by how it orders the candidates, and evaluate them on the test.

    Args:
        first: the stage that returns candidates.
        second: the stage that orders them.
        log: the log.
        candidates: how many candidates the first stage returns.
        folder: where the state of an interrupted training is kept; the same call resumes it.
        budget: a limit on the time of all trainings and validations. A first stage that is trained by gradient descent
            has half of it.

    Raises:
        ConfigError: the experiments differ in their protocol or in `refit`, the protocol does not rank items, or a
            first stage that is already trained would have to be trained again.
    """
    outcome = train_and_test_stages(first, second, log, candidates=candidates, folder=folder, budget=budget)
    return outcome.add_final(log, folder=folder) if second.final else outcome


def train_and_test_stages(
    first: Experiment | TrainedStage,
    second: Experiment,
    log: Log,
    *,
    candidates: int = 100,
    folder: Path | None = None,
    budget: TimeBudget | None = None,
) -> Reranked:
    """`rerank` without the fits on the whole log, for which the budget has time left; the arguments are the same."""
    RerankConfig(candidates=candidates)  # raises an error before anything is trained
    _check(first, second)
    split = second.split(log)
    if isinstance(first, TrainedStage):
        alone: Outcome | TrainedStage = first
        retriever = first.model
    else:
        retriever = first.build(log)
        half = budget.share(2) if budget and retriever.trained_by_gradient else None
        alone = _first_stage(first, retriever, split, folder / FIRST_FOLDER if folder else None, half)
        budget = TimeBudget(half.seconds, user_limit=half.user_limit) if half else budget
    model = second.build(log)
    training = second.select_epoch(
        model,
        split,
        folder=folder,
        wrap=lambda candidate: Rerank(retriever, candidate, candidates=candidates),
        budget=budget and budget.before(second.retrainings(split, log)),
    )
    if second.refit:
        refit_folder = folder / REFIT_FOLDER if folder else None
        model, training = second.refit_model(split, training.best, selection=training, folder=refit_folder)
    both = Rerank(alone.model, model, candidates=candidates)
    peak = largest(alone.result.peak_mb, training.peak_mb)
    result = replace(
        alone.result,
        model=f"{second.name} after {alone.result.model}",
        **measured_test(second.protocol, both, split, training_peak=peak)._asdict(),
        seconds=total(alone.result.seconds, training.seconds),
        cpu_seconds=total(alone.result.cpu_seconds, training.cpu_seconds),
        baseline=second.baseline,
    )
    return Reranked(second, split, both, training, result, first=alone)


def fit_stages(
    first: Experiment, second: Experiment, log: Log, *, candidates: int = 100, folder: Path | None = None
) -> tuple[Rerank, dict[str, Any]]:
    """Two stages that are fitted on the whole log without being measured, and what is stored with them.

    Args:
        first: the stage that returns candidates.
        second: the stage that orders them.
        log: the log.
        candidates: how many candidates the first stage returns.
        folder: where the state of an interrupted training is kept; the same call resumes it.
    """
    config = RerankConfig(candidates=candidates)
    one, fit_of_one = first.fit_whole(log, folder=folder / FIRST_FOLDER if folder else None)
    two, fit_of_two = second.fit_whole(log, folder=folder)
    about = about_fit(first, fit_of_one)
    stages = about_stages(about, second, fit_of_two.training, config)
    return Rerank(one, two, candidates=candidates), {**about, **stages}


def _first_stage(
    first: Experiment, model: Model, split: Split, folder: Path | None, budget: TimeBudget | None
) -> Outcome:
    """The first stage alone, trained and evaluated; `model` ends as the one that is trained on the training part."""
    budget = budget and budget.before(first.retrainings(split, split.log))
    training = first.select_epoch(model, split, folder=folder, budget=budget)
    if first.refit:
        refit_folder = folder / REFIT_FOLDER if folder else None
        return first.run_refit(split.log, training.best, selection=training, folder=refit_folder)
    return Outcome(first, split, model, training, first.evaluate(model, split, training))


def _check(first: Experiment | TrainedStage, second: Experiment) -> None:
    name = second.protocol.name
    protocol = RankingProtocol.expect(second.protocol, f"{name}: a protocol of ratings, and two stages order items")
    protocol.check_not_retrained("a model of two stages")
    if isinstance(first, TrainedStage):
        require(not second.refit and not second.final, FIXED_STAGE)
        return
    require(
        (first.protocol.fingerprint, first.refit, first.final)
        == (second.protocol.fingerprint, second.refit, second.final),
        f"{second.model} cannot order the candidates of {first.model}: give both the same protocol, refit and final",
    )
