"""`recommend`: by name, by title, for anybody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log, Vocab
from segue.errors import DataError
from segue.models.base.model import Model, Sizes
from segue.serving.recommend import known, recommend

TITLES = ["Alien", "Brazil", "Casablanca", "Duel", "Easy Rider"]


def log(users: list[Any] | None = None, items: list[Any] | None = None) -> Log:
    """Three users and five films: ann saw 1 2, bob saw all, cy saw nothing."""
    small = synthetic.from_sequences([[1, 2], [1, 2, 3, 4, 5], []], num_items=5, name="films")
    return replace(
        small,
        users=Vocab(pl.Series(users or ["ann", "bob", "cy"])),
        items=Vocab(pl.Series(items or ["a", "b", "c", "d", "e"])),
        item_table=pl.DataFrame({"title": TITLES}),
    )


class Newest(Model):
    """Scores each item by its id, above all that which follows the newest; keeps what it was asked."""

    name, Config, window = "newest", Config, None

    def __init__(self) -> None:
        super().__init__(Config(), Sizes(3, 5))
        self.asked: list[tuple[int, list[int]]] = []

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        assert not self.training
        self.asked.append((int(batch.user[0]), batch.history[0].tolist()))
        scores = torch.arange(6.0)
        scores[batch.history[0, -1] % 5 + 1] = 9
        scores[0] = -torch.inf
        return scores[None]


def names(found: list[Any]) -> str:
    return "".join(one.item for one in found)


def test_a_known_user_is_asked_about_with_their_history() -> None:
    model = Newest()
    found = recommend(model, log(), user="ann")
    assert [(one.item, one.title, one.score) for one in found] == [
        ("c", "Casablanca", 9.0),
        ("e", "Easy Rider", 5.0),
        ("d", "Duel", 4.0),
    ]
    assert model.asked == [(1, [1, 2])]


def test_seen_items_may_stay() -> None:
    assert names(recommend(Newest(), log(), user="ann", exclude_seen=False)) == "cedba"
    assert names(recommend(Newest(), log(), user="ann", exclude_seen=False, k=2)) == "ce"


def test_anybody_with_a_history() -> None:
    model = Newest()
    assert names(recommend(model, log(), history=["d", "a"], k=2)) == "be"
    assert model.asked == [(0, [4, 1])]


def test_a_known_user_with_another_history() -> None:
    model = Newest()
    assert names(recommend(model, log(), user="bob", history=["e", "b", "e"], k=9)) == "adc"
    assert model.asked == [(2, [5, 2, 5])]


def test_nothing_is_left_for_who_has_seen_everything() -> None:
    assert recommend(Newest(), log(), user="bob") == []


@pytest.mark.parametrize("user", [20, "20"])
def test_names_that_are_numbers(user: Any) -> None:
    model = Newest()
    numbered = log([10, 20, 30], [100, 200, 300, 400, 500])
    assert recommend(model, numbered, user=user, history=["100", 300], k=1)[0].item == 400
    assert model.asked == [(2, [1, 3])]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"user": "anne"}, r"unknown user 'anne', did you mean 'ann'\?; films knows 3 users"),
        ({"user": 7}, "unknown user 7; films knows 3 users"),
        ({"history": ["a", "zzz"]}, "unknown item 'zzz'; films knows 5 items"),
        ({}, "whom to recommend to"),
        ({"history": []}, "the history is empty: give at least one item"),
        ({"user": "cy"}, "the history is empty"),
        ({"user": "ann", "k": 0}, "k=0: must be at least 1"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        recommend(Newest(), log(), **asked)


def test_known_gives_ids_in_order() -> None:
    assert known(log(), "item", ["e", "a", "e"]) == [5, 1, 5]
    assert known(log(), "user", []) == []


def test_the_log_is_left_alone() -> None:
    one = log()
    before = one.item.copy()
    recommend(Newest(), one, user="ann")
    assert (one.item == before).all()
