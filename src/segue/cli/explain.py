"""`segue explain`: what each item of the history contributes to the recommendations, or to one predicted rating."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.explain_rating import show_rating
from segue.cli.help import OUTPUT_GROUP
from segue.cli.options.history import HISTORY_DEFAULTS, ExcludeSeenOption, HistoryOptions, read_history, say_unknown
from segue.cli.output import JsonFile, show, write_json_output
from segue.cli.recommendations_table import as_json
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ConfigError
from segue.reporting.heatmap import decimals_of, format_contribution, format_gate, format_score

if TYPE_CHECKING:
    from rich.text import Text

    from segue.explain.occlusion import Explanation, PastItem
    from segue.reporting.tables import FittedTable

_LEGEND = (
    "Each number is what the past item contributes to the score of the recommendation: by how much the score would be "
    "lower without it. ▾4: without it the recommendation would rank 4 places lower; ▴2: 2 places higher. "
    "Age 1 is the newest item."
)
_NO_PLACES = "Where all items score the same without a past item, no change of place is shown."
_NO_CANDIDATE = (
    "– where a recommendation is no candidate of the first stage without the past item, and so has no score."
)
_REST = "no item (user, popularity, bias)"
_NOTHING_TO_EXPLAIN = "No item of the history contributes to an answer by popularity."
_ADDS_UP = "The contributions and the part that no item carries add up to the score."
_DOES_NOT_ADD_UP = "For this model they do not add up to the score: items can replace or support each other."
_REMOVALS = {
    "closed": "This model reads no gap in a history: without an item, the older ones move up by one place.",
    "closed at the newest item": "Without the newest item, the older ones move up by one place; otherwise they stay.",
}
_GATES_LEGEND = (
    "{names}: the values of the model's gates and attention for the item, the same for all recommendations; means over "
    "heads and features."
)


def explain(
    model: Path,
    *,
    who: HistoryOptions = HISTORY_DEFAULTS,
    exclude_seen: ExcludeSeenOption = None,
    item: str | None = None,
    k: Annotated[int, Parameter(name="-k")] = 5,
    last: int = 20,
    order: Literal["contribution", "time"] = "contribution",
    model_class: ModelClasses = (),
    html: Annotated[Path | None, Parameter(group=OUTPUT_GROUP)] = None,
    json: JsonFile = None,
) -> None:
    """Show what each item of the history contributes to the recommendations, or both histories of one rating.

    Args:
        model: Folder of a saved model.
        item: Item whose rating by the user is explained, for models that predict ratings. The histories of the user and
            of the item are shown; if the log has this rating, as they were before it.
        k: Number of recommendations.
        last: Number of the newest past items that are shown, and with --item of the newest users.
        order: Order of the past items: the largest contribution first (contribution), or the oldest item first (time).
        html: Write a heat map to this HTML page.
    """
    check_outputs({"--json": json, "--html": html}, inputs=[model, *source_files(*model_class)])
    user = who.user
    if item is not None and (who.history is not None or user is None):
        raise ConfigError("--item: needs --user, the user whose rating is explained, and no --history")
    saved = load_saved(model, model_class)
    if item is not None:
        facts = {"model": str(model)}
        show_rating(saved, user=user, item=item, last=last, order=order, facts=facts, json=json, html=html)
        return
    from segue.explain.occlusion import explain as explain_recommendations
    from segue.serving.query import make_query

    items = read_history(saved.log, who.history)
    make_query(saved.log, user, items, strict=who.strict)
    if items:
        say_unknown(saved.model)
    explanation = explain_recommendations(
        saved.model,
        saved.log,
        user=user,
        history=items,
        k=k,
        last=last,
        exclude_seen=exclude_seen,
        order=order,
    )
    owner = "this history" if user is None else f"user {user}"
    show(*explanation_tables(explanation, saved.model.name, owner))
    write_json_output(
        json, {"model": str(model), "user": user, **asdict(explanation), **as_json(explanation.recommended)}
    )
    if html is not None:
        write_heatmap_page(explanation, saved.model.name, owner, html)


def explanation_tables(explanation: Explanation, model: str, owner: str) -> list[Text | FittedTable]:
    """The recommendations, and the past items with their contributions to each; then what the numbers mean."""
    from rich.text import Text

    from segue.cli.recommendations_table import ranked_items
    from segue.reporting.tables import Column, FittedTable

    recommended, past = explanation.recommended, explanation.past
    notes = [Text(note) for note in recommended.notes()]
    if not recommended:
        return [*notes, Text(f"Nothing is left to recommend to {owner}: {recommended.why_empty()}.")]
    decimals = decimals_of(shown_values(explanation))
    ranked = [(one.title, one.title, format_score(one.score, decimals)) for one in recommended]
    items = ranked_items(ranked, "score" if recommended.fallback is None else "events")
    gates = list(past[0].gates) if past else []
    numbers = ["age", *gates, *(str(rank) for rank in range(1, len(recommended) + 1))]
    columns = [Column(name="past item", wraps=True), *(Column(name=name, right=True) for name in numbers)]
    rows = [
        [event.title, str(event.age), *map(format_gate, event.gates.values()), *contribution_cells(event, decimals)]
        for event in past
    ]
    rows += [[name, "", *("" for _ in gates), *cells] for name, cells in total_rows(explanation, decimals)]
    table = FittedTable(columns, rows, section=len(past) or None)
    heading = Text("Contributions of the past items:")
    below = [*parts_table(explanation), heading, table, *map(Text, legend_of(explanation, model))]
    if recommended.fallback is not None:
        return [*notes, Text(f"Recommended to {owner}:"), items, Text(_NOTHING_TO_EXPLAIN)]
    return [*notes, Text(f"Recommended to {owner}:"), items, *below]


def parts_table(explanation: Explanation) -> list[Text | FittedTable]:
    """How each part of a combined model ranks the recommendations; nothing for a model without parts."""
    from rich.text import Text

    from segue.reporting.tables import Column, FittedTable

    if not explanation.parts:
        return []
    ranks = [str(rank) for rank in range(1, len(explanation.recommended) + 1)]
    columns = [Column(name="part"), *(Column(name=name, right=True) for name in ("share", *ranks))]
    rows = [
        [part.name, "" if part.share is None else f"{part.share:.0%}", *(f"{place:,}" for place in part.places)]
        for part in explanation.parts
    ]
    return [Text("Rank of each recommendation in each part of the model alone:"), FittedTable(columns, rows)]


def shown_values(explanation: Explanation) -> list[float]:
    """All scores and contributions of an explanation."""
    contributions = [value for past in explanation.past for value in past.contributions]
    values = [*explanation.rest, *explanation.older, *contributions]
    return [*(one.score for one in explanation.recommended), *(value for value in values if value is not None)]


def total_rows(explanation: Explanation, decimals: int) -> list[tuple[str, list[str]]]:
    """The rows below the past items: what the older items and no item contribute, and the scores."""
    rows = []
    if explanation.num_older:
        name = f"{explanation.num_older:,} older together"
        rows.append((name, [format_contribution(value, decimals) for value in explanation.older]))
    rows.append((_REST, [format_contribution(value, decimals) for value in explanation.rest]))
    rows.append(("score", [format_score(one.score, decimals) for one in explanation.recommended]))
    return rows


def legend_of(explanation: Explanation, model: str) -> list[str]:
    """What the numbers mean and what is not shown, as sentences."""
    past, unread = explanation.past, explanation.num_unread
    gates = list(past[0].gates) if past else []
    lines = [_LEGEND] if past else [f"{model} reads no item of the history: its scores do not depend on it."]
    if past:
        lines.append(_ADDS_UP if explanation.additive else _DOES_NOT_ADD_UP)
        if any(value is None for one in past for value in one.contributions):
            lines.append(_NO_CANDIDATE)
        elif any(change is None for one in past for change in one.rank_changes):
            lines.append(_NO_PLACES)
        lines.extend([_REMOVALS[explanation.removal]] if explanation.removal in _REMOVALS else [])
    if past and unread:
        read, older = len(past) + explanation.num_older, "1 older item is" if unread == 1 else f"{unread:,} older are"
        lines.append(f"{model} reads the newest {read} items; {older} not shown, because no score depends on them.")
    return [*lines, *([_GATES_LEGEND.format(names=", ".join(gates))] if gates else [])]


def contribution_cells(item: PastItem, decimals: int) -> list[str]:
    """The contribution of a past item to each recommendation, with the change of rank without it."""
    marks = [f" {'▾' if places > 0 else '▴'}{abs(places)}" if places else "" for places in item.rank_changes]
    return [
        f"{format_contribution(value, decimals)}{mark}" for value, mark in zip(item.contributions, marks, strict=True)
    ]


def write_heatmap_page(explanation: Explanation, model: str, owner: str, path: Path) -> Path:
    """Write a heat map: one row for each past item, one column for each gate and recommendation."""
    from segue.reporting.heatmap import Heatmap, HeatmapCell
    from segue.reporting.html import write_page

    title, past_items = f"{model} for {owner}", explanation.past
    columns = [f"{rank}. {one.title}" for rank, one in enumerate(explanation.recommended, 1)]
    if not columns:
        return write_page(title, [("Recommended", [f"Nothing: {explanation.recommended.why_empty()}."])], path)
    decimals = decimals_of(shown_values(explanation))
    gate_names = list(past_items[0].gates) if past_items else []
    rows: list[dict[str, Any]] = []
    for past in past_items:
        gates = {name: HeatmapCell(value, format_gate(value)) for name, value in past.gates.items()}
        values = zip(past.contributions, contribution_cells(past, decimals), strict=True)
        cells = {name: HeatmapCell(*cell) for name, cell in zip(columns, values, strict=True)}
        rows.append({"past item": past.title, "age": past.age, **gates, **cells})
    for name, texts in total_rows(explanation, decimals):
        cells = {column: HeatmapCell(None, text) for column, text in zip(columns, texts, strict=True)}
        rows.append({"past item": name, "age": "", **{gate: HeatmapCell(None, "") for gate in gate_names}, **cells})
    recommended: list[Any] = [
        {"item": one.title, "score": format_score(one.score, decimals)} for one in explanation.recommended
    ]
    if explanation.recommended.fallback is not None:
        notes = [*explanation.recommended.notes(), _NOTHING_TO_EXPLAIN]
        return write_page(title, [("Recommended", [*notes, recommended])], path)
    shown: list[Any] = [Heatmap(rows, [columns, *([name] for name in gate_names)]), *legend_of(explanation, model)]
    sections = [("Recommended", [recommended]), ("Contributions of the past items", shown)]
    return write_page(title, sections, path)
