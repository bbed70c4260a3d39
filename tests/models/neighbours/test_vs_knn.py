"""VS-KNN against a plain implementation with loops."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError
from segue.models.base import session_knn
from segue.models.base.model import Sizes
from segue.models.neighbours.vs_knn import VSKNN

ITEMS = 5
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=6), min_size=1, max_size=6)
SETTINGS = st.fixed_dictionaries(
    {
        "sample_size": st.sampled_from([None, 2]),
        "window": st.sampled_from([None, 1, 3]),
        "weighting": st.sampled_from(["decay", "linear", "div"]),
        "position_decay": st.just(0.6),
        "min_position_weight": st.sampled_from([0.0, 0.2]),
        "alpha": st.sampled_from([0.0, 0.6]),
        "length_discount": st.sampled_from([0.0, 0.5]),
        "beta": st.sampled_from([0.0, 0.3]),
        "shrinkage": st.sampled_from([0.0, 2.0]),
        "distance_decay": st.sampled_from([0.0, 0.7]),
        "backward_weight": st.sampled_from([0.0, 0.4]),
        "weight_last_match": st.booleans(),
    }
)


def fitted(log: Log, preset: str | None = None, **choices: Any) -> VSKNN:
    model = VSKNN(VSKNN.configure(choices, preset), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def score(model: VSKNN, *history: int, user: int = 0) -> torch.Tensor:
    return model.score(Batch(torch.tensor([user]), torch.tensor([history])))[0, 1:]


def expected(histories: list[list[int]], history: list[int], user: int, config: Any) -> list[float]:
    """The scores of items 1..ITEMS by the definitions of the module's docstring; all neighbours are used."""
    history = [item for item in history if item][-(config.window or 99) :]
    weight = {}
    for place in range(len(history)):
        age = len(history) - 1 - place
        decayed = config.min_position_weight + (1 - config.min_position_weight) * config.position_decay**age
        weight[place] = {"linear": 1 - age / len(history), "div": 1 / (age + 1), "decay": decayed}[config.weighting]
    places = [{item: place for place, item in enumerate(history)} for history in histories]
    counts = {item: sum(item in p for p in places) for item in range(1, ITEMS + 1)}
    shrunk = {item: max(n, 1) + config.shrinkage for item, n in counts.items()}
    known = [n for n in range(len(histories), 0, -1) if n != user and set(history) & set(places[n - 1])]
    scores = dict.fromkeys(counts, 0.0)
    for n in known[: config.sample_size]:
        here = places[n - 1]
        length = (len(here) + config.shrinkage) ** config.length_discount
        common = [place for place, item in enumerate(history) if item in here]
        similarity = sum(weight[place] / (shrunk[history[place]] ** config.alpha * length) for place in common)
        similarity *= weight[common[-1]] if config.weight_last_match else 1
        for item, place in here.items():
            distance = place - here[history[common[-1]]]
            counts = max(abs(distance), 1) ** -config.distance_decay * (config.backward_weight if distance < 0 else 1)
            scores[item] += similarity * counts / shrunk[item] ** config.beta
    return list(scores.values())


@settings(max_examples=150)
@given(
    histories=HISTORIES,
    history=st.lists(st.integers(0, ITEMS), min_size=1, max_size=5).map(lambda h: sorted(h, key=bool)),
    user=st.integers(0, 1),
    choices=SETTINGS,
)
def test_scores_equal_a_plain_implementation(
    histories: list[list[int]], history: list[int], user: int, choices: dict[str, Any]
) -> None:
    model = fitted(synthetic.from_sequences(histories, num_items=ITEMS), **choices)
    scores = score(model, *history, user=user).tolist()
    assert scores == pytest.approx(expected(histories, history, user, model.config), abs=1e-12)


def test_only_the_most_similar_sessions_are_used() -> None:
    model = fitted(synthetic.from_sequences([[1, 2, 3], [2, 4], [3, 5]], num_items=6), "paper", num_neighbours=1)
    assert score(model, 2, 3).nonzero().flatten().tolist() == [0, 1, 2]


def test_the_paper_sums_linear_weights() -> None:
    """History 1 2: session [1 3] shares 1 (weight 1/2, last match 1/2), session [2 4] shares 2 (1, 1)."""
    model = fitted(synthetic.from_sequences([[1, 3], [2, 4]], num_items=4), "paper")
    assert score(model, 1, 2).tolist() == pytest.approx([0.25, 1, 0.25, 1])


def test_the_newest_sessions_are_found_by_time() -> None:
    log = synthetic.from_sequences([[1, 2], [1, 3], [1, 4]], num_items=4)
    dated = replace(log, time=np.array([5, 60, 7, 80, 1, 2]))
    for one, newest in ((log, {1, 4}), (dated, {1, 3})):
        used = score(fitted(one, "paper", sample_size=1), 1).nonzero().flatten() + 1
        assert set(used.tolist()) == newest


def test_the_number_of_rows_at_a_time_does_not_change_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    model = fitted(log)
    batch = Batch(torch.arange(8), torch.randint(0, 9, (8, 4)))
    whole = model.score(batch)
    monkeypatch.setattr(session_knn, "MAX_CELLS", 1)
    torch.testing.assert_close(model.score(batch), whole)


def test_fitting_again_replaces_everything() -> None:
    model = fitted(synthetic.markov(30, 8, 6, seed=1))
    other = synthetic.markov(30, 8, 6, seed=2)
    model.fit(other)
    for key, value in fitted(other).state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


def test_without_shared_items_scores_are_zero() -> None:
    model = fitted(synthetic.from_sequences([[1, 2], [2, 1]], num_items=4))
    assert model.score(Batch(torch.tensor([0]), torch.tensor([[4]]))).tolist() == [[-math.inf, 0, 0, 0, 0]]
    assert not score(model, 0).any()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"num_neighbours": 0}, "num_neighbours=0: must be at least 1"),
        ({"sample_size": 0}, "sample_size=0: must be at least 1"),
        ({"beta": -1.0}, "beta=-1.0: must be at least 0"),
        ({"position_decay": 0.0}, "position_decay=0.0: must be above 0 and at most 1"),
        ({"min_position_weight": -0.5}, "min_position_weight=-0.5: must be between 0 and 1"),
        ({"weighting": "log"}, "weighting='log': must be one of decay, linear, div"),
    ],
)
def test_settings_out_of_range_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VSKNN.configure(choices)
