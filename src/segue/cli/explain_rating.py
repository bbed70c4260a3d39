"""`segue explain --item`: the two histories of one rating, and what their events contribute to the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.output import show, write_json_output
from segue.reporting.heatmap import format_contribution, format_gate, format_score

if TYPE_CHECKING:
    from rich.text import Text

    from segue.explain.occlusion import Order
    from segue.explain.rating import ExplainedHistory
    from segue.reporting.tables import FittedTable
    from segue.serving.saved_model import SavedModel

_LEGEND = (
    "contribution: how much lower the predicted rating would be without the event. Contributions do not add up to the "
    "rating, because events can replace or support each other."
)
_GATES_LEGEND = "{names}: the values of the model's gates and attention for the event, given this pair."


def show_rating(
    saved: SavedModel,
    *,
    user: Any,
    item: str,
    last: int,
    order: Order,
    facts: Mapping[str, Any],
    json: Path | None,
    html: Path | None,
) -> None:
    """Explain the rating of an item by a user of the log: print it, and write the JSON (after `facts`) and the page."""
    from rich.text import Text

    from segue.explain.rating import explain_rating
    from segue.reporting.html import write_page

    explanation = explain_rating(saved.model, saved.log, user=user, item=item, last=last, order=order)
    decimals = explanation.decimals
    histories = {"user history": explanation.history, "item history": explanation.item_history}
    gates = list(dict.fromkeys(name for one in histories.values() for event in one.events[:1] for name in event.gates))
    rest = f"Without both histories the model predicts {format_score(explanation.rest, decimals)}."
    legend = [rest, _LEGEND, *([_GATES_LEGEND.format(names=", ".join(gates))] if gates else [])]
    tables = (history_table(title, history, decimals) for title, history in histories.items())
    unread = [unread_note(title, history) for title, history in histories.items() if history.num_unread]
    show(Text(explanation.summary()), *tables, *map(Text, [*unread, *legend]))
    write_json_output(json, {**facts, **asdict(explanation)})
    if html is not None:
        title = f"{saved.model.name}: user {user} and {explanation.title}"
        notes = [explanation.summary(), *unread, *legend]
        write_page(title, [("The rating", notes), *explanation.sections()], html)


def history_table(title: str, history: ExplainedHistory, decimals: int) -> FittedTable | Text:
    """The events of one history, in their order, and the older ones in one row."""
    from rich.text import Text

    from segue.reporting.tables import Column, FittedTable

    events = history.events
    if not events:
        return Text(f"{title}: nothing" if not history.num_unread else f"{title}: nothing that the model reads")
    numbers = ("rating", *events[0].gates, "contribution")
    columns = [Column(name="when"), Column(name=title, wraps=True), *(Column(name=n, right=True) for n in numbers)]
    rows = []
    for event in events:
        rating = "" if event.rating is None else f"{event.rating:g}"
        values = [*map(format_gate, event.gates.values()), format_contribution(event.contribution, decimals)]
        rows.append([event.day, event.title, rating, *values])
    if history.num_older:
        empty = ["" for _ in numbers[1:]]
        last = format_contribution(history.older, decimals)
        rows.append(["", f"{history.num_older:,} older together", *empty, last])
    return FittedTable(columns, rows, keys=2)


def unread_note(title: str, history: ExplainedHistory) -> str:
    """A sentence about the events that are older than the window of the model."""
    read = len(history.events) + history.num_older
    return f"{title}: the model reads the newest {read} events; {history.num_unread:,} older ones are not shown."
