"""`segue recommend`: what comes next for one user, by title."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.options import JsonFile, check_json, show, write_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.serving.recommend import Recommendation
    from segue.serving.saved_model import SavedModel


def recommend(
    model: Path,
    *,
    user: str | None = None,
    history: str | None = None,
    k: Annotated[int, Parameter(name=["-k"])] = 10,
    json: JsonFile = None,
) -> None:
    """Recommend items to a known user, or to anybody with a history.

    Parameters
    ----------
    model
        Folder of a saved model.
    user
        A user of the log that the model was trained on.
    history
        Items, oldest first, separated by commas; in place of what is known of the user, or for somebody never seen.
    k
        How many items.
    """
    from segue.serving.recommend import recommend as ask
    from segue.serving.saved_model import load

    check_json(json)
    saved = load(model)
    items = names(history)
    found = ask(saved.model, saved.log, user=user, history=items, k=k, exclude_seen=excludes(saved))
    seen = last_seen(saved, user, items)
    show(*pages(found, seen, user))
    content = {"model": str(model), "user": user, "last_seen": seen, "recommended": [asdict(r) for r in found]}
    write_json(json, content)


def names(history: str | None) -> list[str] | None:
    """The items of a history as it is typed."""
    return None if history is None else [name.strip() for name in history.split(",") if name.strip()]


def excludes(saved: SavedModel) -> bool:
    """Whether items that were seen are left out, as when the model was measured."""
    return bool(saved.about.get("recipe", {}).get("protocol", {}).get("exclude_seen", True))


def last_seen(saved: SavedModel, user: Any, history: list[Any] | None, most: int = 5) -> list[str]:
    """Titles of the newest items of a history, the newest last."""
    from segue.serving.recommend import lookup_ids

    log = saved.log
    if history is not None:
        ids = lookup_ids(log, "item", history)
    else:
        ids = [int(i) for i in log.history(lookup_ids(log, "user", [user])[0])]
    return log.titles(ids[-most:])


def pages(found: list[Recommendation], seen: list[str], user: Any) -> list[Text | Table]:
    """What was seen last, and what is recommended: two headings and two tables."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    who = "this history" if user is None else f"user {user}"
    past = Table(box=None, show_header=False)
    for title in seen:
        past.add_row(Text(title))
    best = Table(box=box.SIMPLE_HEAD)
    best.add_column("", justify="right")
    best.add_column("item")
    titled = any(one.title != str(one.item) for one in found)
    if titled:
        best.add_column("name", style="dim")
    best.add_column("score", justify="right")
    for place, one in enumerate(found, 1):
        name = [Text(str(one.item))] if titled else []
        best.add_row(str(place), Text(one.title), *name, f"{one.score:.3f}")
    heading = f"Recommended to {who}:" if found else f"Nothing is left to recommend to {who}: every item was seen."
    return [Text(f"Seen last by {who}:"), past, Text(heading), *([best] if found else [])]
