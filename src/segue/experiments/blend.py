"""Blending two models: the weight, and only the weight, is selected on validation.

    train ──> first  ─┐                              train + valid ──> first  ─┐
                      ├─> weight (on valid)   refit:                           ├─> blend with that weight ──> test
    train ──> second ─┘                              train + valid ──> second ─┘

The weights include 0 and 1, which are the models alone, so on validation the blend is never worse than either of them.

    blended = blend(Experiment(model="seq-knn", protocol=p), Experiment(model="hgn", protocol=p), log)

To blend more than two models, blend a `Blend` with another one by `select_weight`.
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
from segue.data.log import Floats, Log
from segue.data.splits import EvalInstances, Split
from segue.errors import DataError, require
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.result import Result, measured_test
from segue.evaluation.summary import summary
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.experiments.outcome import Outcome
from segue.models.base.model import Model, Sizes
from segue.models.base.score_buffer import evaluation_mode, instance_batch
from segue.models.ensembles.blend import Blend, BlendConfig, mix, standardised_scores
from segue.resource_usage import largest, total

WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
MAX_SCORES = 5_000_000  # scores of one model in a block


@dataclass(frozen=True)
class WeightSelection:
    """The weight that was selected on validation.

    Attributes:
        weight: the weight of the second model.
        monitor: the metric that selected it.
        values: the mean of that metric on validation, by weight.
    """

    weight: float
    monitor: str
    values: dict[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"weight": self.weight, "monitor": self.monitor, "values": {str(w): v for w, v in self.values.items()}}


def select_weight(
    first: Model,
    second: Model,
    split: Split,
    protocol: Protocol,
    *,
    monitor: str = "ndcg@10",
    weights: Sequence[float] = WEIGHTS,
) -> WeightSelection:
    """The weight with which a blend of two models is best on validation; the smallest of equally good ones.

    Every model scores every instance once, whatever the number of weights.

    Args:
        first: the first model. It and `second` must be trained on `split.train` alone: a model that was also trained on
            validation data would get too much weight.
        second: the other model.
        split: of the log.
        protocol: how validation is evaluated.
        monitor: the metric that selects the weight.
        weights: the weights to try.

    Raises:
        ConfigError: the protocol does not rank items, or not as deep as `monitor`; or `weights` is empty.
        DataError: the split has no validation instances.
    """
    protocol = RankingProtocol.expect(
        protocol, f"{protocol.name}: a blend needs a protocol that ranks items, such as leave-one-out"
    )
    protocol.check_metric(monitor)
    protocol.check_not_retrained("a blend")
    values: dict[float, list[Floats]] = {BlendConfig(weight=weight).weight: [] for weight in sorted(weights)}
    require(len(values) > 0, "no weight to try; give some between 0 and 1")
    instances = protocol.instances(split, "valid")
    rows = max(MAX_SCORES // (split.log.num_items + 1), 32)
    with evaluation_mode(first), evaluation_mode(second), torch.inference_mode():
        for begin in range(0, len(instances), rows):
            block = instances.take(slice(begin, begin + rows))
            scores = (
                standardised_scores(first, instance_batch(first, block)),
                standardised_scores(second, instance_batch(second, block)),
            )
            for weight, of_weight in values.items():
                of_weight.extend(_block_values(mix(*scores, weight), block, protocol, monitor))
    if not any(values.values()):
        raise DataError(f"{split.log.name}: {protocol.name} leaves no validation instance to select a weight by")
    means = {weight: float(np.concatenate(of_weight).mean()) for weight, of_weight in values.items()}
    return WeightSelection(max(means, key=lambda weight: means[weight]), monitor, means)


class _FixedScores(Model):
    """A model that returns given scores for one block of instances."""

    name = "fixed-scores"
    Config = Config
    window = 0
    scores: Tensor

    def __init__(self, scores: Tensor, sizes: Sizes) -> None:
        super().__init__(Config(), sizes)
        self.register_buffer("scores", scores)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        return self.scores if items is None else self.scores[:, items]


def _block_values(scores: Tensor, instances: EvalInstances, protocol: RankingProtocol, monitor: str) -> list[Floats]:
    """The metric of each instance of a block, as one array; an empty list if no instance has a target left."""
    model = _FixedScores(scores, Sizes(instances.log.num_users, instances.log.num_items))
    try:
        ranks = protocol.rank_instances(model, instances, block=len(instances))
    except DataError:  # every target of the block is an item that its user has already had
        return []
    return [measure(ranks, monitor)]


@dataclass(frozen=True, eq=False)
class Blended:
    """Two experiments that were run, and the blend of their models.

    Attributes:
        parts: the outcome of each experiment alone.
        selection: how the weight was selected.
        model: the blend.
        result: its evaluation on the test part.
    """

    parts: tuple[Outcome, Outcome]
    selection: WeightSelection
    model: Blend
    result: Result

    def about(self) -> dict[str, Any]:
        """What is stored with the saved blend, as plain values."""
        return about_blend([part.about() for part in self.parts], self.selection, self.result)


def blended_result(parts: Sequence[Result], model: Blend, split: Split, *, name: str) -> Result:
    """The test result of a blend under the protocol of its parts; its training cost is that of all parts.

    Args:
        parts: the test results of the blended models.
        model: the blend.
        split: of the log.
        name: of the blend in the table.
    """
    peak = largest(*(part.peak_mb for part in parts))
    return replace(
        parts[0],
        model=name,
        **measured_test(parts[0].protocol, model, split, training_peak=peak)._asdict(),
        seconds=total(*(part.seconds for part in parts)),
        cpu_seconds=total(*(part.cpu_seconds for part in parts)),
    )


def about_blend(parts: Sequence[dict[str, Any]], selection: WeightSelection, result: Result) -> dict[str, Any]:
    """What is stored with a saved blend, from what is stored with its parts."""
    experiments, trainings = [part["experiment"] for part in parts], [part["training"] for part in parts]
    common = {key: experiments[0][key] for key in ("protocol", "refit", "final") if key in experiments[0]}
    extents: dict[str, Any] = {
        key: parts[0][key] for key in ("trained_on", "tested_model_trained_on") if key in parts[0]
    }
    cost: dict[str, Any] = {key: sum(training[key] for training in trainings) for key in ("seconds", "cpu_seconds")}
    cost["peak_mb"] = largest(*(training.get("peak_mb") for training in trainings))
    return {
        "experiment": {"model": Blend.name, "parts": experiments, "monitor": selection.monitor, **common},
        "training": {
            "validation": {selection.monitor: selection.values[selection.weight]},
            "weights": selection.as_dict(),
            **cost,
        },
        **extents,
        "results": summary([result]),
    }


def blend(first: Experiment, second: Experiment, log: Log, *, weights: Sequence[float] = WEIGHTS) -> Blended:
    """Train two models on the training part, select the weight on validation, and evaluate the blend on the test part.

    With `refit`, both models are trained again on training and validation data, and the weight stays. With `final`,
    both are fitted on the whole log after the test. The metric that selects the weight is the `monitor` of the first
    experiment.

    Raises:
        ConfigError: the experiments differ in their protocol, in `refit` or in `final`.
    """
    require(
        (first.protocol.fingerprint, first.refit, first.final)
        == (second.protocol.fingerprint, second.refit, second.final),
        f"{first.model} and {second.model} cannot be blended: give both the same protocol, refit and final",
    )
    split = first.split(log)
    experiments = first, second
    models = first.build(log), second.build(log)
    trainings = [one.select_epoch(model, split) for one, model in zip(experiments, models, strict=True)]
    selection = select_weight(*models, split, first.protocol, monitor=first.monitor, weights=weights)
    one, two = (
        experiment.run_refit(log, training.best, selection=training)
        if experiment.refit
        else Outcome(experiment, split, model, training, experiment.evaluate(model, split, training))
        for experiment, model, training in zip(experiments, models, trainings, strict=True)
    )
    model = Blend(one.model, two.model, weight=selection.weight)
    result = blended_result([one.result, two.result], model, split, name=Blend.name)
    if first.final:
        one, two = one.add_final(log), two.add_final(log)
        model = Blend(one.model, two.model, weight=selection.weight)
    return Blended((one, two), selection, model, result)
