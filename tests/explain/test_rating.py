"""`explain_rating`: histories end before the rating, gates belong to the pair, contributions are differences."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch, PairBatch
from segue.batches.rated_events import RatedEvents
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.errors import ConfigError, DataError
from segue.explain.rating import explain_rating
from segue.models.base.model import Sizes
from segue.models.base.rating import PairScorer
from segue.models.popularity.pop import Pop
from segue.models.registry import MODELS
from segue.nn.recorder import record, recording
from segue.reporting.html import write_page
from segue.testing import subject
from segue.training.loop import fit

DAY, YEAR_2020 = 86_400, 1_577_836_800
EVENTS = [
    ("ann", "tea", 1, 5),
    ("ann", "milk", 2, 3),
    ("bob", "milk", 2, 4),
    ("cat", "cake", 3, 1),
    ("cat", "milk", 4, 2),
    ("ann", "cake", 5, 4),
    ("bob", "cake", 5, 2),
    ("ann", "jam", 6, 1),
]


def shop_log() -> Log:
    rows = [(user, item, YEAR_2020 + DAY * day, rating) for user, item, day, rating in EVENTS]
    return read_log(pl.DataFrame(rows, schema=["user", "item", "timestamp", "rating"], orient="row"), name="shop")


class SumRating(PairScorer):
    """The sum of the user history plus 100 times that of the item history; gates for the last two of each history."""

    name, Config = "sum", Config

    def __init__(self, window: int | None = None, item_window: int | None = None) -> None:
        super().__init__(Config(), Sizes(3, 4))
        self.window, self.item_window = window, item_window
        self.batches_seen: list[PairBatch] = []

    def predict(self, batch: PairBatch) -> Tensor:
        assert batch.item_history is not None
        self.batches_seen.append(batch)
        record("item history gate", batch.item_history[:, -2:].double() / 10)
        record("gate", batch.history[:, -2:].double() / 10)
        return (batch.history.sum(1) + 100 * batch.item_history.sum(1)).double()


def test_histories_end_before_the_rating() -> None:
    """Ids follow the names: cake 1, jam 2, milk 3, tea 4; ann 1, bob 2, cat 3. Bob had cake in the same moment."""
    model = SumRating()
    explanation = explain_rating(model, shop_log(), user="ann", item="cake", order="time")
    assert (explanation.user, explanation.item, explanation.title, explanation.day, explanation.rating) == (
        "ann",
        "cake",
        "cake",
        "2020-01-06",
        4,
    )
    assert explanation.predicted == 4 + 3 + 300
    assert [(one.name, one.day, one.rating, one.contribution) for one in explanation.history.events] == [
        ("tea", "2020-01-02", 5, 4),
        ("milk", "2020-01-03", 3, 3),
    ]
    assert [one.gates for one in explanation.history.events] == [{"gate": 0.4}, {"gate": 0.3}]
    (cat,) = explanation.item_history.events
    assert (cat.name, cat.title, cat.day, cat.rating, cat.contribution) == ("cat", "user cat", "2020-01-04", 1, 300)
    assert cat.gates == {"gate": 0.3}
    (batch,) = model.batches_seen
    assert len(batch) == 9, (
        "one call: the full histories; without each event, the older ones and all of them, twice; none"
    )
    assert batch.time.tolist() == [YEAR_2020 + 5 * DAY] * 9
    assert explanation.rest == 0
    assert explanation.summary() == "user ann is expected to rate cake 307.00; the rating was 4, on 2020-01-06."


def test_pair_without_event_is_explained_at_the_end_of_the_log() -> None:
    explanation = explain_rating(model := SumRating(), shop_log(), user="bob", item="tea", order="time")
    assert (explanation.day, explanation.rating, model.batches_seen[0].time) == (None, None, None)
    assert [one.name for one in explanation.history.events] == ["milk", "cake"]
    assert [one.title for one in explanation.item_history.events] == ["user ann"]
    assert "the log holds no event of this user with this item" in explanation.summary()
    milk = explain_rating(SumRating(), shop_log(), user="cat", item="jam").item_history
    assert [one.title for one in milk.events] == ["user ann, after cake"]


def test_events_older_than_the_window_are_not_explained() -> None:
    """With a window of 1, the older event does not take the place of the newer one."""
    explanation = explain_rating(SumRating(window=1, item_window=1), shop_log(), user="ann", item="cake")
    assert [(one.name, one.age, one.contribution) for one in explanation.history.events] == [("milk", 1, 3)]
    assert (explanation.history.num_unread, explanation.history.num_older) == (1, 0)
    assert [one.contribution for one in explanation.item_history.events] == [300]
    assert (explanation.predicted, explanation.rest) == (303, 0)


def test_the_largest_contribution_comes_first() -> None:
    explanation = explain_rating(SumRating(), shop_log(), user="bob", item="tea")
    events = explanation.history.events
    assert [(one.name, one.age, one.contribution) for one in events] == [("milk", 2, 3), ("cake", 1, 1)]


def test_newest_events_are_explained() -> None:
    explanation = explain_rating(SumRating(), shop_log(), user="ann", item="cake", last=1)
    assert [one.name for one in explanation.history.events] == ["milk"]
    assert (explanation.history.num_older, explanation.history.older) == (1, 4)
    assert explanation.predicted == 307


def test_empty_histories() -> None:
    explanation = explain_rating(SumRating(), shop_log(), user="ann", item="tea")
    assert (explanation.history.events, explanation.item_history.events, explanation.predicted) == ([], [], 0)
    assert explanation.sections() == [("User history", ["Nothing."]), ("Item history", ["Nothing."])]


RATED = synthetic.with_features(synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4)))


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if issubclass(kind, PairScorer)])
def test_every_rating_model_is_explained(name: str) -> None:
    """The prediction is that of the batch which `RatedEvents` makes of the same event."""
    model: Any = subject(MODELS[name]).build(RATED)
    fit(model, RATED)
    model.eval()
    events = RatedEvents.from_log(RATED)
    for index in (np.array([at]) for at in (5, 40, 150)):
        user, item = RATED.users.names(events.user[index]), RATED.items.names(events.item[index])
        explanation = explain_rating(model, RATED, user=user[0], item=item[0])
        same_pair = np.flatnonzero((events.user == events.user[index]) & (events.item == events.item[index]))[-1:]
        batch = events.batch(same_pair, window=model.window, item_window=model.item_window)
        with torch.inference_mode():
            assert explanation.predicted == pytest.approx(float(model.predict(batch)), abs=1e-5)
        assert all(
            np.isfinite(one.contribution) for one in (*explanation.history.events, *explanation.item_history.events)
        )
        assert any(one.contribution for one in explanation.history.events) == (model.window != 0)


@pytest.mark.parametrize("backbone", ["iarn", "tagm", "rnn", "lstm"])
def test_gates_of_iarn_belong_to_the_pair(backbone: str) -> None:
    model: Any = subject(MODELS["iarn"]).build(RATED, backbone=backbone, window=5).eval()
    events = RatedEvents.from_log(RATED)
    at = next(
        row for row in np.argsort(-events.history_lengths().sum(0)) if (events.user == events.user[row]).sum() > 7
    )
    last = np.flatnonzero((events.user == events.user[at]) & (events.item == events.item[at]))[-1:]
    user, item = RATED.users.names(events.user[last])[0], RATED.items.names(events.item[last])[0]
    explanation = explain_rating(model, RATED, user=user, item=item, order="time")
    if backbone in ("rnn", "lstm"):
        assert all(one.gates == {} for one in (*explanation.history.events, *explanation.item_history.events))
        return
    batch = events.batch(last, window=5, item_window=5)
    with torch.inference_mode():
        user_states, item_states = model._encode_users(batch), model._encode_items(batch.item, batch.item_history)
        expected = (
            model.user_network.gates(user_states, item_states.summary)[:, 0].tolist(),
            model.item_network.gates(item_states, user_states.summary)[:, 0].tolist(),
        )
    for explained, gates in zip((explanation.history, explanation.item_history), expected, strict=True):
        assert [one.gates["gate"] for one in explained.events] == pytest.approx(gates, abs=1e-6)
        assert len(gates) == 5 or explained.num_unread == 0


def test_gates_of_a_pair_are_not_recorded_in_a_ranking() -> None:
    model: Any = subject(MODELS["iarn"]).build(RATED).eval()
    with recording() as recorded, torch.inference_mode():
        model.score(Batch(torch.tensor([1]), torch.tensor([[3, 4]])))
    assert recorded == {}


def test_page_shows_both_histories(tmp_path: Any) -> None:
    explanation = explain_rating(SumRating(), shop_log(), user="ann", item="cake")
    text = write_page("Pair", explanation.sections(), tmp_path / "page.html").read_text()
    assert re.findall(r"<h2>(.*)</h2>", text) == ["User history", "Item history"]
    assert re.search(r"<div>tea</div>\n<div>2020-01-02, rated 5</div>\n<div style=\"[^\"]+\">gate 0.400</div>", text)
    assert "http" not in text


def test_log_without_ratings_or_dates() -> None:
    bare = replace(shop_log(), rating=None, time=shop_log().time - YEAR_2020)  # type: ignore[operator]
    explanation = explain_rating(SumRating(), bare, user="ann", item="cake")
    assert [explanation.rating, *(one.rating for one in explanation.history.events)] == [None, None, None]
    assert explanation.history.events[0].day == f"{DAY:,}"
    assert explanation.summary().endswith("; the event was on 432,000.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": "ann", "item": "egg"}, "unknown item 'egg'; shop knows 4 items"),
        ({"user": "Ann", "item": "tea"}, "unknown user 'Ann', did you mean 'ann'"),
        ({"user": "ann", "item": "tea", "last": 0}, "last=0: must be at least 1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        explain_rating(SumRating(), shop_log(), **arguments)


def test_ranking_models_and_logs_without_times_raise() -> None:
    pop = Pop(Pop.configure(), Sizes(3, 4))
    with pytest.raises(ConfigError, match="pop: ranks items and predicts no rating; explain it without an item"):
        explain_rating(pop, shop_log(), user="ann", item="tea")
    with pytest.raises(DataError, match="shop: has no times, so it is unknown which events came before the rating"):
        explain_rating(SumRating(), replace(shop_log(), time=None), user="ann", item="tea")
