"""What each past item has to do with what is recommended.

                    gates and attention      lends to, without it
    past item       of the model, if any     1st        2nd        ...      recommended
    older           .03                      +.10 ( 0)  -.02 (-1)
    newer           .41                      +1.7 (+8)  +.33 (+2)

Two answers. What the model's gates and attention gave an item is read off while it answers (`segue.nn.recorder`); it is
the same for all that is recommended. What an item lends to a recommendation is found by leaving it out: how far the
score sinks, and how many places the recommendation falls, when the history is asked about without the item. That holds
for every model. It is what this model does with this history, not why the user did anything; items that say the same
can each be left out at little loss.
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
from segue.models.base.rating import PairScorer
from segue.nn.recorder import Recording, recording
from segue.serving.recommend import Recommendation, history_batch, score_all_items, top_recommendations


@dataclass(frozen=True)
class Past:
    """One item of the history.

    Attributes:
        item: its name.
        title: what to show people.
        gates: what each gate and attention of the model gave it; None where it is older than the model reads.
        lends: to each recommendation, the score that it would have less without the item.
        places: of each recommendation, the places that it would stand further down without the item.
    """

    item: Any
    title: str
    gates: dict[str, float | None]
    lends: list[float]
    places: list[int]


@dataclass(frozen=True)
class Explanation:
    """What is recommended, best first, and what the past items, oldest first, have to do with it."""

    recommended: list[Recommendation]
    past: list[Past]


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
    """What each past item has to do with the k items that most likely come next.

    Args:
        model: trained on the vocabularies of `log`.
        log: names, and the histories of known users.
        user: the name of a known user, or None for somebody never seen.
        history: names of items, oldest first; by default what the log has of the user.
        k: how many recommendations.
        last: how many of the newest past items are explained; the model is asked with all of them.
        exclude_seen: leave out what the history holds, the item that is left out of it included.

    Raises:
        DataError: an unknown user or item, neither a user nor a history, k or last below 1.
    """
    if last < 1:
        raise DataError(f"last={last}: must be at least 1")
    asked = history_batch(log, user, history)
    items = asked.history[0]
    with recording() as heard:
        scores = score_all_items(model, asked)[0]
    if isinstance(model, PairScorer):
        heard = {}  # its gates are those of one item: see `segue.explain.rating`
    seen = items if exclude_seen else items[:0]
    scores[seen] = -torch.inf
    recommended = top_recommendations(log, scores, k)
    places = range(max(0, len(items) - last), len(items))
    without = score_all_items(model, shortened(asked, places))
    without[:, seen] = -torch.inf
    ids = torch.from_numpy(log.items.ids([one.item for one in recommended])).long()
    lends, falls = scores[ids] - without[:, ids], ranks(without, ids) - ranks(scores[None], ids)
    gates = columns(heard, len(items), places)
    shown = items[places.start :].tolist()
    rows = zip(log.items.names(shown), log.titles(shown), gates, lends.tolist(), falls.tolist(), strict=True)
    return Explanation(recommended, [Past(*row) for row in rows])


def shortened(asked: Batch, places: Sequence[int]) -> Batch:
    """The history of the one row without each of some places in turn."""
    return Batch(asked.user.repeat(len(places)), left_out(asked.history[0], places))


def left_out(items: Int[Tensor, "P"], places: Sequence[int]) -> Int[Tensor, "K P"]:
    """A history without each of K places in turn; what is older moves up, and the first is padding.

    >>> left_out(torch.tensor([4, 5, 6]), [0, 1]).tolist()
    [[0, 5, 6], [0, 4, 6]]
    """
    column = torch.arange(len(items))
    moved = column <= torch.tensor(places, dtype=torch.long)[:, None]
    return nn.functional.pad(items, (1, 0))[column + 1 - moved.long()]


def ranks(scores: Float[Tensor, "B I"], ids: Int[Tensor, "K"]) -> Int[Tensor, "B K"]:
    """How many items stand above each of `ids`; of those with the same score, all others do."""
    above = [(scores >= scores[:, one, None]).sum(1) - 1 for one in ids]
    return torch.stack(above, 1) if above else torch.zeros(len(scores), 0, dtype=torch.long)


def columns(heard: Recording, length: int, places: Sequence[int]) -> list[dict[str, float | None]]:
    """What was tapped of one row, as one number for each of some places of its history: means over heads and features.

    What is tapped twice under one name is numbered.
    """
    named = {
        name if len(values) == 1 else f"{name} {number}": value[0]
        .reshape(-1, value.shape[-1])
        .double()
        .mean(0)
        .tolist()
        for name, values in heard.items()
        for number, value in enumerate(values, 1)
    }
    ages = [length - place for place in places]  # 1 for the newest
    return [{name: row[-age] if age <= len(row) else None for name, row in named.items()} for age in ages]
