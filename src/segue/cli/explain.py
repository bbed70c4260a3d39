"""`segue explain`: what each past item has to do with what is recommended; of one rating, see `explain_rating`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.explain_rating import pair
from segue.cli.options import JsonFile, check_json, show, write_json
from segue.cli.recommend import excludes, names
from segue.reporting.heatmap import amount, number

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.explain.occlusion import Explanation, Past

LEGEND = (
    "A number is the score that the past item lends to the recommendation: what it would have less if the history did "
    "not hold the item. ▾4: it would then stand 4 places further down; ▴2: 2 further up."
)
GATES = (
    "{names}: what the model's gates and attention gave the item, the same for all that is recommended; means over "
    "heads and features."
)


def explain(
    model: Path,
    *,
    user: str | None = None,
    history: str | None = None,
    item: str | None = None,
    k: Annotated[int, Parameter(name=["-k"])] = 5,
    last: int = 20,
    html: Path | None = None,
    json: JsonFile = None,
) -> None:
    """Show what each past item has to do with what is recommended, or both histories with the rating of one item.

    Parameters
    ----------
    model
        Folder of a saved model.
    user
        A user of the log that the model was trained on.
    history
        Items, oldest first, separated by commas; in place of what is known of the user, or for somebody never seen.
    item
        With a model of ratings: explain how the user would rate this item, by what the user had met and by who had met
        the item, before the two met if the log holds that.
    k
        How many recommendations.
    last
        How many of the newest past items (and, with an item, of its users).
    html
        Write a heat map to a page.
    """
    from segue.explain.occlusion import explain as ask
    from segue.serving.saved_model import load

    check_json(json)
    if item is not None:
        pair(model, user, history, item, last=last, html=html, json=json)
        return
    saved = load(model)
    asked: dict[str, Any] = {"user": user, "history": names(history), "exclude_seen": excludes(saved)}
    found = ask(saved.model, saved.log, **asked, k=k, last=last)
    who = "this history" if user is None else f"user {user}"
    show(*tables(found, who))
    write_json(json, {"model": str(model), "user": user, **asdict(found)})
    if html is not None:
        page(found, f"{saved.model.name} for {who}", html)


def tables(found: Explanation, who: str) -> list[Text | Table]:
    """What is recommended, with its numbers, and the past items."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not found.recommended:
        return [Text(f"Nothing is left to recommend to {who}: every item was seen.")]
    best = Table(box=None, show_header=False)
    for place, one in enumerate(found.recommended, 1):
        best.add_row(str(place), Text(one.title), f"{one.score:.3f}")
    lends = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    lends.add_column("past item, oldest first", ratio=1)
    gates = list(found.past[0].gates)
    for name in [*gates, *(str(place) for place in range(1, len(found.recommended) + 1))]:
        lends.add_column(name, justify="right", no_wrap=name not in gates)
    for past in found.past:
        lends.add_row(Text(past.title), *(number(past.gates[name]) for name in gates), *lent(past))
    legend = [Text(LEGEND), *([Text(GATES.format(names=", ".join(gates)))] if gates else [])]
    return [Text(f"Recommended to {who}:"), best, Text("What the past items lend to them:"), lends, *legend]


def lent(one: Past) -> list[str]:
    """What a past item lends to each recommendation, and the places that this is worth."""
    marks = [f" {'▾' if places > 0 else '▴'}{abs(places)}" if places else "" for places in one.places]
    return [f"{amount(value)}{mark}" for value, mark in zip(one.lends, marks, strict=True)]


def page(found: Explanation, title: str, path: Path) -> Path:
    """A heat map as a page: a row a past item, a column a gate or a recommendation."""
    from segue.reporting import charts as plots
    from segue.reporting.heatmap import Heatmap, HeatmapCell

    rows: list[dict[str, Any]] = []
    columns = [f"{place}. {one.title}" for place, one in enumerate(found.recommended, 1)]
    for past in found.past:
        gates = {name: HeatmapCell(value, number(value)) for name, value in past.gates.items()}
        cells = {
            name: HeatmapCell(*cell)
            for name, cell in zip(columns, zip(past.lends, lent(past), strict=True), strict=True)
        }
        rows.append({"past item, oldest first": past.title, **gates, **cells})
    best: list[Any] = [{"item": one.title, "score": one.score} for one in found.recommended]
    if not columns:
        return plots.page(title, [("Recommended", ["Nothing: every item was seen."])], path)
    gates_of = list(found.past[0].gates)
    heat = Heatmap(rows, [columns, *([name] for name in gates_of)])
    words = [LEGEND, *([GATES.format(names=", ".join(gates_of))] if gates_of else [])]
    return plots.page(title, [("Recommended", [best]), ("What the past items lend to them", [heat, *words])], path)
