"""`Result`: what one model predicted for the evaluation instances, and how it was evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from segue.data.log import Ids
from segue.data.splits import Split
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import Predictions
from segue.resource_usage import PeakMemory, largest, stopwatch

if TYPE_CHECKING:
    from segue.models.base.model import Model


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """The result of one model.

    Attributes:
        model: its name in the table.
        predictions: what it predicted for each instance, so that models can be compared: the ranks of the targets, or
            the predicted ratings.
        protocol: how it was evaluated.
        log: the fingerprint of the log.
        items: number of items that were ranked.
        counts: (I + 1,) training events of each item, from which the popularity of the recommended items is computed.
        seconds: wall time of the training; None if there was no training.
        cpu_seconds: processor time of the training; None if it is unknown.
        test_cpu_seconds: processor time of the predictions for the test part; None if it is unknown.
        peak_mb: peak memory of the process while the model was trained and tested, in MB, with what earlier work has
            left in it; None if it is unknown.
        baseline: whether other models are compared with this one. If no result is a baseline, all are compared with the
            best.
        warnings: what makes figures of this log and protocol doubtful, one sentence each.
        tied: share of the instances whose first target has the time of the row before it; None if it is unknown.
        settings: of the model and its training; those that differ name results of the same model apart.
    """

    model: str
    predictions: Predictions
    protocol: Protocol
    log: str
    items: int
    counts: Ids | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    test_cpu_seconds: float | None = None
    peak_mb: int | None = None
    baseline: bool = False
    warnings: tuple[str, ...] = ()
    tied: float | None = None
    settings: Mapping[str, Any] | None = None


class MeasuredTest(NamedTuple):
    """The predictions for the test part and their cost; its fields are those of `Result`."""

    predictions: Predictions
    test_cpu_seconds: float
    peak_mb: int | None


def measured_test(
    protocol: Protocol,
    model: Model,
    split: Split,
    *,
    training_peak: int | None,
    evaluate: Callable[[], Predictions] | None = None,
) -> MeasuredTest:
    """Evaluate a trained model on the test part of a split, and measure what that takes.

    Args:
        protocol: how the model is evaluated.
        model: the trained model.
        split: of the log, made by the protocol.
        training_peak: the peak memory of its training in MB, which the peak of both includes; None if it is unknown.
        evaluate: what evaluates it, if the protocol alone does not.
    """
    with stopwatch() as watch, PeakMemory() as memory:
        predictions = evaluate() if evaluate else protocol.evaluate(model, split, "test")
    return MeasuredTest(predictions, watch.cpu_seconds, largest(training_peak, memory.mb))
