"""Figures of stored results on the pages; `docs/generate.py` writes them.

    <!-- comparison: ml-100k -->    a short table of a file in results/comparisons
    <!-- board: ml-100k-leave-one-out -->    a table of results/board/board.json
    <!-- runs: neumf-ml-100k -->    the figures of the commands of a file in results/runs
    <!-- figure: hgn-table3; SASRec; recall@10 -->.0652<!-- end -->    one figure of a file in results, within a line

A metric may be `published recall@10`: what the paper prints. Figures that a paper or another program prints, and no
result file has, are marked by hand with their source, and stay as they are:

    <!-- printed: HGN, Table 6 -->.0456<!-- end -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segue.reporting.numbers import SECONDS, metric_text, number_text, percent_text, seconds_text

RESULTS = Path(__file__).parents[1] / "results"
FIGURE = re.compile(r"(<!-- figure: ([^;>]+); ([^;>]+); ([^;>]+?)(?:; ([^>]+?))? -->)[^<]*(<!-- end -->)")
PUBLISHED, VALIDATION = "published ", "validation "
NDCG = ("mean", "low", "high")


def read(name: str) -> dict[str, Any]:
    """A file of `results`, by its name without the ending."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def refresh_figures(text: str) -> str:
    """The text of a page with the figures within its lines made anew."""

    def figure(match: re.Match[str]) -> str:
        value = stored_figure(match[2], match[3], match[4], match[5])
        return match[1] + (seconds_text if match[4] in SECONDS else metric_text)(value) + match[6]

    return FIGURE.sub(figure, text)


def comparison_block(name: str) -> str:
    """The models of a comparison by their NDCG@10, with intervals, marks and cost."""
    facts = read(f"comparisons/{name}")
    lines = [
        "| model | recall@10 | ndcg@10 | 95% interval | training, CPU s | peak MB of its process |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for model in facts["models"]:
        ndcg, recall = model["metrics"]["ndcg@10"], model["metrics"]["recall@10"]["mean"]
        mean, low, high, recall = (metric_text(value) for value in (*(ndcg[k] for k in NDCG), recall))
        marks = ndcg.get("against", {"stars": ""})["stars"].replace("*", "▾")
        best = facts["best_models"][model["model"]]
        cost = f"{best['training']['cpu_seconds']:.1f} | {best['cost']['peak_mb']:,.0f}"
        lines.append(f"| {model['model']} | {recall} | {mean} {marks} | {low}–{high} | {cost} |".replace("  ", " "))
    how, protocol = facts["comparison"], facts["protocol"]
    command = f"segue compare {name} --trials {how['trials']} --minutes {how['minutes']:g} --jobs {how['jobs']}"
    about = (
        f"`{command}`, protocol {protocol['name']} ({protocol['fingerprint']}), {facts['instances']:,} test instances."
    )
    return "\n".join([about, "", *lines, ""])


def board_block(folder: str) -> str:
    """A table of the board: one metric with all that belongs to it, and the costs."""
    table = next(one for one in read("board/board")["tables"] if one["folder"] == folder)
    metric, budget, protocol = table["monitor"], table["budget"], table["protocol"]
    head = ["model", metric, "95% interval", "from the best baseline", "tie range", "cold targets", "coverage"]
    head += ["tuning, CPU s", "training, CPU s", "answer, CPU ms", "peak MB"]
    lines = [f"| {' | '.join(head)} |", f"|---|---:|---|---|---|---|{'---:|' * 5}"]
    lines += [f"| {' | '.join(_board_cells(row, metric))} |" for row in table["models"]]
    left_out = [f"{name} is left out: {reason}." for name, reason in table["left_out_models"].items()]
    about = (
        f"Protocol {protocol['name']} ({protocol['fingerprint']}), log {table['log']}, {table['instances']:,} test "
        f"instances, {table['cold']['instances']:,} of them with a cold target; {budget['trials']} trials and "
        f"{budget['minutes_per_model']:g} minutes a model, {budget['jobs']} at a time."
    )
    return "\n".join([" ".join([about, *left_out]), "", *lines, ""])


def _board_cells(row: Mapping[str, Any], metric: str) -> list[str]:
    figure, ties, cold = row["metrics"][metric], row["tie_range"], (row["cold"] or {}).get(metric)
    tested = figure.get("against")
    coverage = next(value for name, value in row.items() if name.startswith("coverage@"))
    return [
        row["model"],
        metric_text(figure["mean"]),
        f"{metric_text(figure['low'])}–{metric_text(figure['high'])}",
        "" if tested is None else _difference_text(tested),
        "" if ties is None else f"{metric_text(ties['low'][metric])}–{metric_text(ties['high'][metric])}",
        "" if cold is None else f"{metric_text(cold['mean'])} ({metric_text(cold['low'])}–{metric_text(cold['high'])})",
        percent_text(coverage),
        *(seconds_text(row[name]) for name in ("tuning_cpu_seconds", "cpu_seconds")),
        *(number_text(row[name]) for name in ("answer_cpu_ms", "peak_mb")),
    ]


def _difference_text(tested: Mapping[str, Any]) -> str:
    p = "p < .001" if tested["p_holm"] < 0.001 else f"p {tested['p_holm']:.3f}"
    return f"{tested['difference']:+.4f} ({tested['model']}, {p})"


def runs_block(name: str) -> str:
    """The figures of commands; of several seeds the mean, the lowest and the highest, of groups with intervals.

    Where differences were tested, they stand beside them.
    """
    stored = read(f"runs/{name}")
    metrics, rows = stored["metrics"], stored["rows"]
    differences = stored.get("differences", {}).get("rows", {})
    tested_metrics = [metric for metric in metrics if any(metric in found for found in differences.values())]
    head = [*metrics, *(f"{metric} from the best" for metric in tested_metrics)]
    lines = [
        f"| model | {' | '.join(head)} | command |",
        f"|---|{'---:|' * len(metrics)}{'---|' * len(tested_metrics)}---|",
    ]
    for row in rows:
        cells = [_figure_cell(metric, row["figures"].get(metric), of_group="group" in row) for metric in metrics]
        found = differences.get(row["name"], {})
        cells += [_difference_text(found[metric]) if metric in found else "" for metric in tested_metrics]
        lines.append(f"| {' | '.join([row['name'], *cells])} | `{row['command']}` |")
    protocols = {(row["experiment"]["protocol"]["name"], row["experiment"]["protocol"]["fingerprint"]) for row in rows}
    tested = not all(metric in SECONDS or metric.startswith(VALIDATION) for metric in metrics)
    counts = {(row["instances"], row.get("part", "test")) for row in rows} if tested else ()
    about = [f"{count:,} {part} instances" for count, part in sorted(counts)]
    about += [f"protocol {protocol} ({fingerprint})" for protocol, fingerprint in sorted(protocols)]
    about += [f"segue {version}" for version in sorted({row["version"] for row in rows})]
    about.append("one thread")
    if differences:
        about.append(f"p of paired t tests, corrected for {stored['differences']['comparisons']} comparisons")
    return "\n".join([*lines, "", f"{', '.join(about)}; `results/runs/{name}.json`.", ""])


def _figure_cell(metric: str, figure: Mapping[str, Any] | None, *, of_group: bool) -> str:
    if figure is None:
        return ""
    if metric in SECONDS:
        return seconds_text(figure["mean"])
    if of_group and "low" in figure:
        return f"{metric_text(figure['mean'])} ({metric_text(figure['low'])}–{metric_text(figure['high'])})"
    runs = figure.get("runs")
    seeds = f" ({metric_text(min(runs))}–{metric_text(max(runs))})" if runs else ""
    return f"{metric_text(figure['mean'])}{seeds}"


def stored_figure(name: str, method: str, metric: str, part: str | None = None) -> float:
    """The figure of a method in a file of `results`: of a paper's table, of a comparison, or of runs.

    Args:
        name: of the file, without its ending.
        method: or the model, or the name of the row.
        metric: such as recall@10, or `published recall@10`.
        part: the beginning of the title of the table's part, where the method is in several.

    Raises:
        LookupError: the file has no such figure, or several.
    """
    found = list(_figures(read(name), method, metric, part or ""))
    if len(found) != 1:
        raise LookupError(f"results/{name}.json has {len(found)} figures for {method}; {metric}; {part or 'any part'}")
    return float(found[0])


def _figures(stored: Mapping[str, Any], method: str, metric: str, part: str) -> Iterator[float]:
    key, metric = (
        ("published", metric.removeprefix(PUBLISHED)) if metric.startswith(PUBLISHED) else ("measured", metric)
    )
    for row in stored.get("rows", ()):
        if "figures" in row and row["name"] == method and metric in row["figures"]:
            yield row["figures"][metric]["mean"]
        elif (row.get("method"), row.get("metric")) == (method, metric) and row["part"].startswith(part):
            yield row[key]
    for model in stored.get("models", ()):
        if model["model"] == method and metric in model["metrics"]:
            yield model["metrics"][metric]["mean"]
