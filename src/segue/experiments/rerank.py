"""Training two stages: the second learns as always, its epoch is the one that orders the first's candidates best.

    train ──> first   ─┐                                train + valid ──> first  ─┐
                       ├─> epoch (on valid)     refit:                            ├─> both stages ──> test
    train ──> second  ─┘                                train + valid ──> second ─┘

    found = rerank(Recipe(model="seq-knn", protocol=p), Recipe(model="mf", protocol=p), log, candidates=100)

A first stage may be trained and saved already: then it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.data.splits import Split
from segue.errors import require
from segue.evaluation.protocol import RatingProtocol
from segue.evaluation.table import Result, summary
from segue.experiments.experiment import Experiment, Outcome
from segue.models.base.model import Model
from segue.models.ensembles.rerank import Rerank, RerankConfig
from segue.training.state import Training


@dataclass(frozen=True, eq=False)
class Ready:
    """A first stage that is trained already, on the train part alone.

    Attributes:
        model: what returns candidates.
        result: what it reached on the test.
        facts: what its saved model says of itself.
    """

    model: Model
    result: Result
    facts: dict[str, Any]

    def about(self) -> dict[str, Any]:
        """What it says of itself: plain values."""
        return self.facts


@dataclass(frozen=True, eq=False)
class Reranked:
    """Two stages that were trained and tested.

    Attributes:
        first: the first stage, as it is tested alone.
        recipe: of the second.
        training: of the second.
        split: of the log.
        model: both.
        result: what they reached on the test.
    """

    first: Outcome | Ready
    recipe: Experiment
    training: Training
    split: Split
    model: Rerank
    result: Result

    @property
    def results(self) -> list[Result]:
        """What is to be shown: the first stage alone, and both."""
        return [self.first.result, self.result]

    def about(self) -> dict[str, Any]:
        """What a saved model of two stages should say of itself: plain values."""
        one, two = self.first.about(), self.recipe.as_dict()
        shared = {key: two[key] for key in ("protocol", "seed", "monitor", "refit")}
        spent = {key: one["training"][key] + getattr(self.training, key) for key in ("seconds", "cpu_seconds")}
        return {
            "recipe": {"model": Rerank.name, "parts": [one["recipe"], two], **self.model.config.as_dict(), **shared},
            "training": {
                "epochs": len(self.training.epochs),
                "best": self.training.best,
                "validation": {self.recipe.monitor: self.training.metric},
                **spent,
            },
            "results": summary([self.result]),
        }


def rerank(
    first: Experiment | Ready, second: Experiment, log: Log, *, candidates: int = 100, folder: Path | None = None
) -> Reranked:
    """Train two stages, choose the second's epoch by how it orders what the first returns, and test them once.

    Args:
        first: what returns candidates.
        second: what puts them in order.
        log: what to learn from.
        candidates: how many the first returns.
        folder: where an interrupted training of the second is kept, to be taken up by the same call.

    Raises:
        ConfigError: the recipes differ in protocol or in `refit`, the protocol asks for ratings, or a first stage that
            is trained already would have to be trained anew.
    """
    RerankConfig(candidates=candidates)  # said before anything is trained
    _check(first, second)
    split = second.split(log)
    retriever = first.model if isinstance(first, Ready) else first.build(log)
    alone = first if isinstance(first, Ready) else _alone(first, retriever, split)
    model = second.build(log)
    training = second.choose(
        model, split, folder=folder, within=lambda ordering: Rerank(retriever, ordering, candidates=candidates)
    )
    if second.refit:
        model, training = second.refitted(split, training.best, chosen=training)
    whole = Rerank(alone.model, model, candidates=candidates)
    result = replace(
        alone.result,
        model=f"{second.model} after {alone.result.model}",
        ranks=second.protocol.rank(whole, split, "test"),
        seconds=(alone.result.seconds or 0.0) + training.seconds,
        baseline=second.baseline,
    )
    return Reranked(alone, second, training, split, whole, result)


def _alone(first: Experiment, model: Model, split: Split) -> Outcome:
    """The first stage for itself, tested; `model` ends as what has learnt from the train part."""
    training = first.choose(model, split)
    if first.refit:
        return first.final(split.log, training.best, chosen=training)
    return Outcome(first, split, model, training, first.test(model, split, training))


def _check(first: Experiment | Ready, second: Experiment) -> None:
    name = second.protocol.name
    require(not isinstance(second.protocol, RatingProtocol), f"{name}: asks for ratings, and two stages order items")
    if isinstance(first, Ready):
        require(not second.refit, "a first stage that is trained already cannot be refitted: name its model instead")
        return
    require(
        (first.protocol.fingerprint, first.refit) == (second.protocol.fingerprint, second.refit),
        f"{second.model} cannot order what {first.model} returns: give both the same protocol and the same refit",
    )
