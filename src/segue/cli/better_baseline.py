"""Whether a simple baseline is better than the model that was just trained, for the last line of `segue run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segue.reporting.numbers import metric_text

if TYPE_CHECKING:
    from segue.evaluation.result import Result


@dataclass(frozen=True)
class BetterBaseline:
    """A baseline that a model does not beat on a metric. The figures are those of the table, hence of the test data.

    Attributes:
        model: the name of the model.
        baseline: the name of the best baseline of the metric.
        metric: the metric.
        figures: of the model and of the baseline.
        p: p-value of their difference, corrected as in the table.
        lower_is_better: whether lower figures are better.
    """

    model: str
    baseline: str
    metric: str
    figures: tuple[float, float]
    p: float
    lower_is_better: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether the baseline is significantly better; otherwise, the model is only not shown to be better."""
        return self.p < 0.05 and self.is_ahead

    @property
    def is_ahead(self) -> bool:
        """Whether the baseline has the better figure."""
        own, other = self.figures
        return other < own if self.lower_is_better else other > own

    def __str__(self) -> str:
        own, other = map(metric_text, self.figures)
        if self.is_certain:
            direction = "lower" if self.lower_is_better else "higher"
            level = next(level for level in (".001", ".01", ".05") if self.p < float(level))
            return (
                f"{self.baseline} has a {direction} {self.metric} in this table ({other}, {self.model} {own}, "
                f"p < {level})"
            )
        verb = "is no better than" if self.is_ahead else "is not significantly better than"
        return f"{self.model} {verb} {self.baseline} in this table ({self.metric} {own}, {self.baseline} {other})"


def better_baseline(results: Sequence[Result], metric: str, content: Mapping[str, Any]) -> BetterBaseline | None:
    """The best baseline, unless the last of the results is significantly better; None also without baselines.

    Args:
        results: those of a table; the last one is of the model in question.
        metric: the monitored metric.
        content: the summary of the table; another one is made if it lacks the metric.
    """
    from segue.evaluation.summary import summary

    task, model = results[-1].protocol.task, results[-1].model
    if not any(result.baseline for result in results) or results[-1].baseline:
        return None
    if metric not in content["models"][-1]["metrics"]:
        content = summary(results, [metric])
    cell = content["models"][-1]["metrics"][metric]
    if cell is None or "against" not in cell:
        return None
    against = cell["against"]
    other = next(row["metrics"][metric] for row in content["models"] if row["model"] == against["model"])
    if against["difference"] > 0 and against["p_holm"] < 0.05:
        return None
    figures = (cell["mean"], other["mean"])
    return BetterBaseline(
        model, against["model"], metric, figures, against["p_holm"], lower_is_better=task.lower_is_better(metric)
    )
