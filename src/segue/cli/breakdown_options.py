"""`--by` and `--picture`: the same ranks in groups, below the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.options import grid, show
from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.splits import Split
    from segue.evaluation.breakdown import By
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import Result

ByOption = Annotated[
    str | None,
    Parameter(
        name="--by",
        help=(
            "Show the figures in groups too: by length (rows of the user), history (rows before the question), leak "
            "(whether the user's test shares an event with training), step (each of the next items; needs --ahead)."
        ),
    ),
]
Picture = Annotated[
    Path | None, Parameter(help="Draw the groups of --by to this file: .svg, .png or .html; needs the extra viz.")
]
HEADS = {"length": "rows", "history": "rows before", "leak": "test users", "step": "steps ahead"}


def check(by: str | None, picture: Path | None, protocol: Protocol | None = None) -> None:
    """Say at once what cannot be, by `protocol` where it is known already."""
    from segue.evaluation.protocol import RatingProtocol

    if by is not None and by not in HEADS:
        raise ConfigError(f"--by {by}: must be one of {', '.join(HEADS)}")
    if by is not None and isinstance(protocol, RatingProtocol):
        raise ConfigError(f"--by {by}: groups are of questions that rank items; {protocol.name} predicts ratings")
    if by == "step" and protocol is not None and protocol.ahead == 1:
        raise ConfigError("--by step: is of several items asked for at each step; say how many with --ahead")
    if picture is not None and by is None:
        raise ConfigError(f"--picture {picture}: is of groups; say which with --by")


def broken_down(
    results: Sequence[Result], metrics: Sequence[str], split: Split, *, by: str, refit: bool, picture: Path | None
) -> list[dict[str, Any]]:
    """Show the groups and draw them; their rows."""
    from segue.evaluation.breakdown import breakdown

    kind: By = by  # type: ignore[assignment]
    rows = breakdown(results, metrics, split, by=kind, refit=refit)
    show(grid(_wide(rows, HEADS[by]), f"By {by}; 95% intervals over users"))
    if picture is not None:
        say(f"written: {draw(rows, HEADS[by], picture)}")
    return rows


def _wide(rows: Sequence[dict[str, Any]], head: str) -> list[dict[str, Any]]:
    """One row a group and model, one column a metric; NDCG is left to the JSON, as a terminal is narrow."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["metric"].startswith("ndcg"):
            continue
        first = {head: row["group"], "questions": row["questions"], "model": row["model"]}
        line = lines.setdefault((row["group"], row["model"]), first)
        ends = f"{row['low']:.4f}–{row['high']:.4f}".replace("0.", ".")
        line[row["metric"]] = f"{row['mean']:.4f}\n".removeprefix("0") + ends
    return list(lines.values())


def draw(rows: Sequence[dict[str, Any]], head: str, picture: Path) -> Path:
    """The first metric, a line a model with a band for its interval; bars where groups have no number."""
    from segue.reporting import charts as plots

    metric = rows[0]["metric"]
    shown = [{**row, head: row["at"] or row["group"], metric: row["mean"]} for row in rows if row["metric"] == metric]
    if rows[0]["at"] is None:
        chart = plots.bar_chart(shown, x=metric, y=head, by="model", between=("low", "high"))
    else:
        chart = plots.line_chart(shown, x=head, y=metric, by="model", between=("low", "high"))
    return plots.write(chart, picture)
