"""Explain a recommendation: the contribution of each past item, and the model's gates and attention.

                         gates and attention      contribution to the recommended item, change of its rank
    past item       age  of the model, if any     1st        2nd        ...
    Aliens            1  .41                      +1.7 (+8)  +.33 (+2)
    Emma              2  .03                      +.10 ( 0)  -.02 (-1)
    8 older items                                 +.21       +.04
    no item                                       +.50       +.61
    score                                         2.51       .96

The contribution of a past item is found by occlusion: the model scores the history again without the item, and the
contribution is the score that the recommendation loses. The other items keep their positions, so that an item does not
seem harmful because the older ones would be newer without it. Some models cannot read a history with a gap, recurrent
ones for example; for these the gap is closed (`Explanation.removal`). Only items within the model's window are
explained.

The part that no item carries is the score without any item of the history: the user vector, popularity, a bias. For
models whose score is a sum over the items, it and the contributions add up to the score (`Explanation.additive`). For
other models they need not, because items can replace or support each other. Contributions describe what the model
computes, not why a user did something.

Gates and attention weights are recorded while the model scores (`segue.nn.recorder`). They are the same for all
recommendations, because the models compute one query from the history.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import DataError, require
from segue.explain.parts import PartOpinion, part_opinions
from segue.models.base.model import Model
from segue.models.base.score_buffer import device_of, evaluation_mode
from segue.nn.recorder import Recording, recording
from segue.nn.topk import places
from segue.serving.query import make_batch, make_query
from segue.serving.recommend import Recommendations, named_items
from segue.serving.top_items import TopItemFinder, all_equal, rest_score

Order = Literal["contribution", "time"]
Removal = Literal["kept", "closed at the newest item", "closed"]
REMOVALS: dict[str, Removal] = {
    "anywhere": "kept",
    "inside": "closed at the newest item",
    "left": "closed",
}  # by `skips_padding`
ROUNDING = 16  # units in the last place of the largest score; smaller contributions are rounding errors


@dataclass(frozen=True)
class PastItem:
    """One item of the history, and what it contributes to the recommendations.

    Attributes:
        item: its name.
        title: its title.
        age: 1 for the newest item, 2 for the one before, and so on.
        gates: the value of each gate and attention of the model.
        contributions: for each recommendation, its score minus its score without the item; None where a re-ranking
            model does not rank the recommendation without the item, so that it has no score.
        rank_changes: for each recommendation, by how many places it ranks lower without the item; None where it has no
            place without it: all items score the same, or it is not ranked.
    """

    item: Any
    title: str
    age: int
    gates: dict[str, float | None]
    contributions: list[float | None]
    rank_changes: list[int | None]


@dataclass(frozen=True)
class Explanation:
    """Recommendations with the contributions of the past items.

    Attributes:
        recommended: the recommended items, best first. With a fallback, no item of the history contributes to them.
        past: the newest items of the history, in the order asked for.
        num_older: number of items that the model reads and that are older than those of `past`.
        older: for each recommendation, what these contribute together; None as for `PastItem.contributions`.
        rest: for each recommendation, the part of its score that no item carries; None where it is not ranked without
            the history.
        num_unread: number of items that the model does not read, because they are older than its window.
        additive: whether `rest`, `older` and all contributions add up to the scores, except for rounding.
        removal: what takes the place of an item that is left out. "kept": nothing, and the others keep their positions;
            "closed": the older items move up; "closed at the newest item": they do so for the newest item alone.
        parts: how each part of a combined model ranks the recommendations; empty for a model without parts.
    """

    recommended: Recommendations
    past: list[PastItem]
    num_older: int
    older: list[float | None]
    rest: list[float | None]
    num_unread: int
    additive: bool
    removal: Removal
    parts: list[PartOpinion] = field(default_factory=list)


def explain(
    model: Model,
    log: Log,
    *,
    user: Any = None,
    history: Sequence[Any] | None = None,
    k: int = 5,
    last: int = 20,
    exclude_seen: bool | None = None,
    order: Order = "contribution",
) -> Explanation:
    """Recommend k items, and compute what each past item contributes to them.

    Args:
        model: a model trained on the vocabularies of `log`.
        log: the names of users and items, and the histories of known users.
        user: the name of a user, or None for an anonymous user. An unknown user is taken as an anonymous one.
        history: names of items, oldest first; by default the user's history in the log. Unknown items are left out.
        k: the number of recommendations.
        last: how many of the newest past items are explained; the others that the model reads are taken together.
        exclude_seen: do not recommend items of the history; an item that is left out of it is not recommended either.
            By default as in the evaluation of the model.
        order: "contribution" puts the past item first whose contributions to all recommendations have the largest
            absolute sum; "time" puts the oldest item first.

    Raises:
        DataError: neither a user nor a history, or `k` or `last` below 1.
        ConfigError: an unknown `order`.
    """
    check_order(order)
    if last < 1:
        raise DataError(f"last={last}: must be at least 1")
    finder = TopItemFinder(model, log, k=k, exclude_seen=exclude_seen)
    query = make_query(log, user, history)
    if query.empty_reason is not None and model.window != 0:
        return _of_fallback(named_items(log, query, finder.find([query])))
    items = torch.from_numpy(query.items)  # (P,)
    batch = make_batch(model, log, [query], len(items))
    with recording() as recorded:
        scores = score_all_items(model, model.readable(batch))  # (1, I)
    if model.task == "rating":
        recorded = {}  # its gates belong to one pair of user and item: see `segue.explain.rating`
    recommended = named_items(log, query, finder.best([query], scores.clone()))
    if recommended.fallback is not None:
        return _of_fallback(recommended)
    excluded = items if finder.exclude_seen else items[:0]
    scores[:, excluded] = -torch.inf
    ids = torch.from_numpy(log.items.ids([one.item for one in recommended])).long()

    found = occlude(model, batch, scores, ids, last=last, excluded=excluded)
    positions = found.positions
    rank_changes = rank_changes_of(scores, found.scores, ids, found.without.isnan())
    names, titles = log.items.names(items[positions.start :].tolist()), log.titles(items[positions.start :].tolist())
    ages = range(len(positions), 0, -1)
    gates = recorded_values(recorded, len(items), positions)
    rows = zip(names, titles, ages, gates, _or_none(found.contributions[:-2]), rank_changes[:-2], strict=True)
    past = [PastItem(*row) for row in rows]
    if order == "contribution":
        past.sort(key=lambda one: (-sum(math.inf if it is None else abs(it) for it in one.contributions), one.age))
    return Explanation(
        recommended=recommended,
        past=past,
        num_older=positions.start - found.num_unread,
        older=_or_none(found.contributions[-2:-1])[0],
        rest=_or_none(found.rest[None])[0],
        num_unread=found.num_unread,
        additive=is_additive(model),
        removal=removal_of(model),
        parts=part_opinions(model, batch, ids, excluded),
    )


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What the scores of K items become without parts of a history.

    Attributes:
        positions: positions in the history of the newest items, each of which was left out alone: P of them.
        num_unread: number of items that the model does not read.
        scores: (P + 2, I) the scores without each item; without those that are older; without all items.
        without: (P + 2, K) those of the K items; NaN where a re-ranking model does not rank the item.
        contributions: (P + 2, K) what each score loses.
        rest: (K,) the part of each score that no item carries.
    """

    positions: range
    num_unread: int
    scores: Float[Tensor, "N I"]
    without: Float[Tensor, "N K"]
    contributions: Float[Tensor, "N K"]
    rest: Float[Tensor, "K"]


def occlude(
    model: Model,
    batch: Batch,
    scores: Float[Tensor, "1 I"],
    ids: Int[Tensor, "K"],
    *,
    last: int,
    excluded: Int[Tensor, "E"],
) -> Occlusion:
    """Leave out each of the `last` newest items of a history, and compute what the scores of some items lose.

    Args:
        model: the model.
        batch: one user and the whole history.
        scores: of all items for it.
        ids: the items.
        last: number of past items.
        excluded: ids of items that are not recommended, and have no place.
    """
    length, window = batch.history.shape[1], model.scored_window
    unread = 0 if window is None else max(0, length - window)
    positions = range(max(unread, length - last), length)
    occluded = occluded_scores(model, batch, occlusion_masks(length, unread, positions))  # (P + 2, I)
    occluded[:, excluded] = -torch.inf
    without = occluded[:, ids].double().masked_fill(unranked(model, occluded, ids), torch.nan)
    contributions = without_noise(scores[:, ids].double() - without, scores)
    rest = without_noise(without[-1], scores)
    return Occlusion(positions, unread, occluded, without, contributions, rest)


def is_additive(model: Model) -> bool:
    """Whether the contributions of all items and the rest add up to the score, except for rounding."""
    return model.additive != "no" or model.scored_window == 0


def _of_fallback(recommended: Recommendations) -> Explanation:
    """An answer by popularity, which no item of the history carries."""
    return Explanation(
        recommended=recommended,
        past=[],
        num_older=0,
        older=[0.0 for _ in recommended],
        rest=[one.score for one in recommended],
        num_unread=0,
        additive=True,
        removal="kept",
    )


def unranked(model: Model, scores: Float[Tensor, "N I"], ids: Int[Tensor, "K"]) -> Bool[Tensor, "N K"]:
    """Which of K items a re-ranking model does not rank in each row, because they are no candidates there."""
    rest = rest_score(model, scores)
    return torch.zeros(len(scores), len(ids), dtype=torch.bool) if rest is None else scores[:, ids] == rest


def rank_changes_of(
    scores: Float[Tensor, "1 I"], occluded: Float[Tensor, "N I"], ids: Int[Tensor, "K"], no_place: Bool[Tensor, "N K"]
) -> list[list[int | None]]:
    """By how many places each of K items ranks lower in each row of `occluded`; None in rows of equal scores."""
    changes = (places(occluded, ids) - places(scores, ids)).tolist()
    nowhere = no_place | torch.tensor([[all_equal(row)] for row in occluded])
    return [
        [None if skip else change for change, skip in zip(*row, strict=True)]
        for row in zip(changes, nowhere.tolist(), strict=True)
    ]


def _or_none(values: Float[Tensor, "N K"]) -> list[list[float | None]]:
    """The values as lists, with None for NaN."""
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]


def score_all_items(model: Model, batch: Batch) -> Float[Tensor, "B I"]:
    """The scores of items 0..I for each row, as a new tensor on the CPU."""
    with evaluation_mode(model), torch.inference_mode():
        scores = model.score(batch.to(device_of(model)))
    return scores.cpu().clone()


def check_order(order: str) -> None:
    """Raise `ConfigError` if the order is unknown."""
    require(order in get_args(Order), f"order={order!r}: must be one of {', '.join(get_args(Order))}")


def occlusion_masks(length: int, first: int, positions: range) -> Bool[Tensor, "K P"]:
    """Which positions of a history are left out: each of `positions`; then those before them; then all.

    >>> occlusion_masks(4, 1, range(2, 4)).int().tolist()
    [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 1, 1, 1]]

    Args:
        length: the length of the history.
        first: the oldest position that the model reads.
        positions: the newest positions.
    """
    column = torch.arange(length)
    alone = column == torch.tensor(positions, dtype=torch.long)[:, None]
    older = (column >= first) & (column < positions.start)
    return torch.cat([alone, older[None], (column >= first)[None]])


def occluded_scores(model: Model, batch: Batch, left_out: Bool[Tensor, "K P"]) -> Float[Tensor, "K I"]:
    """The scores of one history without some of its positions. The last row leaves out all that the model reads.

    Where the score is a mean over the items, an item that is left out takes its share along: the mean is not taken over
    the items that are left, which would make items below the mean look harmful.
    """
    rows = batch.take(torch.zeros(len(left_out), dtype=torch.long))
    rows = replace(rows, history=rows.history.masked_fill(left_out, 0))
    scores = score_all_items(model, model.readable(rows))
    if model.additive == "mean" and len(left_out[0]):
        share = 1 - left_out.sum(1, keepdim=True) / left_out[-1].sum().clamp(min=1)  # (K, 1)
        scores = torch.where(scores.isfinite(), scores[-1] + share.to(scores) * (scores - scores[-1]), scores)
    return scores


def without_noise(values: Float[Tensor, "*n"], scores: Float[Tensor, "*s"]) -> Float[Tensor, "*n"]:
    """The values, with 0 for those that are rounding errors of scores of this size."""
    largest = torch.where(scores.isfinite(), scores.abs(), 0).max()
    return values.double().masked_fill(values.abs() <= ROUNDING * torch.finfo(scores.dtype).eps * largest, 0)


def removal_of(model: Model) -> Removal:
    """What takes the place of an item that is left out; for a model with parts, the most that it is in one of them."""
    if model.parts:
        return max((removal_of(part) for part in model.parts), key=list(REMOVALS.values()).index)
    return REMOVALS["anywhere"] if model.window == 0 else REMOVALS[model.skips_padding]


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
