"""One answer of a saved model as tables for the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.data.log import Log
    from segue.serving.query import Query
    from segue.serving.recommend import Recommendations


def last_titles(log: Log, query: Query, limit: int = 5) -> list[str]:
    """The titles of the last items of a history, the newest last."""
    return log.titles(query.items[-limit:])


def recommendation_tables(recommended: Recommendations, last_seen: list[str], user: Any) -> list[Text | Table]:
    """The last items of the history and the recommended items, each as a heading and a table, and notes."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    owner = "this history" if user is None else f"user {user}"
    history = Table(box=None, show_header=False)
    for title in last_seen:
        history.add_row(Text(title))
    seen: list[Text | Table] = [Text(f"Seen last by {owner}:"), history] if last_seen else []
    notes = [Text(note) for note in recommended.notes()]
    if not recommended:
        return [*seen, *notes, Text(f"Nothing is left to recommend to {owner}: {recommended.why_empty()}.")]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("", justify="right")
    table.add_column("item")
    has_titles = any(item.title != str(item.item) for item in recommended)
    if has_titles:
        table.add_column("name", style="dim")
    table.add_column("score" if recommended.fallback is None else "events", justify="right")
    for rank, item in enumerate(recommended, 1):
        name = [Text(str(item.item))] if has_titles else []
        score = f"{item.score:.3f}" if recommended.fallback is None else f"{item.score:,.0f}"
        table.add_row(str(rank), Text(item.title), *name, score)
    return [*seen, *notes, Text(f"Recommended to {owner}:"), table]


def as_json(recommended: Recommendations) -> dict[str, Any]:
    """The answer as plain values."""
    return {
        "recommended": [asdict(item) for item in recommended],
        "fallback": recommended.fallback,
        "ignored": list(recommended.ignored),
        "unknown_user": recommended.unknown_user,
    }
