"""`segue explain --item`: both histories of one rating, and what their steps have to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from segue.cli.options import show, write_json
from segue.errors import ConfigError
from segue.reporting.heatmap import amount, number

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.explain.rating import Step

LEGEND = "lends: the rating that the step adds, what the model would predict less if it had not happened."
GATES = (
    "{names}: what the model's gates and attention gave the step, with an eye on this pair; – is older than the model "
    "reads."
)


def pair(
    folder: Path, user: str | None, history: str | None, item: str, *, last: int, html: Path | None, json: Path | None
) -> None:
    """Explain how a user of the log would rate an item, with the saved model of `folder`."""
    from rich.text import Text

    from segue.explain.rating import explain_meeting, said, sections
    from segue.reporting import charts as plots
    from segue.serving.saved_model import load

    if history is not None or user is None:
        raise ConfigError("--item: whose rating is to be explained? Give --user with it, and no --history")
    saved = load(folder)
    found = explain_meeting(saved.model, saved.log, user=user, item=item, last=last)
    sides = {"what the user had met": found.history, "who had met the item": found.audience}
    gates = list(dict.fromkeys(name for steps in sides.values() for step in steps[:1] for name in step.gates))
    words = [LEGEND, *([GATES.format(names=", ".join(gates))] if gates else [])]
    show(Text(said(found)), *(table(title, steps) for title, steps in sides.items()), *map(Text, words))
    write_json(json, {"model": str(folder), **asdict(found)})
    if html is not None:
        title = f"{saved.model.name}: user {user} and {found.title}"
        plots.page(title, [("The rating", [f"{said(found)}", *words]), *sections(found)], html)


def table(title: str, steps: Sequence[Step]) -> Table | Text:
    """One history, oldest first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not steps:
        return Text(f"{title}: nothing")
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("when", no_wrap=True)
    shown.add_column(f"{title}, oldest first", ratio=1)
    for name in ("rating", *steps[0].gates, "lends"):
        shown.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        rating = "" if step.rating is None else f"{step.rating:g}"
        shown.add_row(step.day, Text(step.title), rating, *map(number, step.gates.values()), amount(step.lends))
    return shown
