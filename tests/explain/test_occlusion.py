"""`explain`: leaving out is asking without the item, gates are those of the whole history, for every model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import DataError
from segue.explain.occlusion import columns, explain, ranks
from segue.models.base.model import DirectModel, Model, Sizes
from segue.models.base.rating import PairScorer
from segue.models.registry import MODELS
from segue.nn.recorder import record
from segue.serving.recommend import recommend
from segue.testing import subject


def log() -> Log:
    """Five items with titles, of which ann saw 1 2 3."""
    small = synthetic.from_sequences([[1, 2, 3], [4, 5]], num_items=6, name="films")
    return replace(small, item_metadata=pl.DataFrame({"title": [f"Film {letter}" for letter in "ABCDEF"]}))


class Sum(Model):
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


def test_what_an_item_lends_is_what_is_lost_without_it() -> None:
    model = Sum()
    found = explain(model, log(), user=1, k=2)
    assert [(one.item, one.title, one.score) for one in found.recommended] == [(5, "Film E", 30.0), (4, "Film D", 24.0)]
    assert [one.item for one in found.past] == [1, 2, 3]
    assert [one.lends for one in found.past] == [[5.0, 4.0], [10.0, 8.0], [15.0, 12.0]]
    assert [one.gates for one in found.past] == [{"gate": 0.1}, {"gate": 0.2}, {"gate": 0.3}]
    assert model.rows == [1, 3], "one question, and one for all that it is asked without"


def test_places_are_among_what_may_be_recommended() -> None:
    """Without item 3, items 4 and 5 score 12 and 15: still first and second, as what was seen is no candidate."""
    assert [one.places for one in explain(Sum(), log(), user=1, k=2).past] == [[0, 0], [0, 0], [0, 0]]
    found = explain(Sum(), log(), history=[1], k=3)
    assert [one.item for one in found.recommended] == [5, 4, 3]
    (only,) = found.past
    assert only.places == [4, 3, 2], "all score 0 without it, and each stands behind the others"
    assert only.lends == [5.0, 4.0, 3.0]


def test_seen_items_may_stay() -> None:
    found = explain(Sum(), log(), user=1, k=6, exclude_seen=False)
    assert {one.item for one in found.recommended} == {1, 2, 3, 4, 5, 6}
    six = [one.item for one in found.recommended].index(6)
    assert [one.lends[six] for one in found.past] == [1.0, 1.0, 1.0]


def test_the_newest_are_explained_and_the_model_reads_all() -> None:
    found = explain(Sum(), log(), history=[1, 2, 3, 4, 1], k=1, last=4)
    assert [(one.item, one.gates["gate"]) for one in found.past] == [(2, None), (3, 0.3), (4, 0.4), (1, 0.1)]
    assert found.recommended[0].score == 55.0
    assert [one.lends for one in found.past] == [[10.0], [15.0], [20.0], [5.0]]


def test_ranks() -> None:
    scores = torch.tensor([[-torch.inf, 3.0, 1.0, 2.0], [-torch.inf, 0.0, 1.0, 0.0]])
    assert ranks(scores, torch.tensor([2, 1])).tolist() == [[2, 0], [0, 2]]
    assert ranks(scores, torch.tensor([], dtype=torch.long)).shape == (2, 0)


def test_what_is_told_twice_is_numbered() -> None:
    heard = {"attention": [torch.tensor([[[0.0, 1.0], [1.0, 2.0]]]), torch.tensor([[3.0, 4.0]])]}
    assert columns(heard, 3, range(0, 3)) == [
        {"attention 1": None, "attention 2": None},
        {"attention 1": 0.5, "attention 2": 3.0},
        {"attention 1": 1.5, "attention 2": 4.0},
    ]


class RatingPredictions(PairScorer):
    """Rates item j by j, and tells a gate of each pair."""

    name, Config, window = "rated", Config, None

    def predict(self, batch: Batch) -> Tensor:
        assert batch.target is not None
        record("gate", batch.history.double())
        return batch.target[:, 0].double()


def test_gates_of_a_pair_are_no_part_of_a_list() -> None:
    found = explain(RatingPredictions(Config(), Sizes(2, 6)), log(), user=1, k=2)
    assert [(one.item, one.score) for one in found.recommended] == [(6, 6.0), (5, 5.0)]
    assert [one.gates for one in found.past] == [{}, {}, {}]


MARKOV = synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_explained(name: str) -> None:
    model: Any = subject(MODELS[name]).build(MARKOV)
    if isinstance(model, DirectModel):
        model.fit(MARKOV)
    items = [3, 7, 1, 4]
    found = explain(model, MARKOV, user=2, history=items, k=3)
    best = recommend(model, MARKOV, user=2, history=items, k=3)
    assert [one.item for one in found.recommended] == [one.item for one in best]
    for place, past in enumerate(found.past):
        rest = items[:place] + items[place + 1 :]
        again = recommend(model, MARKOV, user=2, history=rest, k=12, exclude_seen=False)
        without = {one.item: one.score for one in again}
        wanted = [one.score - without[one.item] for one in best]
        np.testing.assert_allclose(past.lends, wanted, rtol=0, atol=1e-5)
        assert all(value is None or np.isfinite(value) for value in past.gates.values())
    gates = {"narm": 2, "stamp": 1, "sasrec": 2, "hgn": 2}
    if name in gates:
        assert len(found.past[-1].gates) == gates[name]
    (alone,) = explain(model, MARKOV, history=[5], k=2).past
    assert np.isfinite(alone.lends).all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"user": 9}, "unknown user 9; films knows 2 users"),
        ({"history": [1, 77]}, "unknown item 77; films knows 6 items"),
        ({}, "whom to recommend to"),
        ({"history": []}, "the history is empty: give at least one item"),
        ({"user": 1, "k": 0}, "k=0: must be at least 1"),
        ({"user": 1, "last": 0}, "last=0: must be at least 1"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        explain(Sum(), log(), **asked)
