"""Histories by length, sums over pairs, and times in days."""

from __future__ import annotations

import numpy as np
import pytest

from segue.data import synthetic
from segue.models.base import event_pairs
from segue.models.base.event_pairs import add_pairs, by_length, event_days


def test_histories_of_equal_length_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_pairs, "MAX_CELLS", 8)
    log = synthetic.from_sequences([[1, 2, 3, 4], [1, 4, 2], [2, 1], [4, 4, 1], [1, 2], [2, 2], [3, 2]], num_items=4)
    place = np.array([0, 1, 2, 3, 0])  # item 4 has no weights
    found = [(users.tolist(), log.item[rows].tolist()) for users, rows in by_length(log, place, max_events=3)]
    assert found == [([2, 3], [[1, 2], [2, 1]]), ([5, 6], [[1, 2], [2, 2]]), ([7], [[3, 2]]), ([1], [[1, 2, 3]])]
    found = [(users.tolist(), log.item[rows].tolist()) for users, rows in by_length(log, place, max_events=2)]
    assert found[0] == ([1, 2], [[2, 3], [1, 2]])


def test_pairs_are_added_up() -> None:
    total = np.ones((2, 2))
    add_pairs(total, np.array([[0], [1]]), np.array([[1, 1], [1, 0]]), np.array([5.0, 7.0]))
    assert total.tolist() == [[1, 13], [8, 6]]


def test_times_are_days_from_the_first_event_on() -> None:
    start = synthetic.YEAR_2020
    log = synthetic.from_sequences([[1, 2], [1]], times=[[start + 43_200, start + 86_400], [start]])
    assert event_days(log).tolist() == [0.5, 1.0, 0.0]
    assert event_days(synthetic.from_sequences([[1, 2]], times=[[3, 7]])).tolist() == [0.0, 4.0]
    assert event_days(synthetic.from_sequences([[1, 2]])) is None
