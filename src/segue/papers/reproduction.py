"""`Reproduction`: a published table and ours, side by side; for a terminal, for a page, for a program.

method     recall@10   lowest–highest   paper   of paper     ndcg@10   ...
Item-KNN       .0583                                           .0509          the paper leaves it out
HGN            .0476     .0474–.0478    .0426       1.12       .0414
notes: protocol, what validation chose, what differs from the paper
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segue.errors import DataError
from segue.reporting import charts as plots

if TYPE_CHECKING:
    from rich.console import Group

RATED = ("rmse", "mae", "auc")  # whose last digits tell methods apart


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method's figure of one metric.

    Attributes:
        method: as the paper calls it.
        metric: such as "recall@10".
        ours: one value a seed.
        paper: the printed figure; None where the paper leaves the method out.
        tolerance: how far behind the printed figure ours may lie, relative to it, and still agree.
        lower: whether less is better, as it is with seconds.
        stars: of a test that this figure differs from the best baseline's; the paper's convention.
        elsewhere: what the paper prints for other logs, by column: for orientation.
        part: of a table that is shown in several, such as one a log; empty where it is whole.
    """

    method: str
    metric: str
    ours: tuple[float, ...]
    paper: float | None = None
    tolerance: float = 0.05
    lower: bool = False
    stars: str = ""
    elsewhere: Mapping[str, float] = field(default_factory=dict)
    part: str = ""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return sum(self.ours) / len(self.ours)

    @property
    def verdict(self) -> str:
        """Whether the printed figure is reached: "better", "agrees" or "worse"."""
        if self.paper is None:
            return "no figure"
        lead = self.mean / self.paper - 1
        lead = -lead if self.lower else lead
        return "better" if lead >= self.tolerance else "agrees" if lead >= -self.tolerance else "worse"

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
            "stars": self.stars,
            "elsewhere": dict(self.elsewhere),
            "part": self.part,
        }


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart of rows, by the names of `segue.reporting.charts`."""

    name: str
    kind: Literal["line", "bar", "scatter", "heat"]
    rows: tuple[Mapping[str, Any], ...]
    encoding: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "rows": [dict(row) for row in self.rows],
            "encoding": dict(self.encoding),
        }

    def chart(self) -> Any:
        """The chart."""
        draws: dict[str, Callable[..., Any]] = {
            "line": plots.line_chart,
            "bar": plots.bar_chart,
            "scatter": plots.scatter_chart,
            "heat": plots.heat_chart,
        }
        return draws[self.kind](self.rows, **self.encoding)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A table of a paper, recomputed.

    Attributes:
        title: which table of which paper.
        rows: the figures.
        notes: what a reader has to know: protocol, choices on validation, departures.
        pictures: charts of the same figures.
        details: everything else worth keeping, as plain values.
    """

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def row(self, method: str, metric: str, part: str = "") -> Row:
        """The figure of one method."""
        for row in self.rows:
            if (row.method, row.metric, row.part) == (method, metric, part):
                return row
        raise DataError(f"{self.title} has no {metric} of {method}{f' in {part}' if part else ''}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "title": self.title,
            "rows": [row.as_dict() for row in self.rows],
            "notes": list(self.notes),
            "pictures": [picture.as_dict() for picture in self.pictures],
            **self.details,
        }

    def table(self) -> Group:
        """For people at a terminal."""
        from rich import box, get_console
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        style: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}
        tables: list[Text | Table] = [Text(self.title, style="italic")]
        for part, cells in parts(self.as_dict()):
            if part:
                tables.append(Text(f"\n{part}", style="bold"))
            for columns in _pages(_narrow(cells), get_console().width):
                table = Table(**style)
                for place, (name, *_) in enumerate(columns):
                    table.add_column(name, justify="right" if place else "left", no_wrap=True)
                for line in zip(*(column[1:] for column in columns), strict=True):
                    table.add_row(*map(Text, line))
                tables.append(table)
        return Group(*tables, *(Text(f"* {note}", style="dim") for note in self.notes))

    def write(self, folder: Path, name: str) -> list[Path]:
        """The pictures as SVG, and one HTML page of all, in `folder`.

        Raises:
            ConfigError: the extra `viz` is not installed.
            DataError: the folder cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: no such folder can be made: {error.strerror or error}") from error
        charts = [picture.chart() for picture in self.pictures]
        made = [plots.write(c, folder / f"{p.name}.svg") for p, c in zip(self.pictures, charts, strict=True)]
        sections: list[tuple[str, Sequence[Any]]] = [("Pictures", charts)] if charts else []
        for part, (head, *body) in parts(self.as_dict()):
            sections.append((part or "Figures", [[dict(zip(head, cells, strict=True)) for cells in body]]))
        sections.append(("Notes", self.notes))
        return [*made, plots.page(self.title, sections, folder / f"{name}.html")]


def parts(facts: Mapping[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """The tables of `Reproduction.as_dict()` with their names, each as text: see `grid`."""
    names = dict.fromkeys(row.get("part", "") for row in facts["rows"])
    return [(name, grid(facts, name)) for name in names]


def grid(facts: Mapping[str, Any], part: str = "") -> list[list[str]]:
    """One table of `Reproduction.as_dict()` as text, its head first: a line a method, some columns a metric.

    Columns of nothing are left out: the spread of a single seed, the paper's figures where it has none.
    """
    rows = [row for row in facts["rows"] if row.get("part", "") == part]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    found = {(row["method"], row["metric"]): row for row in rows}
    columns = [["method", *methods]]
    for metric in metrics:
        columns += _columns(metric, [found.get((method, metric)) for method in methods])
    for name in dict.fromkeys(name for row in rows for name in row["elsewhere"]):
        printed = {row["method"]: row["elsewhere"][name] for row in rows if name in row["elsewhere"]}
        columns.append([name, *(_short(printed.get(method), name) for method in methods)])
    if spent := facts.get("cpu_seconds"):
        columns.append(["train CPU s", *(f"{spent[method]:,.0f}" if method in spent else "" for method in methods)])
    return [list(cells) for cells in zip(*columns, strict=True)]


def markdown(facts: Mapping[str, Any]) -> str:
    """The same tables for a page."""
    return "\n".join(f"**{name}**\n\n{piped(cells)}" if name else piped(cells) for name, cells in parts(facts))


def piped(rows: Sequence[Sequence[str]]) -> str:
    """A grid, its head first, as a table of a page."""
    head, *body = ([cell.replace("|", "\\|") for cell in cells] for cells in rows)
    ruler = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |".replace("  ", " ") for cells in (head, ruler, *body)) + "\n"


def _columns(metric: str, rows: Sequence[Mapping[str, Any] | None]) -> list[list[str]]:
    """Ours, its spread over seeds, the paper's, and ours over the paper's."""
    ours, spread, paper, ratio = [metric], [f"{metric} seeds"], [f"{metric} paper"], [f"{metric} ratio"]
    for row in rows:
        mean, printed = (None, None) if row is None else (row["ours"], row["paper"])
        several = row is not None and len(row["seeds"]) > 1
        ours.append(_short(mean, metric) + ("" if row is None else f" {row['stars']}".rstrip()))
        spread.append("–".join(_short(end(row["seeds"]), metric) for end in (min, max)) if row and several else "")
        paper.append(_short(printed, metric))
        ratio.append(f"{mean / printed:.2f}" if mean is not None and printed else "")
    return [column for column in (ours, spread, paper, ratio) if any(column[1:])]


def _narrow(rows: list[list[str]]) -> list[list[str]]:
    """The columns of a grid for a terminal: the seeds go below their mean, and names are not repeated."""
    columns: list[list[str]] = []
    metric = ""
    for name, *cells in zip(*rows, strict=True):
        if name == f"{metric} seeds":
            columns[-1][1:] = [f"{mean}\n{seeds}".rstrip() for mean, seeds in zip(columns[-1][1:], cells, strict=True)]
            continue
        if not name.startswith(f"{metric} "):
            metric = name
        short = name.removeprefix(f"{metric} ")
        columns.append([short.replace(" ", "\n").replace("@", "\n@"), *cells])
    return columns


def _pages(columns: list[list[str]], width: int) -> list[list[list[str]]]:
    """The columns in tables that are no wider than a terminal, the methods in each of them."""
    first, *others = columns
    pages: list[list[list[str]]] = [[first]]
    for column in others:
        if len(pages[-1]) > 1 and _wide([*pages[-1], column]) > width:
            pages.append([first])
        pages[-1].append(column)
    return pages


def _wide(columns: list[list[str]]) -> int:
    """How many characters a table takes, with two between its columns."""
    return sum(2 + max(len(line) for cell in column for line in cell.split("\n")) for column in columns)


def _short(value: float | None, metric: str) -> str:
    """.0476 for shares, 1.0625 for errors, 12.34 for seconds, 38,724 for counts."""
    if value is None:
        return ""
    if "@" in metric:
        return f"{value:.4f}".removeprefix("0")
    if metric.startswith(RATED):
        return f"{value:.4f}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
