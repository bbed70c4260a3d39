"""`segue recommend`: the items that a saved model recommends to a user."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.output import JsonFile, check_json, show, write_json_output
from segue.cli.saved_models import ModelClasses, load_saved

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.serving.recommend import Recommendation
    from segue.serving.saved_model import SavedModel

UserOption = Annotated[str | None, Parameter(name="--user", help="A user of the log that the model was trained on.")]
HistoryOption = Annotated[
    str | None,
    Parameter(
        name="--history",
        help="Items, oldest first, separated by commas: the history of a new user, or one to use in place of the "
        "user's own.",
    ),
]


def recommend(
    model: Path,
    *,
    user: UserOption = None,
    history: HistoryOption = None,
    k: Annotated[int, Parameter(name="-k")] = 10,
    model_class: ModelClasses = (),
    json: JsonFile = None,
) -> None:
    """Recommend items to a user of the log, or for any history.

    Args:
        model: Folder of a saved model.
        k: Number of items.
    """
    from segue.serving.recommend import recommend as recommend_items

    check_json(json)
    saved = load_saved(model, model_class)
    items = parse_history(history)
    recommended = recommend_items(
        saved.model, saved.log, user=user, history=items, k=k, exclude_seen=excludes_seen(saved)
    )
    last_seen = last_titles(saved, user, items)
    show(*recommendation_tables(recommended, last_seen, user))
    rows = [asdict(item) for item in recommended]
    write_json_output(json, {"model": str(model), "user": user, "last_seen": last_seen, "recommended": rows})


def parse_history(history: str | None) -> list[str] | None:
    """The items of a history that is given as text with commas."""
    return None if history is None else [name.strip() for name in history.split(",") if name.strip()]


def excludes_seen(saved: SavedModel) -> bool:
    """Whether the model was evaluated without the items that users have had; then they are not recommended either."""
    return bool(saved.about.get("experiment", {}).get("protocol", {}).get("exclude_seen", True))


def last_titles(saved: SavedModel, user: Any, history: list[Any] | None, limit: int = 5) -> list[str]:
    """The titles of the last items of a history, the newest last."""
    from segue.serving.recommend import lookup_ids

    log = saved.log
    if history is not None:
        ids = lookup_ids(log, "item", history)
    else:
        ids = [int(i) for i in log.history(lookup_ids(log, "user", [user])[0])]
    return log.titles(ids[-limit:])


def recommendation_tables(recommended: list[Recommendation], last_seen: list[str], user: Any) -> list[Text | Table]:
    """The last items of the history and the recommended items, each as a heading and a table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    owner = "this history" if user is None else f"user {user}"
    history = Table(box=None, show_header=False)
    for title in last_seen:
        history.add_row(Text(title))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("", justify="right")
    table.add_column("item")
    has_titles = any(item.title != str(item.item) for item in recommended)
    if has_titles:
        table.add_column("name", style="dim")
    table.add_column("score", justify="right")
    for rank, item in enumerate(recommended, 1):
        name = [Text(str(item.item))] if has_titles else []
        table.add_row(str(rank), Text(item.title), *name, f"{item.score:.3f}")
    nothing = f"Nothing is left to recommend to {owner}: every item was seen."
    heading = f"Recommended to {owner}:" if recommended else nothing
    return [Text(f"Seen last by {owner}:"), history, Text(heading), *([table] if recommended else [])]
