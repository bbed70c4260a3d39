"""`Reproduction`: a published table and the measured figures side by side, for a terminal, a page or a program.

method     recall@10   recall@10 seeds   recall@10 published   recall@10 ratio   ndcg@10   ...
Item-KNN       .0583                                                               .0509
HGN            .0476       .0474–.0478                 .0426              1.12     .0414
notes: the protocol, what validation chose, what differs from the paper
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segue.errors import DataError
from segue.io import reason
from segue.papers.verdict import SAID, Interval, verdicts
from segue.reporting import charts as plots
from segue.reporting.chart_files import save_charts
from segue.reporting.html import write_page
from segue.reporting.numbers import metric_text

if TYPE_CHECKING:
    from rich.console import Group

FOUR_DECIMALS = ("rmse", "mae", "auc")  # methods differ in the last digits
CPU_SECONDS = "train CPU s"  # the column, or the metric of a row, with the CPU seconds of a training
# details of a result file that hold a figure of each method, and their columns, or the metrics of their rows
COSTS = {"cpu_seconds": CPU_SECONDS, "test_cpu_seconds": "test CPU s", "peak_mb": "peak MB"}

DEPARTURE_COLUMNS = {
    "methods": "method",
    "parts": "log",
    "departs": "departs from the paper in",
    "open": "the paper leaves open",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """The figure of one method and one metric.

    Attributes:
        method: as the paper calls it.
        metric: such as "recall@10".
        measured: one value per seed.
        error: the standard error of the mean over users; None if it is unknown, or for what is no mean over users.
        interval: of one more training, see `segue.papers.verdict`; None if one seed was trained, or for what is no mean
            over users.
        published: the figure in the paper; None if the paper does not report the method.
        stars: significance marks of a test against the best baseline, as papers print them.
        other_logs: figures that the paper reports for other logs, by column.
        part: the title of the sub-table, such as the name of a log; empty if there is only one table.
    """

    method: str
    metric: str
    measured: tuple[float, ...]
    error: float | None = None
    interval: Interval | None = None
    published: float | None = None
    stars: str = ""
    other_logs: Mapping[str, float] = field(default_factory=dict)
    part: str = ""

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return sum(self.measured) / len(self.measured)

    @classmethod
    def counted(cls, method: str, metric: str, number: float, **more: Any) -> Row:
        """The row of a number that is counted, so that nothing is left to chance."""
        value = float(number)
        return cls(method=method, metric=metric, measured=(value,), error=0.0, interval=(value, value), **more)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "method": self.method,
            "metric": self.metric,
            "measured": self.mean,
            "seeds": list(self.measured),
            "error": self.error,
            "interval": None if self.interval is None else list(self.interval),
            "published": self.published,
            "stars": self.stars,
            "other_logs": dict(self.other_logs),
            "part": self.part,
        }


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart: its kind, its rows, and the arguments of the function in `segue.reporting.charts` that draws it."""

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
        """The chart, drawn by `segue.reporting.charts`."""
        draws: dict[str, Callable[..., Any]] = {
            "line": plots.line_chart,
            "bar": plots.bar_chart,
            "scatter": plots.scatter_chart,
            "heat": plots.heatmap_chart,
        }
        return draws[self.kind](self.rows, **self.encoding)


Draw = Callable[[Sequence[Row]], tuple[Picture, ...]]


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A table or figure of a paper, recomputed.

    Attributes:
        title: names the table and the paper.
        rows: the figures.
        notes: explanations for the reader: protocol, choices on validation, differences from the paper.
        departures: what departs from the paper, with the keys of `DEPARTURE_COLUMNS`; see `segue.papers.departures`.
        pictures: charts of the same figures.
        draw: makes them from the rows of a file that grows; None for a table that does not grow.
        details: further plain values for the result file.
    """

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    departures: tuple[Mapping[str, str], ...] = ()
    pictures: tuple[Picture, ...] = ()
    draw: Draw | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def row(self, method: str, metric: str, part: str = "") -> Row:
        """The row of one method and metric."""
        for row in self.rows:
            if (row.method, row.metric, row.part) == (method, metric, part):
                return row
        raise DataError(f"{self.title} has no {metric} of {method}{f' in {part}' if part else ''}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        rows = [row.as_dict() for row in self.rows]
        return {
            "title": self.title,
            "rows": [{**row, "verdict": word} for row, word in zip(rows, verdicts(rows), strict=True)],
            "notes": list(self.notes),
            **({"departures": [dict(entry) for entry in self.departures]} if self.departures else {}),
            "pictures": [picture.as_dict() for picture in self.pictures],
            **self.details,
        }

    def table(self) -> Group:
        """The tables and notes for a terminal."""
        from rich.console import Group
        from rich.text import Text

        from segue.reporting.tables import Column, FittedTable

        tables: list[Text | FittedTable] = [Text(self.title, style="italic")]
        for part, cells in part_tables(self.as_dict()):
            narrow = _narrow_columns(cells)
            columns = [Column(name=name, right=i > 0, group=metric) for i, (metric, name, *_) in enumerate(narrow)]
            rows = list(zip(*(column[2:] for column in narrow), strict=True))
            tables.append(FittedTable(columns, rows, title=f"\n{part}" if part else ""))
        notes = [*self.notes, *(_departure_note(entry) for entry in self.departures)]
        return Group(*tables, *(Text(f"* {note}", style="dim") for note in notes))

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write the pictures as SVG, and an HTML page with everything, to `folder`; returns the paths.

        Raises:
            ConfigError: the extra `viz` is not installed.
            DataError: the folder cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: no such folder can be made: {reason(error)}") from error
        charts = {folder / f"{picture.name}.svg": picture.chart() for picture in self.pictures}
        save_charts(charts)
        sections: list[tuple[str, Sequence[Any]]] = [("Pictures", list(charts.values()))] if charts else []
        for part, (head, *body) in part_tables(self.as_dict()):
            sections.append((part or "Figures", [[dict(zip(head, cells, strict=True)) for cells in body]]))
        sections.append(("Notes", [*self.notes, *(_departure_note(entry) for entry in self.departures)]))
        return [*charts, write_page(self.title, sections, folder / f"{name}.html")]


def _departure_note(entry: Mapping[str, str]) -> str:
    """An entry of `Reproduction.departures` as a sentence."""
    who = f"{entry['methods']} ({entry['parts']})"
    return f"{who} departs from the paper in {entry['departs']}. The paper leaves open {entry['open']}."


def part_tables(result: Mapping[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """The title and the text cells of each part of `Reproduction.as_dict()`; see `text_table`."""
    titles = dict.fromkeys(row.get("part", "") for row in result["rows"])
    return [(title, text_table(result, title)) for title in titles]


def text_table(result: Mapping[str, Any], part: str = "") -> list[list[str]]:
    """One part of `Reproduction.as_dict()` as text cells: a header row, then a row per method.

    Each metric has up to four columns: the measured mean, the range over seeds, the published figure, their ratio.
    Empty columns are left out.
    """
    rows = [row for row in result["rows"] if row.get("part", "") == part]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    by_key = {(row["method"], row["metric"]): row for row in rows}
    columns = [["method", *methods]]
    for metric in metrics:
        columns += _columns(metric, [by_key.get((method, metric)) for method in methods])
    for name in dict.fromkeys(name for row in rows for name in row["other_logs"]):
        figures = {row["method"]: row["other_logs"][name] for row in rows if name in row["other_logs"]}
        columns.append([name, *(format_figure(figures.get(method), name) for method in methods)])
    for key, name in COSTS.items():
        if costs := result.get(key):
            columns.append([name, *(f"{costs[method]:,.0f}" if method in costs else "" for method in methods)])
    return [list(cells) for cells in zip(*columns, strict=True)]


def to_markdown(result: Mapping[str, Any]) -> str:
    """The tables of `Reproduction.as_dict()` as Markdown."""
    return "\n".join(
        f"**{title}**\n\n{markdown_table(cells)}" if title else markdown_table(cells)
        for title, cells in part_tables(result)
    )


def markdown_table(rows: Sequence[Sequence[str]], *, figures: bool = True) -> str:
    """Text cells, a header row first, as a Markdown table; columns of figures are aligned on the right."""
    head, *body = ([cell.replace("|", "\\|") for cell in cells] for cells in rows)
    ruler = ["---", *("---:" if figures else "---" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |".replace("  ", " ") for cells in (head, ruler, *body)) + "\n"


def departure_table(result: Mapping[str, Any]) -> list[list[str]]:
    """The departures of `Reproduction.as_dict()` as text cells, a header row first; empty if it has none."""
    entries = result.get("departures", ())
    columns = DEPARTURE_COLUMNS
    return [[*columns.values()], *([entry[key] for key in columns] for entry in entries)] if entries else []


def _columns(metric: str, rows: Sequence[Mapping[str, Any] | None]) -> list[list[str]]:
    """The measured means, their range over seeds, the published figures and the ratio; without empty columns.

    Beside the ratio stands the word of an interval, if there is one. Uplifts and their intervals, which may be near
    zero, have no ratio.
    """
    means, ranges, published, ratios = [metric], [f"{metric} seeds"], [f"{metric} published"], [f"{metric} ratio"]
    for row in rows:
        mean, figure = (None, None) if row is None else (row["measured"], row["published"])
        seeds = [] if row is None else row["seeds"]
        means.append(format_figure(mean, metric) + ("" if row is None else f" {row['stars']}".rstrip()))
        ends = (min(seeds), max(seeds)) if len(seeds) > 1 else ()
        ranges.append("–".join(format_figure(end, metric) for end in ends))
        published.append(format_figure(figure, metric))
        ratio = f"{mean / figure:.2f}" if mean is not None and figure and "uplift" not in metric else ""
        word = "" if row is None or figure is None or row["verdict"] not in SAID else row["verdict"]
        ratios.append(f"{ratio} {word}".strip())
    return [column for column in (means, ranges, published, ratios) if any(column[1:])]


def _narrow_columns(rows: list[list[str]]) -> list[list[str]]:
    """Columns for a terminal, each with its metric first, then its heading and cells: the range over seeds is put below
    the mean, and the metric is not repeated in headings."""
    columns: list[list[str]] = []
    metric = ""
    for name, *cells in zip(*rows, strict=True):
        if name == f"{metric} seeds":
            columns[-1][2:] = [f"{mean}\n{seeds}".rstrip() for mean, seeds in zip(columns[-1][2:], cells, strict=True)]
            continue
        if not name.startswith(f"{metric} "):
            metric = name
        short = name.removeprefix(f"{metric} ")
        columns.append([metric, short.replace(" ", "\n").replace("@", "\n@"), *cells])
    return columns


def format_figure(value: float | None, metric: str) -> str:
    """.0476 for ranking metrics, 1.0625 for errors, 12.34 for seconds, 38,724 for counts."""
    if value is None:
        return ""
    if "@" in metric:
        return metric_text(value)
    if metric.startswith(FOUR_DECIMALS):
        return f"{value:.4f}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
