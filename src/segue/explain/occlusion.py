"""Explain a recommendation: the contribution of each past item, and the model's gates and attention.

                    gates and attention      contribution to the recommended item, change of its rank
    past item       of the model, if any     1st        2nd        ...
    older           .03                      +.10 ( 0)  -.02 (-1)
    newer           .41                      +1.7 (+8)  +.33 (+2)

The contribution of a past item is found by occlusion: the model scores the history again without the item, and the
contribution is the score that the recommendation loses. This works for every model. It describes what the model
computes, not why a user did something. Similar items can replace each other, so each of them may contribute little.

Gates and attention weights are recorded while the model scores (`segue.nn.recorder`). They are the same for all
recommendations, because the models compute one query from the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import DataError
from segue.models.base.model import Model
from segue.nn.recorder import Recording, recording
from segue.serving.recommend import Recommendation, history_batch, score_all_items, top_recommendations


@dataclass(frozen=True)
class PastItem:
    """One item of the history, and what it contributes to the recommendations.

    Attributes:
        item: its name.
        title: its title.
        gates: the value of each gate and attention of the model; None where the item is older than the model's window.
        contributions: for each recommendation, its score minus its score without the item.
        rank_changes: for each recommendation, by how many places it ranks lower without the item.
    """

    item: Any
    title: str
    gates: dict[str, float | None]
    contributions: list[float]
    rank_changes: list[int]


@dataclass(frozen=True)
class Explanation:
    """Recommendations with the contributions of the past items.

    Attributes:
        recommended: the recommended items, best first.
        past: the newest items of the history, oldest first.
    """

    recommended: list[Recommendation]
    past: list[PastItem]


def explain(
    model: Model,
    log: Log,
    *,
    user: Any = None,
    history: Sequence[Any] | None = None,
    k: int = 5,
    last: int = 20,
    exclude_seen: bool = True,
) -> Explanation:
    """Recommend k items, and compute what each past item contributes to them.

    Args:
        model: a model trained on the vocabularies of `log`.
        log: the names of users and items, and the histories of known users.
        user: the name of a known user, or None for an anonymous user.
        history: names of items, oldest first; by default the user's history in the log.
        k: the number of recommendations.
        last: how many of the newest past items are explained. The model reads the whole history.
        exclude_seen: do not recommend items of the history; an item that is left out of it is not recommended either.

    Raises:
        DataError: an unknown user or item, neither a user nor a history, or `k` or `last` below 1.
    """
    if last < 1:
        raise DataError(f"last={last}: must be at least 1")
    batch = history_batch(log, user, history)
    items = batch.history[0]
    with recording() as recorded:
        scores = score_all_items(model, batch)[0]
    if model.task == "rating":
        recorded = {}  # its gates belong to one pair of user and item: see `segue.explain.rating`
    excluded = items if exclude_seen else items[:0]
    scores[excluded] = -torch.inf
    recommended = top_recommendations(log, scores, k)

    positions = range(max(0, len(items) - last), len(items))
    occluded = Batch(batch.user.repeat(len(positions)), leave_one_out(items, positions))
    occluded_scores = score_all_items(model, occluded)  # (positions, I)
    occluded_scores[:, excluded] = -torch.inf

    ids = torch.from_numpy(log.items.ids([one.item for one in recommended])).long()
    contributions = scores[ids] - occluded_scores[:, ids]
    rank_changes = item_ranks(occluded_scores, ids) - item_ranks(scores[None], ids)
    gates = recorded_values(recorded, len(items), positions)
    past = items[positions.start :].tolist()
    names, titles = log.items.names(past), log.titles(past)
    rows = zip(names, titles, gates, contributions.tolist(), rank_changes.tolist(), strict=True)
    return Explanation(recommended, [PastItem(*row) for row in rows])


def leave_one_out(items: Int[Tensor, "P"], positions: Sequence[int]) -> Int[Tensor, "K P"]:
    """K copies of a history, each without one position; older items move up, and the first one becomes padding.

    >>> leave_one_out(torch.tensor([4, 5, 6]), [0, 1]).tolist()
    [[0, 5, 6], [0, 4, 6]]
    """
    column = torch.arange(len(items))
    shifted = column <= torch.tensor(positions, dtype=torch.long)[:, None]
    return nn.functional.pad(items, (1, 0))[column + 1 - shifted.long()]


def item_ranks(scores: Float[Tensor, "B I"], ids: Int[Tensor, "K"]) -> Int[Tensor, "B K"]:
    """The ranks of items, from 0; an item ranks behind all others with the same score."""
    ranks = [(scores >= scores[:, one, None]).sum(1) - 1 for one in ids]
    return torch.stack(ranks, 1) if ranks else torch.zeros(len(scores), 0, dtype=torch.long)


def recorded_values(recorded: Recording, length: int, positions: Sequence[int]) -> list[dict[str, float | None]]:
    """The recorded values of one row at some positions of its history, as means over heads and features.

    Args:
        recorded: what a `recording()` block recorded for a batch whose first row is the history.
        length: the length of the history.
        positions: positions of the history, from 0 for the oldest item.

    Returns:
        For each position, the value of each name; None where the item is older than the model's window. A name that
        was recorded several times is numbered.
    """
    columns = {}
    for name, values in recorded.items():
        for number, value in enumerate(values, 1):
            row = value[0].reshape(-1, value.shape[-1]).double().mean(0).tolist()
            columns[name if len(values) == 1 else f"{name} {number}"] = row
    ages = [length - position for position in positions]  # 1 for the newest
    return [{name: row[-age] if age <= len(row) else None for name, row in columns.items()} for age in ages]
