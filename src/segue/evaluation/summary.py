"""`summary`: models side by side as plain values: means, intervals, and the tests between models.

It only holds results of the same evaluation instances: same log, same protocol.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segue.data.log import Floats
from segue.errors import require
from segue.evaluation.protocol import differences
from segue.evaluation.result import Result
from segue.evaluation.result_names import distinct_names
from segue.evaluation.significance import PairedComparison, Test, best, compare_with_baseline, holm, interval
from segue.evaluation.task import mean_metric

CONFIDENCE = 0.95
COST = ("seconds", "cpu_seconds", "test_cpu_seconds", "peak_mb")  # fields of a result


def summary(results: Sequence[Result], metrics: Sequence[str] | None = None, *, test: Test = "t") -> dict[str, Any]:
    """Everything that `table` shows, in full precision, as plain values ready for JSON.

    Without `metrics`, it has the default metrics of the task.

    The reference of each metric is the best baseline, or the best of all models if there are no baselines. The other
    models (if there are baselines: those that are none) are tested against it, and the p-values of all models and
    metrics are corrected together by Holm's method. Where one user alone was tested, there is nothing to test.

    Raises:
        ConfigError: the results are of different logs, protocols or instances; unknown metric or test.
    """
    results = distinct_names(results)
    _check_comparable(results)
    metrics = results[0].protocol.task.default_metrics if metrics is None else metrics
    require(len(metrics) > 0, "no metric to show; name one, such as recall@10")
    first = results[0]
    values = {metric: _values_by_model(results, metric) for metric in metrics}
    tested = _comparisons(results, values, test)
    return {
        "protocol": {
            **first.protocol.as_dict(),
            "fingerprint": first.protocol.fingerprint,
            "sentence": first.protocol.describe(),
        },
        "log": first.log,
        "items": first.items,
        "instances": len(first.predictions),
        **first.predictions.counts(),
        "users": len(np.unique(first.predictions.user)),
        "left_out": first.predictions.dropped,
        "warnings": list(dict.fromkeys(warning for r in results for warning in r.warnings)),
        "tied": first.tied,
        "confidence": CONFIDENCE,
        "test": test,
        "comparisons": len(tested),
        "baselines": [r.model for r in results if r.baseline],
        "models": [
            {
                "model": r.model,
                **{name: getattr(r, name) for name in COST},
                **({"trainings": len(r.predictions.runs)} if len(r.predictions.runs) > 1 else {}),
                **r.predictions.list_statistics(metrics[0], r.items, r.counts),
                "metrics": {m: _cell(m, values[m], r, tested.get((m, r.model))) for m in metrics},
            }
            for r in results
        ],
    }


def as_json(results: Sequence[Result], metrics: Sequence[str] | None = None, *, test: Test = "t") -> str:
    """`summary` as JSON text."""
    return json.dumps(summary(results, metrics, test=test), indent=2)


def _check_comparable(results: Sequence[Result]) -> None:
    """Raise `ConfigError` for results that must not be in one table."""
    require(len(results) > 0, "no results to show")
    names = [r.model for r in results]
    repeated = next((name for name in names if names.count(name) > 1), None)
    require(repeated is None, f"two results are called {repeated!r}; give each its own name")
    first = results[0]
    for r in results[1:]:
        pair = f"{first.model!r} and {r.model!r} cannot be compared: "
        require(
            first.protocol.fingerprint == r.protocol.fingerprint,
            f"{pair}protocol {first.protocol.name} ({first.protocol.fingerprint}) on one side, {r.protocol.name} "
            f"({r.protocol.fingerprint}) on the other; they differ in {differences(first.protocol, r.protocol)}; "
            "evaluate both with the same protocol",
        )
        require(
            (first.log, first.items) == (r.log, r.items),
            f"{pair}log {first.log} ({first.items:,} items) on one side, {r.log} ({r.items:,} items) on the other; "
            "evaluate both on the same log",
        )
        require(
            first.predictions.runs[0].same_instances(r.predictions.runs[0]),
            f"{pair}{len(first.predictions):,} evaluation instances on one side, {len(r.predictions):,} on the other, "
            "not the same; evaluate both on the same part of the split",
        )


def _values_by_model(results: Sequence[Result], metric: str) -> dict[str, Floats]:
    """The values of a metric of each model that can be measured by it."""
    values = {r.model: r.predictions.values(metric) for r in results}
    return {model: value for model, value in values.items() if value is not None}


def _comparisons(
    results: Sequence[Result], values: dict[str, dict[str, Floats]], test: Test
) -> dict[tuple[str, str], PairedComparison]:
    """By metric and model: every test of the table, corrected for all of them."""
    task, baselines = results[0].protocol.task, [r.model for r in results if r.baseline]
    comparisons: dict[tuple[str, str], PairedComparison] = {}
    for metric, values_of_metric in values.items():
        sign = -1 if task.lower_is_better(metric) else 1
        by_model = {name: sign * value for name, value in values_of_metric.items()}
        users = results[0].predictions.users(metric)
        if len(by_model) < 2 or len(np.unique(users)) < 2:
            continue
        reference = best({name: by_model[name] for name in baselines if name in by_model} or by_model)
        compared = {name: v for name, v in by_model.items() if name == reference or name not in baselines}
        made = compare_with_baseline(compared, users, baseline=reference, test=test)
        comparisons.update({(metric, c.model): c for c in made})
    corrected = holm([c.p for c in comparisons.values()])
    return {key: replace(c, p_holm=p) for (key, c), p in zip(comparisons.items(), corrected, strict=True)}


def _cell(
    metric: str, by_model: dict[str, Floats], result: Result, tested: PairedComparison | None
) -> dict[str, Any] | None:
    if result.model not in by_model:
        return None
    values, predictions, task = by_model[result.model], result.predictions, result.protocol.task
    low, high = interval(values, predictions.users(metric), confidence=CONFIDENCE)
    mean, best_of = float(values.mean()), min if task.lower_is_better(metric) else max
    figures = {"mean": mean, "low": low, "high": high}
    cell: dict[str, Any] = {name: task.aggregate(figure, metric) for name, figure in figures.items()}
    cell["best"] = mean == best_of(float(v.mean()) for v in by_model.values())
    if len(predictions.runs) > 1:
        cell["runs"] = [mean_metric(run, metric) for run in predictions.runs]
        cell["sd"] = float(np.std(cell["runs"], ddof=1))
    other_ties = predictions.mean_other_ties(metric)
    if other_ties is not None:
        cell["other_ties"] = other_ties
    if tested is not None:
        cell["against"] = {
            "model": tested.baseline,
            "difference": tested.difference,
            "low": tested.low,
            "high": tested.high,
            "p": tested.p,
            "p_holm": tested.p_holm,
            "stars": tested.stars,
        }
    return cell
