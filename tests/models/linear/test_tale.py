"""TALE against the least squares that it solves, written out target by target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.linear.tale import TALE

ITEMS = 5
HISTORY = st.lists(st.tuples(st.integers(1, ITEMS), st.integers(0, 40)), min_size=1, max_size=6)  # (item, day)


def fitted(log: Log, **choices: Any) -> TALE:
    model = TALE(TALE.configure(choices), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def log_of(histories: list[list[tuple[int, int]]]) -> Log:
    times = [[synthetic.YEAR_2020 + day * synthetic.DAY for _, day in history] for history in histories]
    items = [[item for item, _ in history] for history in histories]
    return synthetic.from_sequences(items, num_items=ITEMS, times=times)


@settings(max_examples=80)
@given(
    histories=st.lists(HISTORY.map(lambda events: sorted(events, key=lambda event: event[1])), min_size=1, max_size=6),
    l2=st.sampled_from([0.5, 4.0]),
    decay=st.sampled_from([0.25, 9.0]),
    least=st.sampled_from([0.0, 0.3, 1.0]),
    window=st.sampled_from([1.0, 10.0]),
    power=st.sampled_from([0.0, -0.5]),
)
def test_each_target_is_regressed_on_the_events_before_it(
    histories: list[list[tuple[int, int]]], l2: float, decay: float, least: float, window: float, power: float
) -> None:
    events = [event for history in histories for event in history]

    def share(item: int, day: int) -> float:
        return float(sum(other == item and day - window <= at <= day for other, at in events) ** power)

    inputs, targets = [], []
    for history in histories:
        for place, (item, day) in enumerate(history[1:], 1):
            source, target = np.zeros(ITEMS), np.zeros(ITEMS)
            for past, at in history[:place]:
                source[past - 1] += max(np.exp(-(day - at) / decay), least) * share(past, at)
            target[item - 1] = share(item, day)
            inputs.append(source)
            targets.append(target)
    stacked = np.concatenate([np.reshape(inputs, (-1, ITEMS)), np.sqrt(l2) * np.eye(ITEMS)])
    wanted = np.concatenate([np.reshape(targets, (-1, ITEMS)), np.zeros((ITEMS, ITEMS))])
    model = fitted(
        log_of(histories),
        l2=l2,
        time_decay_days=decay,
        min_time_weight=least,
        trend_days=window,
        trend_power=power,
    )
    expected = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    assert model.weight[1:, 1:].numpy() == pytest.approx(expected, abs=1e-10)


def test_events_of_a_log_without_times_are_one_day_apart() -> None:
    items = [[1, 2, 3, 4], [2, 5]]
    daily = log_of([[(item, day) for day, item in enumerate(history)] for history in items])
    ordered = synthetic.from_sequences(items, num_items=ITEMS)
    choices = {"time_decay_days": 2.0, "min_time_weight": 0.1}
    assert fitted(ordered, **choices).weight.equal(fitted(daily, trend_power=0.0, **choices).weight)


def test_the_popularity_is_that_of_the_training_part() -> None:
    """Rows after the cut of a view neither count nor are learnt."""
    histories = [[(1, 0), (2, 1), (3, 2)], [(2, 0), (1, 3), (3, 9)]]
    log = log_of(histories)
    cut = log.until(np.maximum(log.stop - 1, log.start))
    alone = log_of([history[:-1] for history in histories])
    assert fitted(cut, trend_power=-0.5).weight.equal(fitted(alone, trend_power=-0.5).weight)
