"""The table of `--tie-range`: the figures of the models over random orders of the events with the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segue.cli.output import grid

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.table import Result
    from segue.models.base.model import Model

CERTAIN = "No two events of a user have the same time, so there is no other order; --tie-range changes nothing."


def tie_range_tables(
    results: Sequence[Result],
    trained: Mapping[str, Model],
    metrics: Sequence[str],
    log: Log,
    *,
    orders: int | None,
    refit: bool,
) -> tuple[list[Any], dict[str, Any]]:
    """The table, with a line that says what was held fixed, and its content for JSON; both empty without `orders`.

    Args:
        results: the rows of the table of results.
        trained: the models of these results by name; a baseline that is not there is made with its default settings.
        metrics: of the table of results.
        log: the log.
        orders: the number of orders; None if there was no --tie-range.
        refit: whether the models are trained on the validation data as well.
    """
    from segue.evaluation.task import mean_metric
    from segue.experiments.tie_range import has_ties, tie_ranges
    from segue.models.base.model import Sizes
    from segue.models.registry import find

    if orders is None:
        return [], {}
    if log.time is not None and not has_ties(log):
        return [CERTAIN], {"tie_range": {"orders": orders, "models": []}}
    models = {}
    for result in results:
        kind = find(result.model) if result.model not in trained else None
        models[result.model] = kind(kind.configure(), Sizes.of(log)) if kind else trained[result.model]
    found = tie_ranges(models, results[0].protocol, log, metrics, orders=orders, refit=refit)
    rows: list[dict[str, Any]] = [
        {
            "model": result.model,
            "metric": metric,
            "order of the file": mean_metric(result.predictions, metric),
            "lowest": found[result.model].low[metric],
            "highest": found[result.model].high[metric],
        }
        for result in results
        for metric in metrics
    ]
    known = {name: ties.trained_on for name, ties in found.items()}
    shown = [
        {**row, **{name: _short(row[name]) for name in ("order of the file", "lowest", "highest")}} for row in rows
    ]
    title = f"Over {orders} random orders of the events of a user that have the same time"
    facts = {"orders": orders, "models": rows, "trained_on_targets": known}
    return [grid(shown, title), _what_was_fixed(known)], {"tie_range": facts}


def _what_was_fixed(known: Mapping[str, float | None]) -> str:
    again = [name for name, share in known.items() if share is None]
    fixed = {name: share for name, share in known.items() if share is not None}
    lines = ["Each order is split again."]
    if again:
        lines.append(f"Trained again for each order: {', '.join(again)}.")
    if fixed:
        share = next(iter(fixed.values()))
        lines.append(
            f"Not trained again: {', '.join(fixed)}; {share:.0%} of the targets of these orders were in the training "
            "data, so these figures can be too high."
        )
    return " ".join(lines)


def _short(figure: float) -> str:
    return f"{figure:.4f}".removeprefix("0")
