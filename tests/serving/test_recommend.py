"""`recommend`: by name and title, for known users and for anonymous histories; ties as in evaluation."""

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
from segue.data.log import Log, Vocab
from segue.data.splits import leave_last_out
from segue.errors import DataError
from segue.evaluation.ranking import rank
from segue.models.base.model import Model, Sizes
from segue.models.popularity.pop import Pop
from segue.serving.recommend import Recommendation, lookup_ids, recommend

TITLES = ["Alien", "Brazil", "Casablanca", "Duel", "Easy Rider"]


def film_log(users: list[Any] | None = None, items: list[Any] | None = None) -> Log:
    """Three users and five films: ann saw 1 2, bob saw all, cy saw nothing."""
    small = synthetic.from_sequences([[1, 2], [1, 2, 3, 4, 5], []], num_items=5, name="films")
    return replace(
        small,
        users=Vocab(pl.Series(users or ["ann", "bob", "cy"])),
        items=Vocab(pl.Series(items or ["a", "b", "c", "d", "e"])),
        item_metadata=pl.DataFrame({"title": TITLES}),
    )


class AfterNewest(Model):
    """Scores each item by its id and the item after the newest one highest; keeps every input of `score`."""

    name, Config, window = "after-newest", Config, None

    def __init__(self) -> None:
        super().__init__(Config(), Sizes(3, 5))
        self.inputs: list[tuple[int, list[int]]] = []

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        assert not self.training
        self.inputs.append((int(batch.user[0]), batch.history[0].tolist()))
        scores = torch.arange(6.0)
        scores[batch.history[0, -1] % 5 + 1] = 9
        scores[0] = -torch.inf
        return scores[None]


def item_names(recommendations: list[Recommendation]) -> str:
    return "".join(one.item for one in recommendations)


def test_known_user_is_scored_with_own_history() -> None:
    model = AfterNewest()
    recommendations = recommend(model, film_log(), user="ann")
    assert [(one.item, one.title, one.score) for one in recommendations] == [
        ("c", "Casablanca", 9.0),
        ("e", "Easy Rider", 5.0),
        ("d", "Duel", 4.0),
    ]
    assert model.inputs == [(1, [1, 2])]


def test_seen_items_can_be_recommended_again() -> None:
    assert item_names(recommend(AfterNewest(), film_log(), user="ann", exclude_seen=False)) == "cedba"
    assert item_names(recommend(AfterNewest(), film_log(), user="ann", exclude_seen=False, k=2)) == "ce"


def test_anonymous_history() -> None:
    model = AfterNewest()
    assert item_names(recommend(model, film_log(), history=["d", "a"], k=2)) == "be"
    assert model.inputs == [(0, [4, 1])]


def test_known_user_with_another_history() -> None:
    model = AfterNewest()
    assert item_names(recommend(model, film_log(), user="bob", history=["e", "b", "e"], k=9)) == "adc"
    assert model.inputs == [(2, [5, 2, 5])]


def test_no_recommendation_when_all_items_are_seen() -> None:
    assert recommend(AfterNewest(), film_log(), user="bob") == []


def test_equal_scores_are_ordered_by_id() -> None:
    class Constant(AfterNewest):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            return torch.tensor([[-torch.inf, 1.0, 1.0, 2.0, 1.0, 2.0]])

    assert item_names(recommend(Constant(), film_log(), user="cy", history=["c"], exclude_seen=False)) == "ceabd"
    assert item_names(recommend(Constant(), film_log(), user="cy", history=["c"], k=2)) == "ea"


@pytest.mark.parametrize("num_items", [90, 3000], ids=["one round", "two rounds"])
def test_recommended_list_is_the_ranked_list_under_ties(num_items: int) -> None:
    """With most counts equal; a target tied with others is the only item whose place may differ."""
    log = synthetic.random(200, num_items, 8, seed=3)
    split = leave_last_out(log)
    model = Pop(Config(), Sizes(log.num_users, log.num_items))
    model.fit(split.train_valid)
    instances = split.instances("test")
    ranks = rank(model, instances, exclude_seen=True, depth=20)
    assert len(ranks.user) > 150
    exact = 0
    for index, user in enumerate(ranks.user):
        recommendations = recommend(model, split.train_valid, user=log.users.names([int(user)])[0], k=20)
        recommended = [lookup_ids(log, "item", [one.item])[0] for one in recommendations]
        (target,) = log.item[ranks.row[index] : ranks.row[index] + 1].tolist()
        ranked = ranks.top[index].tolist()
        exact += recommended == ranked
        others = [[item for item in items if item != target][:19] for items in (recommended, ranked)]
        assert others[0] == others[1]
    assert exact > len(ranks.user) / 2


@pytest.mark.parametrize("user", [20, "20"])
def test_names_can_be_numbers(user: Any) -> None:
    model = AfterNewest()
    numbered = film_log([10, 20, 30], [100, 200, 300, 400, 500])
    assert recommend(model, numbered, user=user, history=["100", 300], k=1)[0].item == 400
    assert model.inputs == [(2, [1, 3])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": "anne"}, r"unknown user 'anne', did you mean 'ann'\?; films knows 3 users"),
        ({"user": 7}, "unknown user 7; films knows 3 users"),
        ({"history": ["a", "zzz"]}, "unknown item 'zzz'; films knows 5 items"),
        ({}, "no user and no history given"),
        ({"history": []}, "the history is empty: give at least one item"),
        ({"user": "cy"}, "the history is empty"),
        ({"user": "ann", "k": 0}, "k=0: must be at least 1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        recommend(AfterNewest(), film_log(), **arguments)


def test_lookup_ids_keeps_the_order_of_names() -> None:
    assert lookup_ids(film_log(), "item", ["e", "a", "e"]) == [5, 1, 5]
    assert lookup_ids(film_log(), "user", []) == []


def test_recommend_does_not_change_the_log() -> None:
    log = film_log()
    before = log.item.copy()
    recommend(AfterNewest(), log, user="ann")
    assert np.array_equal(log.item, before)
