"""The HTML report of `segue compare`, and its chart of quality against training time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import DataError
from segue.reporting.console import say
from segue.reporting.numbers import metric_text

CHOSEN = "To three significant digits; result.json and the saved models hold them in full."

if TYPE_CHECKING:
    from segue.tuning.entry import Entry


def left_out(entries: list[Entry]) -> list[str]:
    """A sentence for each reason why models could not be compared."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        if entry.result is None:
            names.setdefault(entry.reason, []).append(entry.model)
    return [f"{', '.join(who)} {'is' if len(who) == 1 else 'are'} left out: {why}" for why, who in names.items()]


def take_first(entries: list[Entry], monitor: str) -> str:
    """Which model to take first, in words: the best on validation, since the test set must not choose."""
    from segue.evaluation.task import mean_metric
    from segue.tuning.comparison import best_on_validation

    tested = {entry.model: mean_metric(entry.result.predictions, monitor) for entry in entries if entry.result}
    chosen = best_on_validation(entries)
    text = (
        f"Take {chosen.model} first: of {_tested_text(len(tested), len(entries))} it has the best {monitor} on "
        f"validation, {metric_text(chosen.validation_metric)}; on the test data it has "
        f"{metric_text(tested[chosen.model])}."
    )
    highest = max(tested, key=lambda model: tested[model])
    if tested[highest] > tested[chosen.model]:
        text += f" {highest} has {metric_text(tested[highest])} there, but the test data must not choose."
    return text


def _tested_text(tested: int, named: int) -> str:
    """How many models were tested, and how many were not, in words."""
    if tested == named:
        return f"{tested} models"
    missing = named - tested
    are = "is" if missing == 1 else "are"
    models = "model that was" if tested == 1 else "models that were"
    return f"the {tested} {models} tested ({missing} of {named} {are} left out, see below)"


def write_comparison_report(
    facts: dict[str, Any], entries: list[Entry], folder: Path, log: str, *, charts: bool
) -> None:
    """Write `report.html` and, with charts, `quality.svg`.

    Args:
        facts: what the JSON of the comparison holds.
        entries: the outcome of each model.
        folder: of the comparison.
        log: its name.
        charts: whether to draw quality against training time. If that fails, the report is written without it.
    """
    from segue.reporting.html import write_page
    from segue.tuning.comparison import cost_rows
    from segue.tuning.entry import trials_sentence

    metrics = list(facts["models"][0]["metrics"])
    costs = {row["model"]: row for row in cost_rows(entries, facts["comparison"]["monitor"])}
    ranking = [_row(model, metrics) for model in facts["models"]]
    order = [costs[model["model"]] for model in facts["models"]]
    cost = [{name: value for name, value in row.items() if name != "settings"} for row in order]
    take = f"segue recommend {folder / facts['serve']} --user USER"
    chart = _quality_chart(facts["models"], costs, facts["comparison"]["monitor"], folder) if charts else []
    sections: list[tuple[str, list[Any]]] = [
        ("Model to take first", [facts["take_first"], f"Its recommendations: {take}"]),
        ("Ranking", ["Below each figure on the test data stands its 95% interval.", ranking, *chart]),
        (
            "Cost",
            ["Training and test of the best in CPU seconds; peak memory of its process, with torch and the log.", cost],
        ),
        (
            "Chosen settings",
            [CHOSEN, [{"model": name, "settings": row["settings"] or "none"} for name, row in costs.items()]],
        ),
        ("Left out", left_out(entries) or ["Nothing: every model was compared."]),
        ("Method", _method(facts, trials_sentence(entries, facts["comparison"]["trials"]))),
    ]
    say(f"report: {write_page(f'Models for {log}', sections, folder / 'report.html')}")


def _quality_chart(
    models: list[dict[str, Any]], costs: dict[str, dict[str, Any]], monitor: str, folder: Path
) -> list[Any]:
    """Quality against training time as a chart, also written to `quality.svg`; none if charts cannot be drawn."""
    from segue.reporting import chart_files, charts

    names = list(models[0]["metrics"])
    metric = monitor if monitor in names else names[1]
    points = [
        {
            "model": model["model"],
            metric: model["metrics"][metric]["mean"],
            "training, CPU s": max(0.01, costs[model["model"]]["train CPU s"]),
        }
        for model in models
    ]
    try:
        chart = charts.scatter_chart(points, x="training, CPU s", y=metric, label="model", log="x")
        chart_files.save_chart(chart, folder / "quality.svg")
    except DataError as error:
        say(str(error))
        return []
    return [chart]


def _method(facts: dict[str, Any], trials: str) -> list[str]:
    """How the numbers were obtained, in a few sentences."""
    budget, protocol = facts["comparison"], facts["protocol"]
    return [
        protocol["sentence"],
        f"{facts['instances']:,} evaluation instances, {facts['items']:,} items; protocol {protocol['fingerprint']}, "
        f"log {facts['log']}.",
        *(f"Warning: {warning}." for warning in facts["warnings"]),
        f"Each model might have {_count(budget['trials'], 'trial')} over the search space that it declares, and an "
        f"equal share of {_count(budget['minutes'], 'minute')} with {_count(budget['jobs'], 'process', 'es')}. "
        f"{trials}",
        f"{budget['monitor']} on validation chose the epochs and settings; the best of each model was tested once.",
        "The intervals are 95% bootstrap intervals over the evaluation instances. The marks compare with the best of "
        "the column (paired t test, Holm-corrected): ▾ ▾▾ ▾▾▾ worse, p < .05, .01, .001.",
    ]


def _count(number: float, noun: str, ending: str = "s") -> str:
    return f"{number:g} {noun}{'' if number == 1 else ending}"


def _row(model: dict[str, Any], metrics: list[str]) -> dict[str, Any]:
    """A row of the ranking: each metric with its interval below it."""
    row: dict[str, Any] = {"model": model["model"]}
    for metric in metrics:
        cell = model["metrics"][metric]
        mean, low, high = (metric_text(cell[name]) for name in ("mean", "low", "high"))
        marks = cell.get("against", {"stars": ""})["stars"].replace("*", "▾")
        row[metric] = f"{mean} {marks}".strip() + f"\n{low}–{high}"
    return row
