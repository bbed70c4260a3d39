"""`Heatmap` and `CardRow`: a table, or cards side by side, whose numbers are coloured by their size, as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from segue.reporting.charts import MAX_OPACITY

POSITIVE, NEGATIVE = "213, 94, 0", "0, 114, 178"  # distinguishable with most colour vision deficiencies


class HeatmapCell(NamedTuple):
    """A cell: the number that decides its colour (None: no colour), and its text."""

    value: float | None
    text: str


def format_gate(value: float | None) -> str:
    """The value of a gate or attention as text; – for None."""
    return "–" if value is None else f"{value:.3f}"


def decimals_of(values: Iterable[float]) -> int:
    """The number of decimals with which the largest of some values has four digits; 0 if all are whole numbers.

    >>> decimals_of([0.5, -12.25]), decimals_of([3e-05]), decimals_of([501.0, 0.0])
    (2, 8, 0)
    """
    sizes = [abs(value) for value in values if math.isfinite(value)]
    if all(size.is_integer() for size in sizes):
        return 0
    return max(0, 3 - math.floor(math.log10(max(sizes))))


def format_score(value: float, decimals: int) -> str:
    """A score as text, without a minus sign before zero."""
    return f"{value:z.{decimals}f}"


def format_contribution(value: float | None, decimals: int) -> str:
    """A contribution as text, with its sign; 0 if it rounds to zero, – for None."""
    if value is None:
        return "–"
    text = f"{value:+.{decimals}f}"
    return text if float(text) else "0"


@dataclass(frozen=True)
class Heatmap:
    """A table of cells: a `HeatmapCell` is coloured, any other value is written as it is.

    Attributes:
        rows: dicts with the same columns.
        scales: groups of columns with a common scale: the largest absolute value of a group has the strongest colour.
    """

    rows: Sequence[Mapping[str, Any]]
    scales: Sequence[Iterable[str]]

    def as_html(self) -> str:
        """The table as HTML."""
        maxima = self._maxima()
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.rows[0])
        lines = ["".join(_cell_html(value, maxima.get(name, 0.0)) for name, value in row.items()) for row in self.rows]
        return "\n".join(["<table>", f"<tr>{head}</tr>", *(f"<tr>{line}</tr>" for line in lines), "</table>"])

    def _maxima(self) -> dict[str, float]:
        """The largest absolute value of the scale of each column."""
        maxima = {}
        for columns in map(list, self.scales):
            values = (abs(row[column].value or 0.0) for row in self.rows for column in columns)
            maxima.update(dict.fromkeys(columns, max(values, default=0.0)))
        return maxima


class CardRow(Heatmap):
    """Cards side by side, one for each row: text first, then each number with its name."""

    def as_html(self) -> str:
        """The cards as HTML."""
        maxima = self._maxima()
        cards = ["\n".join(_line_html(name, value, maxima) for name, value in row.items()) for row in self.rows]
        boxes = [f'<div style="width: 9em; border: 1px solid #ddd; padding: .4em">\n{card}\n</div>' for card in cards]
        return "\n".join(['<div style="display: flex; flex-wrap: wrap; gap: .4em; font-size: .8em">', *boxes, "</div>"])


def _line_html(column: str, value: Any, maxima: Mapping[str, float]) -> str:
    if not isinstance(value, HeatmapCell):
        return f"<div>{html.escape(str(value))}</div>"
    return f"<div{_style(value, maxima.get(column, 0.0))}>{html.escape(column)} {html.escape(value.text)}</div>"


def _cell_html(value: Any, maximum: float) -> str:
    if not isinstance(value, HeatmapCell):
        return f"<td>{html.escape(str(value))}</td>"
    return f'<td class="number"{_style(value, maximum)}>{html.escape(value.text)}</td>'


def _style(cell: HeatmapCell, maximum: float) -> str:
    relative = abs(cell.value or 0.0) / maximum if maximum else 0.0
    colour = POSITIVE if (cell.value or 0.0) > 0 else NEGATIVE
    return f' style="background: rgba({colour}, {MAX_OPACITY * relative:.3f})"' if relative else ""
