"""What commands print and write at the end: tables and JSON.

answers (tables, recommendations)     stdout
files that were written, next step    stderr
everything in full precision          the file of --json
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue import io
from segue.cli.help import OUTPUT_GROUP
from segue.errors import ConfigError, DataError
from segue.reporting.console import printable, say, stdout

if TYPE_CHECKING:
    from segue.evaluation.result import Result
    from segue.reporting.tables import FittedTable

JsonFile = Annotated[
    Path | None,
    Parameter(name="--json", group=OUTPUT_GROUP, help="Write the results in full precision to this JSON file."),
]


@Parameter(name="*", group=OUTPUT_GROUP)
@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results are written.

    Attributes:
        out: Folder that the result is saved to, in place of the default one.
    """

    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None
    json: JsonFile = None


OUTPUT_DEFAULTS = OutputOptions()


@Parameter(name="*", group=OUTPUT_GROUP)
@dataclass(frozen=True, kw_only=True)
class ExperimentOutputOptions(OutputOptions):
    """Where the result of one model is written, and what stands beside it.

    Attributes:
        baselines: Show simple baselines beside the model: popularity, item-KNN, sequential item-KNN; where they take
            seconds, ease (up to 5,000 items) and vs-knn (up to 100,000 events); the user's own popularity (s-pop) where
            users return to items; for ratings means and biases.
    """

    baselines: bool = True


EXPERIMENT_OUTPUT_DEFAULTS = ExperimentOutputOptions()

EstimateOption = Annotated[
    bool,
    Parameter(
        negative=(),
        help="Train nothing to the end: do some seconds of the work, and show how much time and memory all of it will "
        "take. Nothing is saved.",
    ),
]


@Parameter(name="*", group=OUTPUT_GROUP)
@dataclass(frozen=True, kw_only=True)
class RunOutputOptions(ExperimentOutputOptions):
    """Where the result of a run is written, or whether only its cost is estimated."""

    estimate: EstimateOption = False


RUN_OUTPUT_DEFAULTS = RunOutputOptions()


@Parameter(name="*", group=OUTPUT_GROUP)
@dataclass(frozen=True, kw_only=True)
class FitOutputOptions(OutputOptions):
    """Where a fitted model is written, or whether only the cost of the fit is estimated."""

    estimate: EstimateOption = False


FIT_OUTPUT_DEFAULTS = FitOutputOptions()


def show(*things: Any) -> None:
    """Print answers on stdout."""
    from rich.text import Text

    from segue.reporting.tables import FittedTable

    for place, thing in enumerate(things):
        if place and isinstance(thing, FittedTable) and thing.title:
            stdout().print()
        if isinstance(thing, Text):
            thing.plain = printable(thing.plain)
        stdout().print(thing)


def finish(
    results: Sequence[Result],
    metrics: Sequence[str] | None = None,
    *,
    before: Iterable[Any] = (),
    after: Iterable[Any] = (),
    facts: dict[str, Any] | None = None,
    json: Path | None = None,
) -> dict[str, Any]:
    """Show the table of results and write them as JSON.

    Args:
        results: one for each model.
        metrics: the columns; by default those of the task.
        before: what is shown above the table.
        after: what is shown below it.
        facts: what the JSON holds besides the results.
        json: the JSON file; None for no file.

    Returns:
        What the JSON holds.
    """
    from segue.evaluation.summary import summary
    from segue.evaluation.table import table

    show(*before, table(results, metrics), *after)
    content = {**summary(results, metrics), **(facts or {})}
    write_json_output(json, content)
    return content


def charts_in(report: str) -> bool:
    """Whether the charts of a report can be drawn; if not, say so before the work begins."""
    from segue.reporting.charts import import_altair

    try:
        import_altair()
    except ConfigError as error:
        say(f"{report} will have no charts: {error}")
        return False
    return True


def write_json_output(path: Path | None, content: Any) -> None:
    """Write `content` to the file of --json, completely or not at all; None: nowhere."""
    if path is None:
        return
    try:
        io.write_json(path, content)
    except OSError as error:
        raise DataError(f"--json {path}: cannot be written: {io.reason(error)}") from error


def grid(rows: list[dict[str, Any]], title: str, *, keys: int = 1) -> FittedTable:
    """Rows as a table for a terminal; columns without any value are left out.

    Args:
        rows: dicts with the same columns.
        title: shown above the table.
        keys: number of first columns that name the row.
    """
    from segue.reporting.numbers import cell_text, cut_off
    from segue.reporting.tables import Column, FittedTable

    names = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    cells = [[cell_text(name, row[name]) for name in names] for row in rows]
    columns = []
    for place, name in enumerate(names):
        is_number = all(isinstance(row[name], (int, float)) or row[name] is None for row in rows)
        wraps = place >= keys and not is_number
        lower = is_number and len(name) > max(len(row[place]) for row in cells)  # a heading wider than its numbers
        heading = name.replace(" ", "\n") if lower else name
        columns.append(Column(name=heading, right=is_number, wraps=wraps, group=cut_off(name)))
    return FittedTable(columns, cells, title=title, keys=keys)
