"""Why items were recommended: what each past item contributes to their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from segue.batches.batch import Batch
from segue.explain.occlusion import is_additive, occlude, score_all_items
from segue.service.models.loaded_model import LoadedModel
from segue.serving.query import Query

LAST = 20  # past items that are explained one by one


@dataclass(frozen=True)
class ItemExplanation:
    """The parts of the score of one item.

    Attributes:
        past: (id of an item of the history, its age from 1 for the newest, contribution), the largest first.
        older: what older items that the model reads contribute together; None where a re-ranking model does not rank
            the item without them.
        rest: the part that no item carries.
        score: the score of the model, without boosts.
        additive: whether the parts add up to this score, except for rounding.
    """

    past: list[tuple[int, int, float]]
    older: float | None
    rest: float | None
    score: float
    additive: bool


def explain_items(loaded: LoadedModel, query: Query, ids: Sequence[int]) -> list[ItemExplanation]:
    """Explain items that a model recommended. It takes as long as scoring some 20 histories.

    Args:
        loaded: the model.
        query: the user and the history.
        ids: the items, by the ids of the model.
    """
    model = loaded.model
    batch = Batch(torch.tensor([query.user]), torch.from_numpy(query.items)[None])
    scores = score_all_items(model, model.readable(batch))
    found = occlude(
        model, batch, scores, torch.tensor(ids, dtype=torch.long), last=LAST, excluded=torch.empty(0, dtype=torch.long)
    )
    explanations = []
    for column, item in enumerate(ids):
        values = [_number(value) for value in found.contributions[:, column].tolist()]
        past = [
            (int(query.items[position]), len(query.items) - position, value)
            for position, value in zip(found.positions, values[:-2], strict=True)
            if value
        ]
        past.sort(key=lambda one: (-abs(one[2]), one[1]))
        rest = _number(float(found.rest[column]))
        explanations.append(ItemExplanation(past, values[-2], rest, float(scores[0, item]), is_additive(model)))
    return explanations


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
