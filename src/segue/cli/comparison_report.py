"""The HTML report of `segue compare`, and its chart of quality against training time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.tuning.scheduler import Entry


def left_out(entries: list[Entry]) -> list[str]:
    """A sentence for each model that could not be compared."""
    return [f"{entry.model} is left out: {entry.reason}" for entry in entries if entry.result is None]


def write_comparison_report(facts: dict[str, Any], entries: list[Entry], folder: Path, log: str) -> None:
    """Write `report.html` and, if charts can be drawn, `quality.svg`.

    Args:
        facts: what the JSON of the comparison holds.
        entries: the outcome of each model.
        folder: of the comparison.
        log: its name.
    """
    from segue.reporting.html import write_page
    from segue.tuning.comparison import cost_rows

    metrics = list(facts["models"][0]["metrics"])
    costs = {row["model"]: row for row in cost_rows(entries, facts["comparison"]["monitor"])}
    ranking = [_row(model, metrics, costs[model["model"]]) for model in facts["models"]]
    sections = [
        ("Ranking", [ranking, *_quality_chart(ranking, metrics, facts["comparison"]["monitor"], folder)]),
        ("Chosen settings", [[{"model": name, "settings": row["settings"]} for name, row in costs.items()]]),
        ("Method", [*_method(facts), *left_out(entries)]),
    ]
    say(f"report: {write_page(f'Models for {log}', sections, folder / 'report.html')}")


def _quality_chart(ranking: list[dict[str, Any]], metrics: list[str], monitor: str, folder: Path) -> list[Any]:
    """Quality against training time as a chart, also written to `quality.svg`; none if charts cannot be drawn."""
    from segue.reporting import charts

    points = [{**row, "training, CPU s": max(0.01, row["train CPU s"])} for row in ranking]
    metric = monitor if monitor in metrics else metrics[1]
    try:
        chart = charts.scatter_chart(points, x="training, CPU s", y=metric, label="model", log="x")
        charts.save_chart(chart, folder / "quality.svg")
    except ConfigError as error:
        say(str(error))
        return []
    return [chart]


def _method(facts: dict[str, Any]) -> list[str]:
    """How the numbers were obtained, in a few sentences."""
    budget, protocol = facts["comparison"], facts["protocol"]
    return [
        protocol["sentence"],
        f"{facts['instances']:,} evaluation instances, {facts['items']:,} items; protocol {protocol['fingerprint']}, "
        f"log {facts['log']}.",
        f"Each model had {budget['trials']} trials over the search space that it declares, and the same limit on "
        f"seconds, out of {budget['minutes']:g} minutes with {budget['jobs']} processes. {budget['monitor']} on "
        "validation chose the epochs and settings; the best of each model was tested once. The intervals are 95% "
        "bootstrap intervals over the evaluation instances. The marks compare with the best of the column (paired t "
        "test, Holm-corrected): ▾ ▾▾ ▾▾▾ worse, p < .05, .01, .001.",
    ]


def _row(model: dict[str, Any], metrics: list[str], cost: dict[str, Any]) -> dict[str, Any]:
    """A row of the ranking: each metric with its interval, and the cost."""
    row: dict[str, Any] = {"model": model["model"]}
    for metric in metrics:
        cell = model["metrics"][metric]
        stars = cell.get("against", {"stars": ""})["stars"].replace("*", "▾")
        row |= {metric: cell["mean"], f"{metric} 95%": f"{cell['low']:.4f}–{cell['high']:.4f} {stars}".strip()}
    return {**row, **{name: value for name, value in cost.items() if name not in ("model", "settings")}}
