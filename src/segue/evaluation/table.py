"""`table`: models side by side, with intervals, tests, and how the figures were computed.

    model      recall@10      ndcg@10       coverage@10   train s
    pop         .0065 ***      .0058 ***          .1%         2        mean, and whether it differs from the best
               .0060–.0071    .0052–.0064                              95% interval
    hgn         .0458          .0394             31.2%      102
               .0438–.0479    .0376–.0412
    protocol ... · left out ... · what the stars mean

A table only holds results of the same evaluation instances: same log, same protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.text import Text

from segue.data.log import Floats, Ids
from segue.errors import require
from segue.evaluation.protocol import Protocol
from segue.evaluation.result_names import distinct_names
from segue.evaluation.significance import PairedComparison, Test, best, compare_with_baseline, holm, interval
from segue.evaluation.task import Predictions, mean_metric
from segue.reporting.numbers import cut_off, metric_text, percent_text, seconds_text
from segue.reporting.tables import Column, FittedTable

CONFIDENCE = 0.95
MANY_TIED = 0.05  # share of targets with the time of the row before, above which the table says so
TIES_MATTER = 0.01  # relative change of a figure under the other tie rule, above which the table mentions it


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


def summary(results: Sequence[Result], metrics: Sequence[str] | None = None, *, test: Test = "t") -> dict[str, Any]:
    """Everything that `table` shows, in full precision, as plain values ready for JSON.

    Without `metrics`, it has the default metrics of the task.

    The reference of each metric is the best baseline, or the best of all models if there are no baselines. The other
    models (if there are baselines: those that are none) are tested against it, and the p-values of all models and
    metrics are corrected together by Holm's method.

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
                "seconds": r.seconds,
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


def table(results: Sequence[Result], metrics: Sequence[str] | None = None, *, test: Test = "t") -> FittedTable:
    """The results as a table for a terminal, with the best value of each metric in bold and footnotes below.

    It is split by cut-off, or turned, where the terminal is too narrow for it.

    Raises:
        ConfigError: as `summary`.
    """
    facts = summary(results, metrics, test=test)
    coverage = _coverage_column(facts)
    metrics = list(facts["models"][0]["metrics"])
    columns = [Column(name="model"), *(Column(name=metric, group=cut_off(metric)) for metric in metrics)]
    if coverage:
        columns.append(Column(name=f"{coverage}\npopularity", right=True))
    columns.append(Column(name="train\ns", right=True))
    rows: list[list[Text | str]] = []
    for row in facts["models"]:
        cells = [_cell_text(row["metrics"][metric]) for metric in metrics]
        lists = [_list_text(row[coverage], row[coverage.replace("coverage", "popularity")])] if coverage else []
        rows.append([row["model"], *cells, *lists, seconds_text(row["seconds"])])
    return FittedTable(columns, rows, title=_title(facts), notes=_footnotes(facts))


def _coverage_column(facts: dict[str, Any]) -> str | None:
    return next((key for key in facts["models"][0] if key.startswith("coverage@")), None)


def _list_text(coverage: float, popularity: float | None) -> Text:
    text = Text(percent_text(coverage))
    return text if popularity is None else text.append(f"\n{_percentile(popularity)}", "dim")


def _percentile(share: float) -> str:
    """.67, 1.00"""
    return f"{share:.2f}".removeprefix("0")


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
            f"({r.protocol.fingerprint}) on the other; evaluate both with the same protocol",
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
        if len(by_model) < 2:
            continue
        reference = best({name: by_model[name] for name in baselines if name in by_model} or by_model)
        compared = {name: v for name, v in by_model.items() if name == reference or name not in baselines}
        users = results[0].predictions.users(metric)
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


def _cell_text(cell: dict[str, Any] | None) -> Text:
    if cell is None:
        return Text("–")
    tested = cell.get("against", {"stars": "", "difference": 0.0})
    marks = tested["stars"] if tested["difference"] >= 0 else tested["stars"].replace("*", "▾")
    mean = Text(metric_text(cell["mean"]), style="bold" if cell["best"] else "")
    spread = f"\n±{metric_text(cell['sd'])}" if "sd" in cell else ""
    ends = f"{metric_text(cell['low'])}–{metric_text(cell['high'])}"
    return Text.assemble(mean, f" {marks}" if marks else "", "\n", (f"{ends}{spread}", "dim"))


def _title(facts: dict[str, Any]) -> str:
    instances = f"{facts['instances']:,} ratings"
    if "targets" in facts:
        instances = f"{facts['instances']:,} evaluation instances, {facts['targets']:,} targets"
    return f"{instances}, {facts['items']:,} items"


def _repetition_notes(facts: dict[str, Any]) -> list[str]:
    """Which models were trained several times, and what is shown of them."""
    repeated = [f"{row['model']} ({row['trainings']})" for row in facts["models"] if "trainings" in row]
    if not repeated:
        return []
    return [
        f"Trained several times, with other seeds: {', '.join(repeated)}. The value of an instance is the mean over "
        "the trainings; ± is the standard deviation between them; train s is their mean."
    ]


def _tie_notes(facts: dict[str, Any]) -> list[str]:
    """The first metric under the other tie rule, for models whose figure changes by more than a hundredth."""
    changed = []
    for row in facts["models"]:
        metric, cell = next(iter(row["metrics"].items()))
        if cell is None or "other_ties" not in cell:
            continue
        other = cell["other_ties"]
        if abs(other - cell["mean"]) > TIES_MATTER * cell["mean"]:
            changed.append(f"{row['model']} {metric_text(other)}")
    if not changed:
        return []
    rule = "before" if facts["protocol"]["ties"] == "conservative" else "behind"
    return [f"Ties matter: {metric} with targets {rule} other items of the same score: {', '.join(changed)}."]


def _tied_note(tied: float | None) -> str:
    """What the order of events with the same time decides, if that is much."""
    if tied is None or tied <= MANY_TIED:
        return ""
    return (
        f" In {tied:.0%} of the instances the (first) target has the time of the row before it: the order of the "
        "source decides which of them is the target."
    )


def _footnotes(facts: dict[str, Any]) -> list[str]:
    protocol = facts["protocol"]
    drawn = "instances" if facts["users"] == facts["instances"] else f"{facts['users']:,} users"
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in facts["left_out"].items()) or "nothing"
    popularity = " Below coverage, the mean popularity percentile of the recommended items."
    lines = [
        f"Protocol {protocol['name']} ({protocol['fingerprint']}), log {facts['log']}. {protocol['sentence']}"
        + _tied_note(facts["tied"]),
        f"Left out: {left_out}.",
        f"Below each mean its {100 * facts['confidence']:g}% bootstrap interval over the {drawn}; best value bold."
        + (popularity if _coverage_column(facts) else ""),
        *_repetition_notes(facts),
        *_tie_notes(facts),
        *(f"Warning: {warning}." for warning in facts["warnings"]),
    ]
    if facts["comparisons"]:
        names = ", ".join(facts["baselines"])
        reference = f"best baseline ({names})" if names else "best value"
        test = {"t": "paired t test", "wilcoxon": "Wilcoxon signed-rank test", "permutation": "sign-flip test"}
        lines.append(
            f"* ** *** better, ▾ ▾▾ ▾▾▾ worse than the {reference} of its column, p < .05, .01, .001 "
            f"({test[facts['test']]}, Holm-corrected for the {facts['comparisons']} comparisons of this table)."
        )
    return lines
