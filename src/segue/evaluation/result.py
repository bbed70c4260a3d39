"""`Result`: what one model predicted for the evaluation instances, and how it was evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segue.data.log import Ids
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import Predictions


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
        seconds: training time; None if there was no training.
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
    baseline: bool = False
    warnings: tuple[str, ...] = ()
    tied: float | None = None
    settings: Mapping[str, Any] | None = None
