"""Successive halving: at epochs r, 2r, 4r, ... (the rungs) only trials in the better half go on.

    epoch        1     2     3     4     5     6     7     8
    trial 0     .10   .12   .13   .14   .15   .15   .16   .16        rungs at 2, 4 and 8
    trial 1     .08   .09                                            pruned at 2: .09 is below the better half

A trial is compared with all trials that have reached the rung so far (Li et al., A System for Massively Parallel
Hyperparameter Tuning, MLSys 2020). The decision follows from the stored metrics alone. A trial that is resumed after a
crash therefore meets the decision that it met before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

REDUCTION_FACTOR = 2

Curve = Mapping[int, float]  # metric by epoch


def is_pruned(curves: Mapping[int, Curve], trial: int, epoch: int, *, min_epochs: int) -> bool:
    """Whether a trial stops at `epoch`.

    Args:
        curves: the metric by epoch of every trial, that of `trial` and `epoch` included; higher is better.
        trial: the number of the trial.
        epoch: an epoch that the trial has reported.
        min_epochs: the first rung.
    """
    own = {reported: metric for reported, metric in curves[trial].items() if reported <= epoch}
    before = max((reported for reported in own if reported < epoch), default=0)
    if math.isnan(own[epoch]):
        return epoch >= min_epochs
    rung = min_epochs
    while rung <= epoch:
        if rung > before:
            reached = [_metric_at(curve, rung) for number, curve in curves.items() if number != trial]
            others = [metric for metric in reached if metric is not None]
            if not in_better_half(own[epoch], others):
                return True
        rung *= REDUCTION_FACTOR
    return False


def _metric_at(curve: Curve, rung: int) -> float | None:
    """The first metric that was reported at a rung or after it; None if the trial has not come so far."""
    reported = [epoch for epoch in curve if epoch >= rung]
    return curve[min(reported)] if reported else None


def in_better_half(metric: float, others: list[float]) -> bool:
    """Whether a metric is in the better half of its rung, rounded down, but at least the best one goes on.

    >>> in_better_half(3.0, [1.0, 2.0, 4.0]), in_better_half(2.0, [1.0, 3.0, 4.0])
    (True, False)
    """
    ranking = sorted([*others, metric], reverse=True)
    return metric >= ranking[max(len(ranking) // REDUCTION_FACTOR, 1) - 1]
