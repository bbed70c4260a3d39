"""STAN and VSTAN against a plain implementation with loops."""

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
from segue.data.synthetic import DAY, YEAR_2020
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.neighbours.stan import STAN, VSTAN
from segue.testing import LAWS, subject

ITEMS = 5
SESSIONS = st.lists(
    st.tuples(st.lists(st.integers(1, ITEMS), max_size=6), st.integers(0, 9)), min_size=1, max_size=6
)  # items, and the day of the last event
SCALES = st.sampled_from([None, 0.5, 3.0])
SETTINGS = st.fixed_dictionaries(
    {
        "sample_size": st.sampled_from([None, 2]),
        "window": st.sampled_from([None, 1, 3]),
        "position_scale": SCALES,
        "session_scale": SCALES,
        "distance_scale": SCALES,
        "length_discount": st.sampled_from([0.0, 0.5]),
        "match_scale": SCALES,
        "idf_weight": st.sampled_from([0.0, 2.0]),
    }
)


def dated(histories: list[list[int]], days: list[int]) -> Log:
    """Sessions that end on some days; their other events are up to an hour before."""
    times = [
        [YEAR_2020 + day * DAY - 60 * (len(history) - n) for n in range(1, len(history) + 1)]
        for history, day in zip(histories, days, strict=True)
    ]
    return synthetic.from_sequences(histories, num_items=ITEMS, times=times)


def fitted(log: Log, model_class: type[STAN] = VSTAN, preset: str | None = None, **choices: Any) -> STAN:
    model = model_class(model_class.configure(choices, preset), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def score(model: STAN, *history: int, user: int = 0, time: int | None = None) -> list[float]:
    moment = None if time is None else torch.tensor([time])
    scores: list[float] = model.score(Batch(torch.tensor([user]), torch.tensor([history]), time=moment))[0, 1:].tolist()
    return scores


def decay(x: float, scale: float | None) -> float:
    return 1.0 if scale is None else math.exp(-x / scale)


def expected(
    histories: list[list[int]], days: list[int], history: list[int], *, user: int, now: int, config: Any
) -> list[float]:
    """The scores of items 1..ITEMS by the definitions of the module's docstring, at day `now`; all neighbours count."""
    history = [item for item in history if item][-(config.window or 99) :]
    age = {item: len(history) - 1 - place for place, item in enumerate(history)}
    places = [{item: place for place, item in enumerate(sequence)} for sequence in histories]
    newest_first = sorted(range(1, len(histories) + 1), key=lambda n: (days[n - 1], n), reverse=True)
    sharing = [n for n in newest_first if n != user and set(history) & set(places[n - 1])]
    scores = dict.fromkeys(range(1, ITEMS + 1), 0.0)
    for n in sharing[: config.sample_size]:
        here = places[n - 1]
        common = [item for item in age if item in here]
        similarity = sum(decay(age[item], config.position_scale) for item in common)
        similarity *= len(here) ** -config.length_discount * decay(now - days[n - 1], config.session_scale)
        similarity *= decay(min(age[item] for item in common), config.match_scale)
        match = max(here[item] for item in common)
        for item, place in here.items():
            scores[item] += similarity * decay(abs(place - match), config.distance_scale)
    number = sum(len(sequence) > 0 for sequence in histories)
    for item in scores:
        count = max(sum(item in here for here in places), 1)
        scores[item] *= 1 + config.idf_weight * math.log(max(number, 1) / count)
    return list(scores.values())


@settings(max_examples=150)
@given(
    sessions=SESSIONS,
    history=st.lists(st.integers(0, ITEMS), min_size=1, max_size=5).map(lambda h: sorted(h, key=bool)),
    user=st.integers(0, 1),
    later=st.integers(0, 20),
    choices=SETTINGS,
)
def test_scores_equal_a_plain_implementation(
    sessions: list[tuple[list[int], int]], history: list[int], user: int, later: int, choices: dict[str, Any]
) -> None:
    """Also at a later moment: all scores are then smaller by one factor, which changes no ranking."""
    histories, days = [items for items, _ in sessions], [day for _, day in sessions]
    model = fitted(dated(histories, days), **choices)
    newest = max((day for items, day in sessions if items), default=0)
    at_moment = expected(histories, days, history, user=user, now=newest + later, config=model.config)
    factor = decay(later, model.config.session_scale)
    scores = score(model, *history, user=user, time=YEAR_2020 + (newest + later) * DAY)
    assert [factor * value for value in scores] == pytest.approx(at_moment, rel=1e-9, abs=1e-12)


def test_stan_is_vstan_without_its_two_weights() -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    one = fitted(log, STAN, session_scale=50.0)
    other = fitted(log, VSTAN, **one.config.as_dict(), match_scale=None, idf_weight=0.0)
    assert score(one, 1, 2, 3) == score(other, 1, 2, 3)


def test_sessions_of_long_ago_still_count_in_single_precision() -> None:
    log = dated([[1, 2], [1, 3]], [0, 9_000])
    model = fitted(log, STAN, session_scale=1.0).float()
    old, new = score(model, 1)[1:3]
    assert 0 < old < new


@pytest.mark.parametrize("times", [None, np.array([1, 2, 3, 4])], ids=["no times", "numbers that are no dates"])
def test_without_dates_all_sessions_are_equally_old(times: np.ndarray | None) -> None:
    log = replace(dated([[1, 2], [1, 3]], [0, 9]), time=times)
    assert score(fitted(log, STAN, session_scale=1.0), 1) == score(fitted(log, STAN, session_scale=None), 1)


@pytest.mark.parametrize("model_class", [STAN, VSTAN])
def test_the_settings_of_the_authors_are_accepted(model_class: type[STAN]) -> None:
    for preset in model_class.presets:
        model = fitted(synthetic.markov(30, 8, 6, seed=1), model_class, preset)
        assert max(score(model, 1, 2)) > 0


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"position_scale": 0.0}, "position_scale=0.0: must be above 0, or none"),
        ({"session_scale": -1.0}, "session_scale=-1.0: must be above 0, or none"),
        ({"distance_scale": 0.0}, "distance_scale=0.0: must be above 0, or none"),
        ({"match_scale": 0.0}, "match_scale=0.0: must be above 0, or none"),
        ({"idf_weight": -1.0}, "idf_weight=-1.0: must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VSTAN.configure(choices)


def test_times_of_later_events_change_nothing() -> None:
    LAWS["no_future_leakage"](subject(STAN, session_scale=20.0))
