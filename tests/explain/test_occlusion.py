"""`explain`: contributions are differences of scores without an item, gates are recorded, for every model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch, PairBatch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import DataError
from segue.explain.occlusion import explain, item_ranks, recorded_values
from segue.models.base.model import DirectModel, Model, Sizes
from segue.models.base.rating import PairScorer
from segue.models.registry import MODELS
from segue.nn.recorder import record
from segue.serving.recommend import recommend
from segue.testing import subject


def film_log() -> Log:
    """Five items with titles, of which ann saw 1 2 3."""
    small = synthetic.from_sequences([[1, 2, 3], [4, 5]], num_items=6, name="films")
    return replace(small, item_metadata=pl.DataFrame({"title": [f"Film {letter}" for letter in "ABCDEF"]}))


class SumModel(Model):
    """Item j scores j times the sum of the history, item 6 the length of it; the last three items have a gate."""

    name, Config, window = "sum", Config, None

    def __init__(self) -> None:
        super().__init__(Config(), Sizes(2, 6))
        self.rows: list[int] = []

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        self.rows.append(len(batch))
        total = batch.history.sum(1).double()
        record("gate", batch.history[:, None, -3:].double() / 10)
        scores = total[:, None] * torch.arange(7)
        scores[:, 6] = (batch.history > 0).sum(1)
        scores[:, 0] = -torch.inf
        return scores


def test_contribution_is_the_score_lost_without_the_item() -> None:
    model = SumModel()
    explanation = explain(model, film_log(), user=1, k=2)
    assert [(one.item, one.title, one.score) for one in explanation.recommended] == [
        (5, "Film E", 30.0),
        (4, "Film D", 24.0),
    ]
    assert [one.item for one in explanation.past] == [1, 2, 3]
    assert [one.contributions for one in explanation.past] == [[5.0, 4.0], [10.0, 8.0], [15.0, 12.0]]
    assert [one.gates for one in explanation.past] == [{"gate": 0.1}, {"gate": 0.2}, {"gate": 0.3}]
    assert model.rows == [1, 3], "one call for the history, and one for all histories without an item"


def test_rank_changes_are_among_the_candidates() -> None:
    """Without item 3, items 4 and 5 score 12 and 15: still second and first, as seen items are not candidates."""
    assert [one.rank_changes for one in explain(SumModel(), film_log(), user=1, k=2).past] == [[0, 0], [0, 0], [0, 0]]
    explanation = explain(SumModel(), film_log(), history=[1], k=3)
    assert [one.item for one in explanation.recommended] == [5, 4, 3]
    (only,) = explanation.past
    assert only.rank_changes == [4, 3, 2], "all score 0 without it, and each ranks behind the others"
    assert only.contributions == [5.0, 4.0, 3.0]


def test_seen_items_can_be_recommended() -> None:
    explanation = explain(SumModel(), film_log(), user=1, k=6, exclude_seen=False)
    assert {one.item for one in explanation.recommended} == {1, 2, 3, 4, 5, 6}
    six = [one.item for one in explanation.recommended].index(6)
    assert [one.contributions[six] for one in explanation.past] == [1.0, 1.0, 1.0]


def test_newest_items_are_explained_and_the_model_reads_all() -> None:
    explanation = explain(SumModel(), film_log(), history=[1, 2, 3, 4, 1], k=1, last=4)
    assert [(one.item, one.gates["gate"]) for one in explanation.past] == [(2, None), (3, 0.3), (4, 0.4), (1, 0.1)]
    assert explanation.recommended[0].score == 55.0
    assert [one.contributions for one in explanation.past] == [[10.0], [15.0], [20.0], [5.0]]


def test_item_ranks_with_ties() -> None:
    scores = torch.tensor([[-torch.inf, 3.0, 1.0, 2.0], [-torch.inf, 0.0, 1.0, 0.0]])
    assert item_ranks(scores, torch.tensor([2, 1])).tolist() == [[2, 0], [0, 2]]
    assert item_ranks(scores, torch.tensor([], dtype=torch.long)).shape == (2, 0)


def test_repeated_recordings_are_numbered() -> None:
    recorded = {"attention": [torch.tensor([[[0.0, 1.0], [1.0, 2.0]]]), torch.tensor([[3.0, 4.0]])]}
    assert recorded_values(recorded, 3, range(0, 3)) == [
        {"attention 1": None, "attention 2": None},
        {"attention 1": 0.5, "attention 2": 3.0},
        {"attention 1": 1.5, "attention 2": 4.0},
    ]


class ItemIdRating(PairScorer):
    """Rates item j by j, and records a gate for each pair."""

    name, Config, window = "rated", Config, None

    def predict(self, batch: PairBatch) -> Tensor:
        record("gate", batch.history.double())
        return batch.item.double()


def test_gates_of_a_pair_are_not_part_of_recommendations() -> None:
    explanation = explain(ItemIdRating(Config(), Sizes(2, 6)), film_log(), user=1, k=2)
    assert [(one.item, one.score) for one in explanation.recommended] == [(6, 6.0), (5, 5.0)]
    assert [one.gates for one in explanation.past] == [{}, {}, {}]


MARKOV = synthetic.with_features(synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4)))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_explained(name: str) -> None:
    model: Any = subject(MODELS[name]).build(MARKOV)
    if isinstance(model, DirectModel):
        model.fit(MARKOV)
    items = [3, 7, 1, 4]
    explanation = explain(model, MARKOV, user=2, history=items, k=3)
    best = recommend(model, MARKOV, user=2, history=items, k=3)
    assert [one.item for one in explanation.recommended] == [one.item for one in best]
    for place, past in enumerate(explanation.past):
        rest = items[:place] + items[place + 1 :]
        again = recommend(model, MARKOV, user=2, history=rest, k=12, exclude_seen=False)
        scores = {one.item: one.score for one in again}
        expected = [one.score - scores[one.item] for one in best]
        np.testing.assert_allclose(past.contributions, expected, rtol=0, atol=1e-5)
        assert all(value is None or np.isfinite(value) for value in past.gates.values())
    gates = {"narm": 2, "stamp": 1, "sasrec": 2, "hgn": 2}
    if name in gates:
        assert len(explanation.past[-1].gates) == gates[name]
    (alone,) = explain(model, MARKOV, history=[5], k=2).past
    assert np.isfinite(alone.contributions).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": 9}, "unknown user 9; films knows 2 users"),
        ({"history": [1, 77]}, "unknown item 77; films knows 6 items"),
        ({}, "no user and no history given"),
        ({"history": []}, "the history is empty: give at least one item"),
        ({"user": 1, "k": 0}, "k=0: must be at least 1"),
        ({"user": 1, "last": 0}, "last=0: must be at least 1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        explain(SumModel(), film_log(), **arguments)
