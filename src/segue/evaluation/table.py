"""`table`: models side by side, with intervals, tests, and how the figures were computed.

                                                      CPU s
                                         coverage@10  train  peak
    model     recall@10    ndcg@10        popularity   test    MB
    pop       .0065 ***    .0058 ***             .1%   <0.1   291    mean, and whether it differs from the best
              .0060–.0071  .0052–.0064           .99    1.0          95% interval
    hgn       .0458        .0394               31.2%    102   602
              .0438–.0479  .0376–.0412           .71    1.4
    protocol ... · left out ... · what the stars mean

A table only holds results of the same evaluation instances: same log, same protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from segue.data.diagnostics.target_times import SOME_TIED
from segue.evaluation.result import Result
from segue.evaluation.significance import Test
from segue.evaluation.summary import summary
from segue.reporting.numbers import cut_off, metric_text, number_text, percent_text, seconds_text
from segue.reporting.tables import Column, FittedTable

TIES_MATTER = 0.01  # relative change of a figure under the other tie rule, above which the table mentions it


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
    columns += [Column(name=name, right=True, group="cost") for name in ("CPU s\ntrain\ntest", "peak\nMB")]
    rows: list[list[Text | str]] = []
    for row in facts["models"]:
        cells = [_cell_text(row["metrics"][metric]) for metric in metrics]
        lists = [_list_text(row[coverage], row[coverage.replace("coverage", "popularity")])] if coverage else []
        rows.append([row["model"], *cells, *lists, _time_text(row), number_text(row["peak_mb"])])
    return FittedTable(columns, rows, title=_title(facts), notes=_footnotes(facts))


def _coverage_column(facts: dict[str, Any]) -> str | None:
    return next((key for key in facts["models"][0] if key.startswith("coverage@")), None)


def _list_text(coverage: float, popularity: float | None) -> Text:
    text = Text(percent_text(coverage))
    return text if popularity is None else text.append(f"\n{_percentile(popularity)}", "dim")


def _time_text(row: dict[str, Any]) -> Text:
    """The processor time of the training above that of the test."""
    return Text(seconds_text(row["cpu_seconds"])).append(f"\n{seconds_text(row['test_cpu_seconds'])}", "dim")


def _percentile(share: float) -> str:
    """.67, 1.00"""
    return f"{share:.2f}".removeprefix("0")


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
        "the trainings; ± is the standard deviation between them; the seconds are their means."
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
    if tied is None or tied <= SOME_TIED:
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
        + (" One user alone was tested, so the intervals say nothing." if facts["users"] == 1 else "")
        + (popularity if _coverage_column(facts) else ""),
        "CPU s: of the training steps, below it of the test; peak MB: of the process while this model was trained and "
        "tested, with what ran before it.",
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
