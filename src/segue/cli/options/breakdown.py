"""`BreakdownOptions`: the metrics of the table by groups of test instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from segue.cli.help import OUTPUT_GROUP
from segue.cli.output import grid
from segue.errors import ConfigError
from segue.reporting.console import say
from segue.reporting.numbers import metric_text

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.data.splits import Split
    from segue.evaluation.breakdown import By
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.result import Result
    from segue.reporting.tables import FittedTable

# the groupings, and the heading of each one's column
HEADINGS = {
    "length": "rows",
    "history": "rows before",
    "leak": "test users",
    "popularity": "training events",
    "step": "steps ahead",
}


@Parameter(name="*", group=OUTPUT_GROUP)
@dataclass(frozen=True, kw_only=True)
class BreakdownOptions:
    """Whether the metrics are also shown by groups.

    Attributes:
        by: Show the metrics by groups as well: length (rows of the user), history (rows before the test instance), leak
            (whether the user's test data shares an event with training), popularity (training events of the target,
            for protocols with one target at a time) or step (each of the next items; needs --horizon).
        picture: Draw the groups of --by to this file: .svg, .png or .html. Needs the extra viz.
    """

    by: str | None = None
    picture: Path | None = None

    def check(self, protocol: Protocol | None = None) -> None:
        """Find wrong options early, as far as the protocol is known.

        Raises:
            ConfigError: an unknown grouping, or one that the protocol does not have; a picture of no groups or with
                another ending; or charts cannot be drawn here.
        """
        from segue.evaluation.ranking_protocol import RankingProtocol
        from segue.reporting.chart_files import check_chart_file

        by = self.by
        if by is not None and by not in HEADINGS:
            raise ConfigError(f"--by {by}: must be one of {', '.join(HEADINGS)}")
        if by is not None and protocol is not None:
            message = f"--by {by}: needs a protocol that ranks items; {protocol.name} predicts ratings"
            if RankingProtocol.expect(protocol, message).horizon == 1 and by == "step":
                raise ConfigError("--by step: needs several targets at each step; give their number with --horizon")
        if self.picture is not None and by is None:
            raise ConfigError(f"--picture {self.picture}: shows the groups of --by; give --by too")
        if self.picture is not None:
            check_chart_file(self.picture)

    def check_log(self, log: Log) -> None:
        """Find what the log does not have, before anything is trained.

        Raises:
            ConfigError: a grouping by times of a log without times.
        """
        if self.by == "leak" and log.time is None:
            raise ConfigError(f"--by leak: compares the times of events, and {log.name} has none; leave it out")

    def tables(
        self, results: Sequence[Result], metrics: Sequence[str], split: Split, *, refit: bool
    ) -> tuple[list[FittedTable], dict[str, Any]]:
        """The table of the groups and their rows for JSON, both empty without --by."""
        from segue.evaluation.breakdown import breakdown

        if self.by is None:
            return [], {}
        by: By = self.by  # type: ignore[assignment]
        rows = breakdown(results, metrics, split, by=by, refit=refit)
        title = f"By {by}; 95% intervals over users"
        if any(row["metric"].startswith("ndcg") for row in rows):
            title += "; NDCG is in the file of --json"
        return [grid(_wide(rows, HEADINGS[by]), title, keys=3)], {f"by {by}": rows}

    def draw(self, facts: Mapping[str, Any]) -> None:
        """Draw the picture, if there is one, when all else is printed and saved.

        Args:
            facts: what `tables` returned for JSON, possibly among other values.

        Raises:
            DataError: it cannot be drawn or written.
        """
        if self.by is not None and self.picture is not None:
            say(f"written: {draw_groups(facts[f'by {self.by}'], HEADINGS[self.by], self.picture)}")


BREAKDOWN_DEFAULTS = BreakdownOptions()


def _wide(rows: Sequence[dict[str, Any]], heading: str) -> list[dict[str, Any]]:
    """One row for each group and model, one column for each metric; NDCG is only in the JSON, to save width."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["metric"].startswith("ndcg"):
            continue
        first = {heading: row["group"], "instances": row["instances"], "model": row["model"]}
        line = lines.setdefault((row["group"], row["model"]), first)
        mean, low, high = (metric_text(row[name]) for name in ("mean", "low", "high"))
        line[row["metric"]] = f"{mean}\n{low}–{high}"
    return list(lines.values())


def draw_groups(rows: Sequence[dict[str, Any]], heading: str, picture: Path) -> Path:
    """Draw the first metric: lines with bands for the intervals, or bars where the groups are no numbers."""
    from segue.reporting import chart_files, charts

    metric = rows[0]["metric"]
    shown = [
        {**row, heading: row["at"] or row["group"], metric: row["mean"]} for row in rows if row["metric"] == metric
    ]
    if rows[0]["at"] is None:
        chart = charts.bar_chart(shown, x=metric, y=heading, by="model", between=("low", "high"))
    else:
        chart = charts.line_chart(shown, x=heading, y=metric, by="model", between=("low", "high"))
    return chart_files.save_chart(chart, picture)
