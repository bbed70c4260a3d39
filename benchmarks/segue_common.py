"""The common parts of segue's measurements: a clock and the test metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from segue.evaluation.task import Predictions

METRICS = ("recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10")
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[dict[str, float], Result]:
    """Wall and CPU seconds of `work`, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}, result


def quality(predictions: Predictions) -> dict[str, float]:
    """Means of the metrics."""
    from segue.evaluation.task import measure

    return {metric: float(measure(predictions, metric).mean()) for metric in METRICS}
