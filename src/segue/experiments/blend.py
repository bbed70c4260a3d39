"""Blending two models: the weight, and only the weight, is chosen on validation.

    train ──> first  ─┐                              train + valid ──> first  ─┐
                      ├─> weight (on valid)   refit:                           ├─> blend with that weight ──> test
    train ──> second ─┘                              train + valid ──> second ─┘

Among the weights tried are 0 and 1, each model alone, so the blend is never chosen worse than either on validation.

    blended = blend(Recipe(model="seq-knn", protocol=p, refit=True), Recipe(model="hgn", protocol=p, refit=True), log)

More than two: a `Blend` is a model, so `choose` takes it as one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data.log import Log
from segue.data.splits import EvalInstances, Split
from segue.errors import DataError, require
from segue.evaluation.metrics import Values, measure
from segue.evaluation.protocol import Protocol, RatingProtocol
from segue.evaluation.ranking import asked, question, rank
from segue.evaluation.table import Result, summary
from segue.experiments.experiment import Experiment, Outcome
from segue.models.base.model import Model, Sizes
from segue.models.ensembles.blend import Blend, BlendConfig, mix, standardised_scores

WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
SCORES = 5_000_000  # of one model at a time


@dataclass(frozen=True)
class Choice:
    """Which weight validation chose.

    Attributes:
        weight: share of the second model.
        monitor: the metric that chose it.
        values: its mean on validation under each weight tried.
    """

    weight: float
    monitor: str
    values: dict[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"weight": self.weight, "monitor": self.monitor, "values": {str(w): v for w, v in self.values.items()}}


def choose(
    first: Model,
    second: Model,
    split: Split,
    protocol: Protocol,
    *,
    monitor: str = "ndcg@10",
    weights: Sequence[float] = WEIGHTS,
) -> Choice:
    """The weight under which a blend of two models does best on validation; the smallest of equals.

    Every question is asked once of each model, whatever the number of weights.

    Args:
        first: trained on `split.train`, as `second` is: a model that has seen the validation part would be preferred.
        second: likewise.
        split: of the log.
        protocol: how validation is measured.
        monitor: the metric that chooses.
        weights: what is tried.

    Raises:
        ConfigError: the protocol does not rank, or not as deep as `monitor`; or `weights` is empty.
        DataError: the split holds no validation question.
    """
    require(not isinstance(protocol, RatingProtocol), f"{protocol.name}: a blend mixes orders of items, not ratings")
    protocol.check(monitor)
    found: dict[float, list[Values]] = {BlendConfig(weight=weight).weight: [] for weight in sorted(weights)}
    require(len(found) > 0, "no weight to try; give some between 0 and 1")
    instances = protocol.instances(split, "valid")
    rows = max(SCORES // (split.log.num_items + 1), 32)
    with asked(first), asked(second), torch.inference_mode():
        for begin in range(0, len(instances), rows):
            some = instances.take(slice(begin, begin + rows))
            ready = (
                standardised_scores(first, question(first, some)),
                standardised_scores(second, question(second, some)),
            )
            for weight, values in found.items():
                values.extend(_values(mix(*ready, weight), some, protocol, monitor))
    if not any(found.values()):
        raise DataError(f"{split.log.name}: {protocol.name} leaves no validation question to choose a weight by")
    means = {weight: float(np.concatenate(values).mean()) for weight, values in found.items()}
    return Choice(max(means, key=lambda weight: means[weight]), monitor, means)


class _Given(Model):
    """Scores that are known already, of one block of questions."""

    name = "given"
    Config = Config
    window = 0
    scores: Tensor

    def __init__(self, scores: Tensor, sizes: Sizes) -> None:
        super().__init__(Config(), sizes)
        self.register_buffer("scores", scores)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        return self.scores if items is None else self.scores[:, items]


def _values(scores: Tensor, instances: EvalInstances, protocol: Protocol, monitor: str) -> list[Values]:
    """The metric of each question of a block, as one array; nothing where the block leaves none to be asked."""
    given = _Given(scores, Sizes(instances.log.num_users, instances.log.num_items))
    try:
        ranks = rank(
            given,
            instances,
            exclude_seen=protocol.exclude_seen,
            ties=protocol.ties,
            depth=protocol.depth,
            steps=protocol.ahead,
            block=len(instances),
        )
    except DataError:  # every target of the block is an item that its user has had
        return []
    return [measure(ranks, monitor)]


@dataclass(frozen=True, eq=False)
class Blended:
    """Two recipes that were run, and their blend.

    Attributes:
        parts: each for itself, as it is tested alone.
        choice: how the weight was chosen.
        model: the blend.
        result: what it reached on the test.
    """

    parts: tuple[Outcome, Outcome]
    choice: Choice
    model: Blend
    result: Result

    def about(self) -> dict[str, Any]:
        """What a saved blend should say of itself: plain values."""
        return about([part.about() for part in self.parts], self.choice, self.result)


def about(parts: Sequence[dict[str, Any]], choice: Choice, result: Result) -> dict[str, Any]:
    """What a saved blend should say of itself, from what its parts say of themselves."""
    recipes, trainings = [part["recipe"] for part in parts], [part["training"] for part in parts]
    shared = {key: recipes[0][key] for key in ("protocol", "refit")}
    spent = {key: sum(training[key] for training in trainings) for key in ("seconds", "cpu_seconds")}
    return {
        "recipe": {"model": Blend.name, "parts": recipes, "monitor": choice.monitor, **shared},
        "training": {
            "validation": {choice.monitor: choice.values[choice.weight]},
            "weights": choice.as_dict(),
            **spent,
        },
        "results": summary([result]),
    }


def blend(first: Experiment, second: Experiment, log: Log, *, weights: Sequence[float] = WEIGHTS) -> Blended:
    """Train two models on the train part, choose the weight on validation, and test the blend once.

    With `refit` both are trained anew on train and validation, and the weight stays. The metric that chooses is the
    first recipe's `monitor`.

    Raises:
        ConfigError: the recipes differ in protocol or in `refit`.
    """
    require(
        (first.protocol.fingerprint, first.refit) == (second.protocol.fingerprint, second.refit),
        f"{first.model} and {second.model} cannot be blended: give both the same protocol and the same refit",
    )
    split = first.split(log)
    recipes = first, second
    models = first.build(log), second.build(log)
    trainings = [recipe.choose(model, split) for recipe, model in zip(recipes, models, strict=True)]
    choice = choose(*models, split, first.protocol, monitor=first.monitor, weights=weights)
    one, two = (
        recipe.final(log, training.best, chosen=training)
        if recipe.refit
        else Outcome(recipe, split, model, training, recipe.test(model, split, training))
        for recipe, model, training in zip(recipes, models, trainings, strict=True)
    )
    model = Blend(one.model, two.model, weight=choice.weight)
    seconds = one.training.seconds + two.training.seconds
    ranks = first.protocol.rank(model, split, "test")
    return Blended((one, two), choice, model, replace(one.result, model=Blend.name, ranks=ranks, seconds=seconds))
