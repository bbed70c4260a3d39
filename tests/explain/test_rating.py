"""`explain_meeting`: what is read is what came strictly before, gates are the pair's, leaving out is asking without."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.errors import ConfigError, DataError
from segue.explain.rating import explain_meeting, said, sections
from segue.models.base.model import Sizes
from segue.models.base.rating import PairScorer
from segue.models.popularity.pop import Pop
from segue.models.registry import MODELS
from segue.nn.recorder import record, recording
from segue.reporting.charts import page
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


def log() -> Log:
    rows = [(user, item, YEAR_2020 + DAY * day, rating) for user, item, day, rating in EVENTS]
    return read_log(pl.DataFrame(rows, schema=["user", "item", "timestamp", "rating"], orient="row"), name="shop")


class Sum(PairScorer):
    """10 times the sum of the history and the audience, weighted 1 and 100; a gate on the last two of each side."""

    name, Config = "sum", Config

    def __init__(self, window: int | None = None, audience: int | None = None) -> None:
        super().__init__(Config(), Sizes(3, 4))
        self.window, self.audience = window, audience
        self.asked: list[Batch] = []

    def predict(self, batch: Batch) -> Tensor:
        assert batch.audience is not None
        self.asked.append(batch)
        record("item history gate", batch.audience[:, -2:].double() / 10)
        record("gate", batch.history[:, -2:].double() / 10)
        return (batch.history.sum(1) + 100 * batch.audience.sum(1)).double()


def test_histories_are_those_before_the_two_met() -> None:
    """Ids follow the names: cake 1, jam 2, milk 3, tea 4; ann 1, bob 2, cat 3. Bob had cake in the same moment."""
    model = Sum()
    found = explain_meeting(model, log(), user="ann", item="cake")
    assert (found.user, found.item, found.title, found.day, found.rating) == ("ann", "cake", "cake", "2020-01-06", 4)
    assert found.predicted == 4 + 3 + 300
    assert [(one.name, one.day, one.rating, one.lends) for one in found.history] == [
        ("tea", "2020-01-02", 5, 4),
        ("milk", "2020-01-03", 3, 3),
    ]
    assert [one.gates for one in found.history] == [{"gate": 0.4}, {"gate": 0.3}]
    (cat,) = found.audience
    assert (cat.name, cat.title, cat.day, cat.rating, cat.lends) == ("cat", "user cat", "2020-01-04", 1, 300)
    assert cat.gates == {"gate": 0.3}
    (asked,) = model.asked
    assert len(asked) == 4, "one call: as it is, without each of three steps"
    assert asked.time is not None
    assert asked.time.tolist() == [YEAR_2020 + 5 * DAY] * 4
    assert said(found) == "user ann is expected to rate cake 307.00; the rating was 4, on 2020-01-06."


def test_who_have_not_met_are_asked_about_at_the_end() -> None:
    found = explain_meeting(model := Sum(), log(), user="bob", item="tea")
    assert (found.day, found.rating, model.asked[0].time) == (None, None, None)
    assert [one.name for one in found.history] == ["milk", "cake"]
    assert [one.title for one in found.audience] == ["user ann"]
    assert "the log does not say that they have met" in said(found)
    milk = explain_meeting(Sum(), log(), user="cat", item="jam").audience
    assert [one.title for one in milk] == ["user ann, after cake"]


def test_what_is_older_than_the_model_reads_makes_room() -> None:
    """With a window of 1, the older step takes the place of the newer; and nothing is lost without the older."""
    found = explain_meeting(Sum(window=1, audience=1), log(), user="ann", item="cake")
    assert [one.lends for one in found.history] == [0, 3 - 4]
    assert [one.gates for one in found.history] == [{"gate": None}, {"gate": 0.3}]
    assert [one.lends for one in found.audience] == [300]


def test_only_the_newest_are_explained() -> None:
    found = explain_meeting(Sum(), log(), user="ann", item="cake", last=1)
    assert [one.name for one in found.history] == ["milk"]
    assert found.predicted == 307


def test_nothing_to_read() -> None:
    found = explain_meeting(Sum(), log(), user="ann", item="tea")
    assert (found.history, found.audience, found.predicted) == ([], [], 0)
    assert sections(found) == [("What the user had met", ["Nothing."]), ("Who had met the item", ["Nothing."])]


RATED = synthetic.with_features(synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4)))


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if issubclass(kind, PairScorer)])
def test_every_model_of_ratings_is_explained(name: str) -> None:
    """What `RatedEvents` makes of the same event is what is asked."""
    model: Any = subject(MODELS[name]).build(RATED)
    fit(model, RATED)
    model.eval()
    pairs = RatedEvents.of(RATED)
    for index in (np.array([at]) for at in (5, 40, 150)):
        user, item = RATED.users.names(pairs.user[index]), RATED.items.names(pairs.item[index])
        found = explain_meeting(model, RATED, user=user[0], item=item[0])
        together = np.flatnonzero((pairs.user == pairs.user[index]) & (pairs.item == pairs.item[index]))[-1:]
        batch = pairs.batch(together, history=model.window, audience=model.audience)
        with torch.inference_mode():
            assert found.predicted == pytest.approx(float(model.predict(batch)), abs=1e-5)
        assert all(np.isfinite(one.lends) for one in (*found.history, *found.audience))
        assert any(one.lends for one in found.history) == (model.window != 0)


@pytest.mark.parametrize("backbone", ["iarn", "tagm", "rnn", "lstm"])
def test_gates_of_iarn_are_those_of_the_pair(backbone: str) -> None:
    model: Any = subject(MODELS["iarn"]).build(RATED, backbone=backbone, window=5).eval()
    pairs = RatedEvents.of(RATED)
    at = next(row for row in np.argsort(-pairs.lengths()) if (pairs.user == pairs.user[row]).sum() > 7)
    last = np.flatnonzero((pairs.user == pairs.user[at]) & (pairs.item == pairs.item[at]))[-1:]
    user, item = RATED.users.names(pairs.user[last])[0], RATED.items.names(pairs.item[last])[0]
    found = explain_meeting(model, RATED, user=user, item=item)
    if backbone in ("rnn", "lstm"):
        assert all(one.gates == {} for one in (*found.history, *found.audience))
        return
    batch = pairs.batch(last, history=5, audience=5)
    with torch.inference_mode():
        mine, theirs = model._encode_users(batch), model._encode_items(batch.target[:, 0], batch.audience)
        wanted = (
            model.user_network.gates(mine, theirs.summary)[:, 0].tolist(),
            model.item_network.gates(theirs, mine.summary)[:, 0].tolist(),
        )
    for steps, gates in zip((found.history, found.audience), wanted, strict=True):
        known = [one.gates["gate"] for one in steps]
        assert known[: -len(gates)] == [None] * (len(steps) - len(gates))
        assert known[-len(gates) :] == pytest.approx(gates, abs=1e-6)
        assert len(gates) == min(5, len(steps))


def test_gates_of_a_pair_are_not_told_of_a_ranking() -> None:
    model: Any = subject(MODELS["iarn"]).build(RATED).eval()
    with recording() as heard, torch.inference_mode():
        model.score(Batch(torch.tensor([1]), torch.tensor([[3, 4]])))
    assert heard == {}


def test_a_page_shows_both_sides(tmp_path: Any) -> None:
    found = explain_meeting(Sum(), log(), user="ann", item="cake")
    text = page("Pair", sections(found), tmp_path / "page.html").read_text()
    assert re.findall(r"<h2>(.*)</h2>", text) == ["What the user had met", "Who had met the item"]
    assert re.search(r"<div>tea</div>\n<div>2020-01-02, rated 5</div>\n<div style=\"[^\"]+\">gate 0.400</div>", text)
    assert "http" not in text


def test_a_log_without_ratings_or_dates() -> None:
    bare = replace(log(), rating=None, time=log().time - YEAR_2020)  # type: ignore[operator]
    found = explain_meeting(Sum(), bare, user="ann", item="cake")
    assert [found.rating, *(one.rating for one in found.history)] == [None, None, None]
    assert found.history[0].day == f"{DAY:,}"
    assert said(found).endswith("; they met on 432,000.")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"user": "ann", "item": "egg"}, "unknown item 'egg'; shop knows 4 items"),
        ({"user": "Ann", "item": "tea"}, "unknown user 'Ann', did you mean 'ann'"),
        ({"user": "ann", "item": "tea", "last": 0}, "last=0: must be at least 1"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        explain_meeting(Sum(), log(), **asked)


def test_models_and_logs_that_know_no_pairs() -> None:
    pop = Pop(Pop.configure(), Sizes(3, 4))
    with pytest.raises(ConfigError, match="pop: ranks items and predicts no rating; explain it without an item"):
        explain_meeting(pop, log(), user="ann", item="tea")
    with pytest.raises(DataError, match="shop: who met an item before whom is not known: this log has no times"):
        explain_meeting(Sum(), replace(log(), time=None), user="ann", item="tea")
