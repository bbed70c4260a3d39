"""`Reproduction`: a published table and ours, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segue.errors import DataError

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method's figure of one metric.

    Attributes:
        method: as the paper calls it.
        metric: such as "recall@10".
        ours: one value a seed.
        paper: the printed figure; None where the paper leaves the method out.
        tolerance: how far below the printed figure ours may lie, relative to it, and still agree.
    """

    method: str
    metric: str
    ours: tuple[float, ...]
    paper: float | None = None
    tolerance: float = 0.05

    @property
    def mean(self) -> float:
        """Over seeds."""
        return sum(self.ours) / len(self.ours)

    @property
    def verdict(self) -> str:
        """Whether the printed figure is reached."""
        if self.paper is None:
            return "no figure"
        if self.mean >= self.paper * (1 + self.tolerance):
            return "above"
        return "agrees" if self.mean >= self.paper * (1 - self.tolerance) else "below"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "method": self.method,
            "metric": self.metric,
            "ours": self.mean,
            "seeds": list(self.ours),
            "paper": self.paper,
            "tolerance": self.tolerance,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A table of a paper, recomputed.

    Attributes:
        title: which table of which paper.
        rows: the figures.
        notes: what a reader has to know: protocol, choices on validation, departures.
        details: everything else worth keeping, as plain values.
    """

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def row(self, method: str, metric: str) -> Row:
        """The figure of one method."""
        for row in self.rows:
            if (row.method, row.metric) == (method, metric):
                return row
        raise DataError(f"{self.title} has no {metric} of {method}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "title": self.title,
            "rows": [row.as_dict() for row in self.rows],
            "notes": list(self.notes),
            **self.details,
        }

    def table(self) -> Group:
        """For people."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("method", "metric"):
            table.add_column(name, no_wrap=True)
        for name in ("ours", "lowest", "highest", "paper", "ratio"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for row in self.rows:
            printed = ["-", "-"] if row.paper is None else [f"{row.paper:.4f}", f"{row.mean / row.paper:.2f}"]
            ours = [f"{value:.4f}" for value in (row.mean, min(row.ours), max(row.ours))]
            table.add_row(row.method, row.metric, *ours, *printed, row.verdict)
        return Group(table, *(Text(f"* {note}", style="dim") for note in self.notes))
