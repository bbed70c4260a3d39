"""`Heatmap`: a table whose numbers are coloured by their size, for a page (`charts.page`); `CardRow`: its rows as
cards side by side."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

ABOVE, BELOW = "213, 94, 0", "0, 114, 178"  # told apart by most eyes with a colour deficiency
STRONGEST = 0.75  # so that dark letters stay readable


class HeatmapCell(NamedTuple):
    """A cell: the number that colours it (None: nothing does), and what stands in it."""

    value: float | None
    text: str


def number(value: float | None) -> str:
    """What a gate gave, for people."""
    return "–" if value is None else f"{value:.3f}"


def amount(value: float) -> str:
    """What something lends, with its sign."""
    if value == 0:
        return "·"
    return f"{value:+.3f}" if abs(value) >= 5e-4 else f"{value:+.0e}"


@dataclass(frozen=True)
class Heatmap:
    """Rows of cells: a `HeatmapCell` is coloured, anything else is written as it is.

    Attributes:
        rows: dicts with the same columns.
        scales: columns that share a scale: the largest number of all of them has the strongest colour.
    """

    rows: Sequence[Mapping[str, Any]]
    scales: Sequence[Iterable[str]]

    def as_html(self) -> str:
        """The table."""
        most = {column: self._most(scale) for scale in map(list, self.scales) for column in scale}
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.rows[0])
        lines = ["".join(_cell(value, most.get(column, 0.0)) for column, value in row.items()) for row in self.rows]
        return "\n".join(["<table>", f"<tr>{head}</tr>", *(f"<tr>{line}</tr>" for line in lines), "</table>"])

    def _most(self, scale: Sequence[str]) -> float:
        return max((abs(row[column].value or 0.0) for row in self.rows for column in scale), default=0.0)


class CardRow(Heatmap):
    """The rows as cards side by side, for a history: words above, and below them each number with its name."""

    def as_html(self) -> str:
        """The cards."""
        most = {column: self._most(scale) for scale in map(list, self.scales) for column in scale}
        cards = ["\n".join(_line(column, value, most) for column, value in row.items()) for row in self.rows]
        boxes = [f'<div style="width: 9em; border: 1px solid #ddd; padding: .4em">\n{card}\n</div>' for card in cards]
        return "\n".join(['<div style="display: flex; flex-wrap: wrap; gap: .4em; font-size: .8em">', *boxes, "</div>"])


def _line(column: str, value: Any, most: Mapping[str, float]) -> str:
    if not isinstance(value, HeatmapCell):
        return f"<div>{html.escape(str(value))}</div>"
    return f"<div{_style(value, most.get(column, 0.0))}>{html.escape(column)} {html.escape(value.text)}</div>"


def _cell(value: Any, most: float) -> str:
    if not isinstance(value, HeatmapCell):
        return f"<td>{html.escape(str(value))}</td>"
    return f'<td class="number"{_style(value, most)}>{html.escape(value.text)}</td>'


def _style(value: HeatmapCell, most: float) -> str:
    part = abs(value.value or 0.0) / most if most else 0.0
    colour = ABOVE if (value.value or 0.0) > 0 else BELOW
    return f' style="background: rgba({colour}, {STRONGEST * part:.3f})"' if part else ""
