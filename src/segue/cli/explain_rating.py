"""`segue explain --item`: the two histories of one rating, and what their events contribute to the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.output import show
from segue.reporting.heatmap import format_contribution, format_gate

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.explain.rating import HistoryEvent
    from segue.serving.saved_model import SavedModel

_LEGEND = "contribution: how much lower the predicted rating would be without the event."
_GATES_LEGEND = (
    "{names}: the values of the model's gates and attention for the event, given this pair; – is older than the window "
    "of the model."
)


def show_rating(saved: SavedModel, *, user: Any, item: str, last: int, html: Path | None) -> dict[str, Any]:
    """Explain the rating of an item by a user of the log; returns what the JSON holds."""
    from rich.text import Text

    from segue.explain.rating import explain_rating
    from segue.reporting.html import write_page

    explanation = explain_rating(saved.model, saved.log, user=user, item=item, last=last)
    histories = {"user history": explanation.history, "item history": explanation.item_history}
    gates = list(dict.fromkeys(name for steps in histories.values() for step in steps[:1] for name in step.gates))
    legend = [_LEGEND, *([_GATES_LEGEND.format(names=", ".join(gates))] if gates else [])]
    tables = (history_table(title, steps) for title, steps in histories.items())
    show(Text(explanation.summary()), *tables, *map(Text, legend))
    if html is not None:
        title = f"{saved.model.name}: user {user} and {explanation.title}"
        write_page(title, [("The rating", [explanation.summary(), *legend]), *explanation.sections()], html)
    return asdict(explanation)


def history_table(title: str, steps: Sequence[HistoryEvent]) -> Table | Text:
    """One history, oldest event first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not steps:
        return Text(f"{title}: nothing")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("when", no_wrap=True)
    table.add_column(f"{title}, oldest first", ratio=1)
    for name in ("rating", *steps[0].gates, "contribution"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        rating = "" if step.rating is None else f"{step.rating:g}"
        values = [*map(format_gate, step.gates.values()), format_contribution(step.contribution)]
        table.add_row(step.day, Text(step.title), rating, *values)
    return table
