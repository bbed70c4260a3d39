"""One answer of a saved model as tables for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from segue.data.log import Log
    from segue.reporting.tables import FittedTable
    from segue.serving.query import Query
    from segue.serving.recommend import Recommendations


def last_titles(log: Log, query: Query, limit: int = 5) -> list[str]:
    """The titles of the last items of a history, the newest last."""
    return log.titles(query.items[-limit:])


def recommendation_tables(recommended: Recommendations, last_seen: list[str], user: Any) -> list[Text | FittedTable]:
    """The last items of the history and the recommended items, each as a heading and a table, and notes."""
    from rich.text import Text

    from segue.reporting.heatmap import decimals_of, format_score

    owner = "this history" if user is None else f"user {user}"
    seen = [Text(line) for line in (f"Seen last by {owner}:", *(f"  {title}" for title in last_seen)) if last_seen]
    notes = [Text(note) for note in recommended.notes()]
    if not recommended:
        return [*seen, *notes, Text(f"Nothing is left to recommend to {owner}: {recommended.why_empty()}.")]
    decimals = decimals_of(item.score for item in recommended)
    rows = [(str(item.item), item.title, format_score(item.score, decimals)) for item in recommended]
    table = ranked_items(rows, "score" if recommended.fallback is None else "events")
    return [*seen, *notes, Text(f"Recommended to {owner}:"), table]


def ranked_items(items: Sequence[tuple[str, str, str]], value: str) -> FittedTable:
    """Items with their ranks, and with their names where these differ from the titles.

    Args:
        items: name, title and number of each item, the best first.
        value: heading of the numbers.
    """
    from segue.reporting.tables import Column, FittedTable

    has_titles = any(title != name for name, title, _ in items)
    columns = [Column(name="", right=True), Column(name="item", wraps=True)]
    if has_titles:
        columns.append(Column(name="name", wraps=True, style="dim"))
    rows = [
        [f"{rank:,}", title, *([name] if has_titles else []), number]
        for rank, (name, title, number) in enumerate(items, 1)
    ]
    return FittedTable([*columns, Column(name=value, right=True)], rows, keys=2)


def as_json(recommended: Recommendations) -> dict[str, Any]:
    """The answer as plain values."""
    return {
        "recommended": [asdict(item) for item in recommended],
        "fallback": recommended.fallback,
        "ignored": list(recommended.ignored),
        "unknown_user": recommended.unknown_user,
    }
