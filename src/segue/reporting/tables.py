"""`FittedTable`: a table for a terminal that never cuts a name or a figure, however narrow the terminal is.

    it fits                         too wide: split by columns         still too wide: turned
    model  recall@5  recall@10      model  recall@5                    pop
    pop       .0041      .0065      pop       .0041                      recall@5    .0041
    hgn       .0301      .0458      hgn       .0301                      recall@10   .0065
                                    model  recall@10                   hgn
                                    pop        .0065                     ...

Columns of one group, such as the metrics of one cut-off, stay together as far as they fit. Columns of text may go on in
further lines, but only between words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.jupyter import JupyterMixin
from rich.table import Table
from rich.text import Text

from segue.reporting.console import printable

MIN_TEXT_WIDTH = 24  # a column of text is not made narrower than this, or than its longest word
INDENT = 2

Cell = str | Text


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a `FittedTable`.

    Attributes:
        name: its heading, of one or more lines.
        right: whether its cells are aligned at the right, as numbers are.
        wraps: whether a cell may go on in further lines, between words.
        group: columns with the same group stand in the same table if they fit; "" for a group of its own.
        style: of its cells, as rich names styles.
    """

    name: str
    right: bool = False
    wraps: bool = False
    group: str = ""
    style: str = ""


class FittedTable(JupyterMixin):
    """A table that fits the width where it is printed.

    Args:
        columns: its columns.
        rows: cells as text; a cell may have several lines.
        title: shown above it.
        notes: paragraphs shown below it.
        keys: number of first columns that name the row; they are repeated where the table is split.
        section: index of a row that a line is drawn above; None for no line.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[Cell]],
        *,
        title: str = "",
        notes: Sequence[str] = (),
        keys: int = 1,
        section: int | None = None,
    ) -> None:
        self.columns, self.title, self.notes, self.keys = list(columns), title, list(notes), keys
        self.section = section
        self.rows = [[Text(printable(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="bold")
        parts = self._split(console, options)
        if parts is None:
            yield from self._turned(console, options.max_width)
        else:
            yield from (self._table(part) for part in parts)
        for note in self.notes:
            yield Text(note, style="yellow" if note.startswith("Warning") else "dim italic")

    def _split(self, console: Console, options: ConsoleOptions) -> list[list[int]] | None:
        """The columns of each table, by index; None if even the keys and one more column are too wide."""
        keys, others = list(range(self.keys)), list(range(self.keys, len(self.columns)))
        unlimited = options.update(width=100_000)

        def fits(chosen: list[int]) -> bool:
            return console.measure(self._table(chosen), options=unlimited).minimum <= options.max_width

        if fits(keys + others):
            return [keys + others]
        groups: dict[str | int, list[int]] = {}
        for index in others:
            groups.setdefault(self.columns[index].group or index, []).append(index)
        units = [
            part for group in groups.values() for part in ([group] if fits(keys + group) else [[i] for i in group])
        ]
        if not all(fits(keys + unit) for unit in units) or not fits(keys):
            return None
        parts = [keys]
        for unit in units:
            if fits(parts[-1] + unit):
                parts[-1] = parts[-1] + unit
            else:
                parts.append(keys + unit)
        return parts

    def _table(self, chosen: Sequence[int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for index in chosen:
            column = self.columns[index]
            table.add_column(
                Text(column.name),
                justify="right" if column.right else "left",
                no_wrap=not column.wraps,
                min_width=self._min_width(index),
                style=column.style or None,
            )
        for place, row in enumerate(self.rows):
            if place == self.section:
                table.add_section()
            table.add_row(*(row[index] for index in chosen))
        return table

    def _min_width(self, index: int) -> int:
        """The width below which a column would cut a cell, or one of text would break a word or be hard to read."""
        texts = [self.columns[index].name, *(row[index].plain for row in self.rows)]
        words = max((cell_len(word) for text in texts for word in text.split()), default=0)
        natural = max((cell_len(line) for text in texts for line in text.splitlines()), default=0)
        return max(words, min(natural, MIN_TEXT_WIDTH)) if self.columns[index].wraps else natural

    def _turned(self, console: Console, width: int) -> Iterator[Text]:
        """One paragraph a row: its keys, then a line for each other column."""
        headings = [" ".join(column.name.split("\n")) for column in self.columns]
        room = max((cell_len(heading) for heading in headings[self.keys :]), default=0) + INDENT
        yield Text()
        for row in self.rows:
            for heading, cell in zip(headings[: self.keys], row[: self.keys], strict=True):
                yield Text.assemble(f"{heading} " if heading and self.keys > 1 else "", cell, overflow="fold")
            for heading, cell in zip(headings[self.keys :], row[self.keys :], strict=True):
                yield from _entry(console, heading, cell, room, width)
            yield Text()


def _entry(console: Console, heading: str, cell: Text, room: int, width: int) -> Iterator[Text]:
    """The lines of a heading and its value, on one line if they fit, else the value below and further in."""
    lines = list(cell.split("\n"))
    together = Text("  ").join(lines)
    start = " " * INDENT + heading + " " * (room - cell_len(heading))
    if cell_len(start) + cell_len(together.plain) <= width:
        yield Text.assemble(start, together)
        return
    yield Text(" " * INDENT + heading)
    inner = " " * 2 * INDENT
    for line in lines:
        for part in line.wrap(console, max(1, width - len(inner)), overflow="fold"):
            yield Text.assemble(inner, part)
