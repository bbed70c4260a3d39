"""Training two stages: the second is trained as always, and its epoch is the one that orders the candidates best.

    train ──> first   ─┐                                train + valid ──> first  ─┐
                       ├─> epoch (on valid)     refit:                            ├─> both stages ──> test
    train ──> second  ─┘                                train + valid ──> second ─┘

    reranked = rerank(Experiment(model="seq-knn", protocol=p), Experiment(model="mf", protocol=p), log, candidates=100)

The first stage may be a model that is already trained and saved; then it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import require
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.table import Result, summary
from segue.experiments.experiment import Experiment, Outcome
from segue.models.base.model import Model
from segue.models.ensembles.rerank import Rerank, RerankConfig
from segue.training.state import Training


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
class Reranked:
    """Two stages that were trained and evaluated.

    Attributes:
        first: the first stage, evaluated alone.
        experiment: of the second stage.
        training: of the second stage.
        split: of the log.
        model: both stages.
        result: their evaluation on the test part.
    """

    first: Outcome | TrainedStage
    experiment: Experiment
    training: Training
    split: Split
    model: Rerank
    result: Result

    @property
    def results(self) -> list[Result]:
        """The rows of a table: the first stage alone, and both stages."""
        return [self.first.result, self.result]

    def about(self) -> dict[str, Any]:
        """What is stored with the saved model of both stages, as plain values."""
        one, two = self.first.about(), self.experiment.as_dict()
        common = {key: two[key] for key in ("protocol", "seed", "monitor", "refit")}
        time = {key: one["training"][key] + getattr(self.training, key) for key in ("seconds", "cpu_seconds")}
        parts = [one["experiment"], two]
        return {
            "experiment": {"model": Rerank.name, "parts": parts, **self.model.config.as_dict(), **common},
            "training": {
                "epochs": len(self.training.epochs),
                "best": self.training.best,
                "validation": {self.experiment.monitor: self.training.metric},
                **time,
            },
            "results": summary([self.result]),
        }


def rerank(
    first: Experiment | TrainedStage, second: Experiment, log: Log, *, candidates: int = 100, folder: Path | None = None
) -> Reranked:
    """Train two stages, select the epoch of the second by how it orders the candidates, and evaluate them on the test.

    Args:
        first: the stage that returns candidates.
        second: the stage that orders them.
        log: the log.
        candidates: how many candidates the first stage returns.
        folder: where the state of an interrupted training of the second stage is kept; the same call resumes it.

    Raises:
        ConfigError: the experiments differ in their protocol or in `refit`, the protocol does not rank items, or a
            first stage that is already trained would have to be trained again.
    """
    RerankConfig(candidates=candidates)  # raises an error before anything is trained
    _check(first, second)
    split = second.split(log)
    if isinstance(first, TrainedStage):
        alone: Outcome | TrainedStage = first
        retriever = first.model
    else:
        retriever = first.build(log)
        alone = _first_stage(first, retriever, split)
    model = second.build(log)
    training = second.select_epoch(
        model, split, folder=folder, wrap=lambda candidate: Rerank(retriever, candidate, candidates=candidates)
    )
    if second.refit:
        model, training = second.refit_model(split, training.best, selection=training)
    both = Rerank(alone.model, model, candidates=candidates)
    result = replace(
        alone.result,
        model=f"{second.name} after {alone.result.model}",
        predictions=second.protocol.evaluate(both, split, "test"),
        seconds=(alone.result.seconds or 0.0) + training.seconds,
        baseline=second.baseline,
    )
    return Reranked(alone, second, training, split, both, result)


def _first_stage(first: Experiment, model: Model, split: Split) -> Outcome:
    """The first stage alone, trained and evaluated; `model` ends as the one that is trained on the training part."""
    training = first.select_epoch(model, split)
    if first.refit:
        return first.run_refit(split.log, training.best, selection=training)
    return Outcome(first, split, model, training, first.evaluate(model, split, training))


def _check(first: Experiment | TrainedStage, second: Experiment) -> None:
    name = second.protocol.name
    RankingProtocol.expect(second.protocol, f"{name}: a protocol of ratings, and two stages order items")
    if isinstance(first, TrainedStage):
        require(not second.refit, "a first stage that is already trained cannot be refitted: name its model instead")
        return
    require(
        (first.protocol.fingerprint, first.refit) == (second.protocol.fingerprint, second.refit),
        f"{second.model} cannot order the candidates of {first.model}: give both the same protocol and the same refit",
    )
