"""Why items were recommended: what each past item contributes to their scores."""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, Field

from segue.explain.occlusion import is_additive, occlude, score_all_items
from segue.service.items.catalogue import Catalogue
from segue.service.models.loaded_model import Answer, LoadedModel
from segue.serving.query import Query, make_batch

LAST = 20  # past items that are explained one by one


class Contribution(BaseModel):
    """What an item of the history does to the score of a recommended one."""

    item: str = Field(description="Name of the item.", examples=["sku1"])
    title: str = Field(description="Its title.", examples=["A tea pot"])
    age: int = Field(description="1 for the newest item of the history, 2 for the one before, and so on.", examples=[1])
    contribution: float = Field(description="The score minus the score without the item.", examples=[0.7])


class Explanation(BaseModel):
    """The parts of a score."""

    past: list[Contribution] = Field(description="The newest items of the history that matter, the largest first.")
    older: float | None = Field(description="What older items contribute together; null where it has no score then.")
    rest: float | None = Field(description="What no item carries, such as popularity; null where it has no score then.")
    rules: float = Field(description="What the boosts of the shop's rules add.", examples=[0])
    additive: bool = Field(description="Whether the parts add up to the score, except for rounding.")


def explain_items(catalogue: Catalogue, loaded: LoadedModel, query: Query, answer: Answer) -> list[Explanation]:
    """Explain the items that a model recommended. It takes as long as scoring some 20 histories.

    Args:
        catalogue: has the titles.
        loaded: the model.
        query: the user and the history.
        answer: the recommended items, with their scores.
    """
    model, numbers = loaded.model, catalogue.numbers_of(loaded)
    batch = make_batch(model, loaded.saved.log, [query], len(query.items))
    scores = score_all_items(model, model.readable(batch))
    ids, excluded = torch.tensor(answer.ids, dtype=torch.long), torch.empty(0, dtype=torch.long)
    found = occlude(model, batch, scores, ids, last=LAST, excluded=excluded)
    explanations = []
    for column, (item, score) in enumerate(zip(answer.ids, answer.scores, strict=True)):
        *values, older, _ = (_number(value) for value in found.contributions[:, column].tolist())
        past = [
            Contribution(
                item=loaded.tokens[query.items[position]],
                title=catalogue.title(int(numbers[query.items[position]])),
                age=len(query.items) - position,
                contribution=value,
            )
            for position, value in zip(found.positions, values, strict=True)
            if value
        ]
        past.sort(key=lambda one: (-abs(one.contribution), one.age))
        explanations.append(
            Explanation(
                past=past,
                older=older,
                rest=_number(float(found.rest[column])),
                rules=score - float(scores[0, item]),
                additive=is_additive(model),
            )
        )
    return explanations


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
