"""`segue explain --item`: the two histories of one rating, and what their events contribute to the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.output import show
from segue.reporting.heatmap import amount, number

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.explain.rating import Step
    from segue.serving.saved_model import SavedModel

LEGEND = "lends: what the event contributes to the predicted rating: by how much it would be lower without the event."
GATES = (
    "{names}: the values of the model's gates and attention for the event, given this pair; – is older than the window "
    "of the model."
)


def show_rating(saved: SavedModel, *, user: Any, item: str, last: int, html: Path | None) -> dict[str, Any]:
    """Explain the rating of an item by a user of the log; returns what the JSON holds."""
    from rich.text import Text

    from segue.explain.rating import explain_meeting, said, sections
    from segue.reporting import charts

    found = explain_meeting(saved.model, saved.log, user=user, item=item, last=last)
    histories = {"what the user had met": found.history, "who had met the item": found.audience}
    gates = list(dict.fromkeys(name for steps in histories.values() for step in steps[:1] for name in step.gates))
    legend = [LEGEND, *([GATES.format(names=", ".join(gates))] if gates else [])]
    show(Text(said(found)), *(history_table(title, steps) for title, steps in histories.items()), *map(Text, legend))
    if html is not None:
        title = f"{saved.model.name}: user {user} and {found.title}"
        charts.page(title, [("The rating", [said(found), *legend]), *sections(found)], html)
    return asdict(found)


def history_table(title: str, steps: Sequence[Step]) -> Table | Text:
    """One history, oldest event first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not steps:
        return Text(f"{title}: nothing")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("when", no_wrap=True)
    table.add_column(f"{title}, oldest first", ratio=1)
    for name in ("rating", *steps[0].gates, "lends"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        rating = "" if step.rating is None else f"{step.rating:g}"
        table.add_row(step.day, Text(step.title), rating, *map(number, step.gates.values()), amount(step.lends))
    return table
