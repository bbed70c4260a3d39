"""`recommend`: by name and title, for known users and for anonymous histories; ties as in evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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
from segue.errors import DataError, TrainingError
from segue.evaluation.ranking import rank
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.experiments.experiment import Experiment
from segue.models.base.model import Model, Sizes
from segue.models.ensembles.blend import Blend
from segue.models.ensembles.rerank import Rerank
from segue.models.popularity.pop import Pop
from segue.models.registry import MODELS
from segue.serving.query import lookup_ids
from segue.serving.recommend import Recommendations, recommend
from segue.serving.saved_model import load, save
from segue.training.loop import fit

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


def item_names(recommendations: Recommendations) -> str:
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
    recommendations = recommend(AfterNewest(), film_log(), user="bob")
    assert list(recommendations) == []
    assert recommendations.why_empty() == "every item was seen"


def test_equal_scores_are_ordered_by_id() -> None:
    class Constant(AfterNewest):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            return torch.tensor([[-torch.inf, 1.0, 1.0, 2.0, 1.0, 2.0]])

    assert item_names(recommend(Constant(), film_log(), user="cy", history=["c"], exclude_seen=False)) == "ceabd"
    assert item_names(recommend(Constant(), film_log(), user="cy", history=["c"], k=2)) == "ea"


@pytest.mark.parametrize("num_items", [90, 3000], ids=["one round", "two rounds"])
def test_recommended_list_is_the_evaluated_list_under_ties(num_items: int) -> None:
    """Most counts are equal, and targets tie with other items."""
    log = synthetic.random(200, num_items, 8, seed=3)
    split = leave_last_out(log)
    model = Pop(Pop.configure(), Sizes(log.num_users, log.num_items))
    model.fit(split.train_valid)
    ranks = rank(model, split.instances("test"), exclude_seen=True, depth=20)
    assert len(ranks.user) > 150
    for index, user in enumerate(ranks.user):
        name = log.users.names([int(user)])[0]
        recommended = [one.item for one in recommend(model, split.train_valid, user=name, k=20)]
        assert log.items.ids(recommended).tolist() == ranks.top[index].tolist()
        assert [one.item for one in recommend(model, split.train_valid, user=name, k=3)] == recommended[:3]


@pytest.mark.parametrize("user", [20, "20"])
def test_names_can_be_numbers(user: Any) -> None:
    model = AfterNewest()
    numbered = film_log([10, 20, 30], [100, 200, 300, 400, 500])
    assert recommend(model, numbered, user=user, history=["100", 300], k=1)[0].item == 400
    assert model.inputs == [(2, [1, 3])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": "anne", "strict": True}, r"unknown user 'anne', did you mean 'ann'\?; films knows 3 users"),
        ({"user": 7, "strict": True}, "unknown user 7; films knows 3 users"),
        ({"user": "anne", "history": ["a"], "strict": True}, "unknown user 'anne'"),
        ({"history": ["a", "zzz"], "strict": True}, "unknown item 'zzz'; films knows 5 items"),
        ({}, "no user and no history given"),
        ({"user": "ann", "k": 0}, "k=0: must be at least 1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        recommend(AfterNewest(), film_log(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "reason", "wanted"),
    [
        ({"user": "anne"}, "user 'anne' is unknown, did you mean 'ann'?", "abcde"),
        ({"user": "cy"}, "user cy has no events", "abcde"),
        ({"history": []}, "the history is empty", "abcde"),
        ({"history": ["x", "y"]}, "no item of the history is known", "abcde"),
        ({"user": "ann", "history": []}, "the history is empty", "abcde"),
        ({"user": "anne", "k": 2}, "user 'anne' is unknown, did you mean 'ann'?", "ab"),
    ],
)
def test_popularity_stands_in_where_there_is_no_history(arguments: dict[str, Any], reason: str, wanted: str) -> None:
    recommendations = recommend(AfterNewest(), film_log(), **arguments)
    assert recommendations.fallback == reason
    assert item_names(recommendations) == wanted
    assert [one.score for one in recommendations] == [2, 2, 1, 1, 1][: len(wanted)], "the scores are numbers of events"
    sentence = reason if reason.endswith("?") else f"{reason}."
    assert recommendations.notes()[0] == f"Fallback: popularity, because {sentence} The scores are numbers of events."


class Equal(AfterNewest):
    """The same score for every item."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return torch.tensor([[-torch.inf, 0.0, 0.0, 0.0, 0.0, 0.0]]).repeat(len(batch), 1)


def test_popularity_stands_in_for_equal_scores() -> None:
    log = film_log()
    log = replace(log, item=np.array([5, 2, 1, 5, 2, 3, 4], np.int32))  # counts of a to e: 1 2 1 1 2
    recommendations = recommend(Equal(), log, history=["b"], exclude_seen=False)
    assert recommendations.fallback == "the model gives all items the same score"
    assert item_names(recommendations) == "beacd"
    assert item_names(recommend(Equal(), log, history=["b"])) == "eacd", "seen items are left out of the fallback, too"
    left = recommend(Equal(), log, history=["b", "c", "a"])
    assert (item_names(left), left.fallback) == ("ed", "the model gives all items the same score")
    last = recommend(Equal(), log, history=["b", "c", "a", "e"])
    assert (item_names(last), last.fallback) == ("d", None), "there is only one order of one item"


def test_a_model_that_reads_no_history_answers_without_one() -> None:
    log = film_log()
    model = Pop(Pop.configure(), Sizes(3, 5))
    model.fit(log)
    recommendations = recommend(model, log, user="anne", k=1)
    assert recommendations.fallback is None
    assert recommendations.unknown_user == "anne"
    assert recommendations.notes() == ["User 'anne' is unknown, and is taken as an anonymous user."]


def test_unknown_items_of_a_history_are_left_out_with_a_note() -> None:
    model = AfterNewest()
    recommendations = recommend(model, film_log(), user="bob", history=["d", "x", "a", "y"], k=2)
    assert model.inputs == [(2, [4, 1])]
    assert recommendations.ignored == ("x", "y")
    assert recommendations.notes() == ["Left out of the history: 2 items that the model does not know ('x', 'y')."]
    unknown = recommend(model, film_log(), user="anne", history=["d"])
    assert unknown.notes() == ["User 'anne' is unknown, and is taken as an anonymous user."]
    assert model.inputs[-1] == (0, [4])


def test_equal_scores_at_the_end_are_said() -> None:
    class Zeros(AfterNewest):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            return torch.tensor([[-torch.inf, 0.0, 3.0, 0.0, 2.0, 0.0]])

    recommendations = recommend(Zeros(), film_log(), history=["a"])
    assert item_names(recommendations) == "bdce"
    assert recommendations.notes() == [
        "Ranks 3 to 4 have the same score, so the model does not order these items; they are in the order of the item "
        "ids."
    ]
    assert recommend(Zeros(), film_log(), history=["a"], k=3).notes() == []


def test_scores_that_are_not_numbers_are_an_error() -> None:
    class NotANumber(AfterNewest):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            return torch.tensor([[-torch.inf, 1.0, torch.nan, 0.0, 0.0, 0.0]])

    with pytest.raises(TrainingError, match="NotANumber scores NaN"):
        recommend(NotANumber(), film_log(), history=["a"])


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_seen_items_are_left_out_as_in_the_evaluation(exclude_seen: bool, tmp_path: Path) -> None:
    log = synthetic.markov(30, 12, 8, seed=1)
    protocol = replace(RankingProtocol.named("leave-one-out"), exclude_seen=exclude_seen)
    outcome = Experiment(model="item-knn", protocol=protocol).run(log)
    saved = load(save(outcome.model, log, tmp_path / "with facts", **outcome.about()))
    bare = load(save(outcome.model, log, tmp_path / "without facts"))
    blend = Blend(saved.model, bare.model, weight=0.5)
    seen = {log.items.names([i])[0] for i in log.history(3)}
    user = log.users.names([3])[0]
    for model in (outcome.model, saved.model, bare.model, blend, Rerank(saved.model, bare.model)):
        listed = {one.item for one in recommend(model, log, user=user, k=12)}
        assert (len(listed & seen) == 0) == exclude_seen
        other = {one.item for one in recommend(model, log, user=user, k=12, exclude_seen=not exclude_seen)}
        assert (len(other & seen) == 0) != exclude_seen


def test_lookup_ids_keeps_the_order_of_names() -> None:
    assert lookup_ids(film_log(), "item", ["e", "a", "e"]) == [5, 1, 5]
    assert lookup_ids(film_log(), "user", []) == []


def test_recommend_does_not_change_the_log() -> None:
    log = film_log()
    before = log.item.copy()
    recommend(AfterNewest(), log, user="ann")
    assert np.array_equal(log.item, before)


def test_a_list_of_a_re_ranker_ends_with_its_candidates() -> None:
    log = synthetic.markov(num_users=30, num_items=40, length=12, seed=3)
    first, second = MODELS["item-knn"], MODELS["pop"]
    parts = []
    for kind in (first, second):
        part = kind(kind.Config(), Sizes.of(log))
        fit(part, log)
        parts.append(part)
    model = Rerank(*parts, candidates=5)
    found = recommend(model, log, user=log.users.names([1])[0], k=20, exclude_seen=True)
    assert 0 < len(found) <= 5
    assert min(one.score for one in found) > 0, "the numbers of events of candidates, and not the score of the rest"
    assert "the first stage of the model returns 5 candidates" in found.notes()[0]
    short = recommend(model, log, user=log.users.names([1])[0], k=2, exclude_seen=True)
    assert short.items == found.items[:2]
    assert short.notes() == []


def test_an_answer_of_the_model_does_not_count_the_events_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    count = Log.counts
    monkeypatch.setattr(Log, "counts", lambda self: (counted.append(len(self)), count(self))[1])
    log = film_log()
    assert recommend(AfterNewest(), log, user="ann", k=2).fallback is None
    assert counted == []  # its time does not grow with the log
    found = recommend(AfterNewest(), log, user="cy", k=2)
    assert found.fallback is not None
    assert [one.item for one in found] == ["a", "b"]
    assert counted == [7]


class ReadsTimes(AfterNewest):
    """Keeps the times of every input of `score`."""

    reads_times = reads_request_time = True

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[list[int], int]] = []

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        assert batch.times is not None
        assert batch.time is not None
        self.times.append((batch.times[0].tolist(), int(batch.time[0])))
        return super().score(batch, items)


def test_a_model_that_reads_times_is_told_those_of_the_history_and_of_the_request() -> None:
    """By default the request is at the time of the newest event, and so are events without a time."""
    log = film_log()
    log = replace(log, time=np.array([5, 7, 1, 2, 3, 4, 9]))
    model = ReadsTimes()
    recommend(model, log, user="ann")
    recommend(model, log, user="ann", time=20)
    recommend(model, log, history=["d", "x", "a"], times=[1, 2, 3], time=4)
    recommend(model, log, history=["d", "a"])
    assert model.times == [([5, 7], 9), ([5, 7], 20), ([1, 3], 4), ([9, 9], 9)]
    with pytest.raises(DataError, match="2 times for 1 items of the history: each needs its own"):
        recommend(model, log, history=["d"], times=[1, 2])
    with pytest.raises(DataError, match="films: has no times"):
        recommend(model, film_log(), user="ann")
