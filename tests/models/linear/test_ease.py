"""EASE against the regression that it solves, and the limits of its weights."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.linear.ease import EASE

ITEMS = 6
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=6), min_size=1, max_size=8)


def fitted(log: Log, **choices: Any) -> EASE:
    model = EASE(EASE.configure(choices), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


@settings(max_examples=60)
@given(histories=HISTORIES, l2=st.sampled_from([0.5, 3.0, 40.0]))
def test_each_item_is_regressed_on_all_others(histories: list[list[int]], l2: float) -> None:
    """Column j of B solves the normal equations of a ridge regression without item j."""
    model = fitted(synthetic.from_sequences(histories, num_items=ITEMS), l2=l2)
    matrix = np.zeros((len(histories), ITEMS))
    for user, history in enumerate(histories):
        matrix[user, np.array(history, int) - 1] = 1
    for item in range(ITEMS):
        others = np.delete(np.arange(ITEMS), item)
        x = matrix[:, others]
        expected = np.linalg.solve(x.T @ x + l2 * np.eye(ITEMS - 1), x.T @ matrix[:, item])
        column = model.weight[1:, item + 1].numpy()
        assert column[others] == pytest.approx(expected, abs=1e-10)
        assert column[item] == 0


@settings(max_examples=60)
@given(
    histories=HISTORIES,
    history=st.lists(st.integers(0, ITEMS), min_size=1, max_size=5),
    window=st.sampled_from([None, 1, 3]),
    max_items=st.integers(1, ITEMS),
)
def test_scores_are_sums_over_the_history(
    histories: list[list[int]], history: list[int], window: int | None, max_items: int
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    model = fitted(log, l2=2.0, position_decay=0.5, window=window, max_items=max_items)
    scores = model.score(Batch(torch.tensor([0]), torch.tensor([history])))[0]
    assert scores[0] == -torch.inf
    place = model.place.tolist()
    for item in range(1, ITEMS + 1):
        newest = enumerate(history[::-1][:window])
        terms = (0.5**age * float(model.weight[place[past], place[item]]) for age, past in newest if past)
        assert scores[item].item() == pytest.approx(sum(terms), abs=1e-12)
    some = torch.tensor([3, 0, 1])
    assert torch.equal(model.score(Batch(torch.tensor([0]), torch.tensor([history])), some)[0], scores[some])


def test_the_most_popular_items_have_the_weights_of_a_log_of_these_items(caplog: pytest.LogCaptureFixture) -> None:
    histories = [[1, 2, 5], [2, 5, 3], [5, 2, 4], [2, 5], [3, 5, 2], [3, 2]]
    with caplog.at_level(logging.WARNING, "segue"):
        some = fitted(synthetic.from_sequences(histories, num_items=ITEMS), max_items=3)
    kept = [2, 3, 5]
    numbers = {item: number for number, item in enumerate(kept, 1)}
    shorter = [[numbers[item] for item in history if item in numbers] for history in histories]
    alone = fitted(synthetic.from_sequences(shorter, num_items=3))
    assert some.place.tolist() == [0, 0, 1, 2, 0, 3, 0]
    assert torch.equal(some.weight, alone.weight)
    assert [record.message for record in caplog.records] == [
        "ease: 3 of 6 items have weights, as max_items says; the others, with 12.5% of the events, score 0"
    ]
    similarities = some.item_similarities(torch.tensor([2]))[0]
    assert torch.isneginf(similarities).tolist() == [True, True, False, False, True, False, True]
