"""`SortableTable`: a table of an HTML page that its readers sort by a click, or with the keyboard, on a heading.

It is complete without scripts. `SORTING`, once on a page after its tables, makes the headings buttons, and loads
nothing.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

LONG = 40  # letters of a text that may go on in further lines


@dataclass(frozen=True)
class SortCell:
    """A cell.

    Attributes:
        text: what it shows, in one or more lines.
        value: what it is sorted by; None is always last.
        note: what a pointer that rests on it shows.
    """

    text: str
    value: float | str | None
    note: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading.

    Attributes:
        name: of the column.
        meaning: of its figures, which a pointer that rests on it shows.
        rising: whether the first click puts the smallest value first.
    """

    name: str
    meaning: str = ""
    rising: bool = False


@dataclass(frozen=True)
class SortableTable:
    """A table whose first column names the rows.

    Attributes:
        headings: one for each column.
        rows: one cell for each heading.
        caption: what the table holds.
    """

    headings: Sequence[Heading]
    rows: Sequence[Sequence[SortCell]]
    caption: str

    def as_html(self) -> str:
        """The table."""
        head = "".join(
            f'<th scope="col"{_title(one.meaning)} data-first="{"ascending" if one.rising else "descending"}">'
            f"{html.escape(one.name)}</th>"
            for one in self.headings
        )
        lines = [f"<tr>{''.join(map(_cell_html, row))}</tr>" for row in self.rows]
        return "\n".join(
            [
                '<table class="sortable">',
                f"<caption>{html.escape(self.caption)}</caption>",
                f"<thead><tr>{head}</tr></thead>",
                "<tbody>",
                *lines,
                "</tbody></table>",
            ]
        )


def _cell_html(cell: SortCell) -> str:
    value = "" if cell.value is None else html.escape(str(cell.value), quote=True)
    is_number = isinstance(cell.value, (int, float))
    kind = ' class="number"' if is_number else ' class="long"' if len(cell.text) > LONG else ""
    return f'<td{kind}{_title(cell.note)} data-value="{value}">{html.escape(cell.text)}</td>'


def _title(text: str) -> str:
    return f' title="{html.escape(text, quote=True)}"' if text else ""


class _Sorting:
    """The style and the script of all sortable tables of a page."""

    def as_html(self) -> str:
        """The elements."""
        return f"<style>{_STYLE}</style>\n<script>{_SCRIPT}</script>"


SORTING = _Sorting()
_STYLE = """
table.sortable caption { text-align: left; color: #555; padding-bottom: .4em; }
table.sortable th { vertical-align: bottom; }
table.sortable th button { font: inherit; font-weight: 600; color: inherit; text-align: left; cursor: pointer;
  background: none; border: 0; border-bottom: 1px dotted #777; padding: 0; }
table.sortable th[aria-sort] button { border-bottom: 2px solid #0072b2; }
table.sortable th[aria-sort="ascending"] button::after { content: " \\2191"; }
table.sortable th[aria-sort="descending"] button::after { content: " \\2193"; }
table.sortable th:first-child, table.sortable td:first-child { position: sticky; left: 0; background: #fff; }
table.sortable td:first-child { font-weight: 600; }
table.sortable td { white-space: pre; } table.sortable td.long { white-space: normal; min-width: 20em; }
"""
_SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort"), first = head.dataset.first;
      const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1, key = (row) => row.cells[place].dataset.value;
      const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      const rows = [...body.rows].sort((one, two) => {
        const a = key(one), b = key(two);
        return a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b);
      });
      body.append(...rows);
    });
  });
}
"""
