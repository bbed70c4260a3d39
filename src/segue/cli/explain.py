"""`segue explain`: what each item of the history contributes to the recommendations, or to one predicted rating."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.explain_rating import show_rating
from segue.cli.help import OUTPUT_GROUP
from segue.cli.output import JsonFile, check_json, show, write_json_output
from segue.cli.recommend import HistoryOption, UserOption, excludes_seen, parse_history
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ConfigError
from segue.reporting.heatmap import format_contribution, format_gate

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from segue.explain.occlusion import Explanation, PastItem

_LEGEND = (
    "Each number is what the past item contributes to the score of the recommendation: by how much the score would be "
    "lower without it. ▾4: without it the recommendation would rank 4 places lower; ▴2: 2 places higher."
)
_GATES_LEGEND = (
    "{names}: the values of the model's gates and attention for the item, the same for all recommendations; means over "
    "heads and features."
)


def explain(
    model: Path,
    *,
    user: UserOption = None,
    history: HistoryOption = None,
    item: str | None = None,
    k: Annotated[int, Parameter(name="-k")] = 5,
    last: int = 20,
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
        html: Write a heat map to this HTML page.
    """
    check_json(json)
    if item is not None and (history is not None or user is None):
        raise ConfigError("--item: needs --user, the user whose rating is explained, and no --history")
    saved = load_saved(model, model_class)
    if item is not None:
        content = show_rating(saved, user=user, item=item, last=last, html=html)
        write_json_output(json, {"model": str(model), **content})
        return
    from segue.explain.occlusion import explain as explain_recommendations

    items, exclude_seen = parse_history(history), excludes_seen(saved)
    explanation = explain_recommendations(
        saved.model, saved.log, user=user, history=items, k=k, last=last, exclude_seen=exclude_seen
    )
    owner = "this history" if user is None else f"user {user}"
    show(*explanation_tables(explanation, owner))
    write_json_output(json, {"model": str(model), "user": user, **asdict(explanation)})
    if html is not None:
        write_heatmap_page(explanation, f"{saved.model.name} for {owner}", html)


def explanation_tables(explanation: Explanation, owner: str) -> list[Text | Table]:
    """The recommendations with their ranks, and the past items with their contributions to each."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    recommended, past = explanation.recommended, explanation.past
    if not recommended:
        return [Text(f"Nothing is left to recommend to {owner}: every item was seen.")]
    items = Table(box=None, show_header=False)
    for rank, one in enumerate(recommended, 1):
        items.add_row(str(rank), Text(one.title), f"{one.score:.3f}")
    contributions = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    contributions.add_column("past item, oldest first", ratio=1)
    gates = list(past[0].gates)
    for name in [*gates, *(str(rank) for rank in range(1, len(recommended) + 1))]:
        contributions.add_column(name, justify="right", no_wrap=name not in gates)
    for event in past:
        values = [format_gate(event.gates[name]) for name in gates]
        contributions.add_row(Text(event.title), *values, *contribution_cells(event))
    legend = [Text(_LEGEND), *([Text(_GATES_LEGEND.format(names=", ".join(gates)))] if gates else [])]
    headings = Text(f"Recommended to {owner}:"), Text("Contributions of the past items:")
    return [headings[0], items, headings[1], contributions, *legend]


def contribution_cells(item: PastItem) -> list[str]:
    """The contribution of a past item to each recommendation, with the change of rank without it."""
    marks = [f" {'▾' if places > 0 else '▴'}{abs(places)}" if places else "" for places in item.rank_changes]
    return [f"{format_contribution(value)}{mark}" for value, mark in zip(item.contributions, marks, strict=True)]


def write_heatmap_page(explanation: Explanation, title: str, path: Path) -> Path:
    """Write a heat map: one row for each past item, one column for each gate and recommendation."""
    from segue.reporting.heatmap import Heatmap, HeatmapCell
    from segue.reporting.html import write_page

    columns = [f"{rank}. {one.title}" for rank, one in enumerate(explanation.recommended, 1)]
    if not columns:
        return write_page(title, [("Recommended", ["Nothing: every item was seen."])], path)
    rows: list[dict[str, Any]] = []
    for past in explanation.past:
        gates = {name: HeatmapCell(value, format_gate(value)) for name, value in past.gates.items()}
        values = zip(past.contributions, contribution_cells(past), strict=True)
        cells = {name: HeatmapCell(*cell) for name, cell in zip(columns, values, strict=True)}
        rows.append({"past item, oldest first": past.title, **gates, **cells})
    recommended: list[Any] = [{"item": one.title, "score": one.score} for one in explanation.recommended]
    gate_names = list(explanation.past[0].gates)
    heatmap = Heatmap(rows, [columns, *([name] for name in gate_names)])
    legend = [_LEGEND, *([_GATES_LEGEND.format(names=", ".join(gate_names))] if gate_names else [])]
    shown: list[Any] = [heatmap, *legend]
    sections = [("Recommended", [recommended]), ("Contributions of the past items", shown)]
    return write_page(title, sections, path)
