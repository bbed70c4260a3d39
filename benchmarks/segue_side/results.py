"""The parts of a result: the seconds of epochs, and the test metrics."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import Seconds, training

if TYPE_CHECKING:
    from segue.evaluation.task import Predictions
    from segue.training.state import Training

METRICS = ("recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10")


def epochs(trained: Training, args: argparse.Namespace, scale: float = 1.0) -> dict[str, Any]:
    """The seconds and the loss of each epoch; `scale` is the length of an epoch by that of the part that was run."""
    found: list[Seconds] = [
        {"wall_s": epoch.seconds * scale, "cpu_s": epoch.cpu_seconds * scale, "loss": epoch.loss}
        for epoch in trained.epochs
    ]
    return training(found, args)


def quality(predictions: Predictions) -> dict[str, float]:
    """Means of the metrics."""
    from segue.evaluation.task import measure

    return {metric: float(measure(predictions, metric).mean()) for metric in METRICS}
