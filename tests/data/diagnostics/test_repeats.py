"""Users return to an item if they have it in two baskets; copies of an event are no return."""

from dataclasses import replace

import numpy as np
import pytest

from segue.data.diagnostics.repeats import had_before, repeat_share, users_return
from segue.data.synthetic import YEAR_2020, from_sequences


def test_repeats_by_hand():
    log = from_sequences([[1, 2, 1, 1], [3, 3]], times=[[1, 2, 3, 3], [4, 9]])
    assert repeat_share(log) == pytest.approx(2 / 5)  # 1 at time 3 counts once; 1 and 3 came back
    assert repeat_share(replace(log, time=None)) == pytest.approx(3 / 6)


def test_items_within_a_gap_are_one_basket():
    log = from_sequences([[1, 1, 2, 1]], times=[[YEAR_2020 + t for t in (0, 30, 45, 500)]])
    assert repeat_share(log) == pytest.approx(2 / 4)
    assert repeat_share(log, 60) == pytest.approx(1 / 3)


def test_copies_of_events_do_not_pass_for_returns():
    rows = [list(range(1, 41))] * 2
    copied = [sorted([*row, *row[::2]]) for row in rows]
    log = from_sequences(copied, times=copied)
    assert repeat_share(log) == 0
    assert not users_return(log)
    assert users_return(replace(log, time=None))


def test_the_order_inside_a_basket_does_not_matter():
    log = from_sequences([[1, 2, 1, 3, 2]], times=[[5, 5, 5, 6, 6]])
    other = replace(log, item=np.array([1, 1, 2, 2, 3], np.int32))
    assert repeat_share(log) == repeat_share(other) == pytest.approx(1 / 4)


def test_no_events_no_repeats():
    assert repeat_share(from_sequences([[]], num_items=2)) == 0
    assert repeat_share(from_sequences([[]], num_items=2, times=[[]])) == 0


def test_the_rows_that_return_are_those_of_the_share():
    log = from_sequences([[1, 2, 1, 1, 3, 2], [1, 1]], num_items=3, times=[[1, 2, 3, 3, 4, 5], [7, 7]])
    assert had_before(log).tolist() == [False, False, True, True, False, True, False, False]
    assert repeat_share(log) == pytest.approx(2 / 6), "the copies of user 1 at time 3 and of user 2 count once"
    untimed = replace(log, time=None)
    assert had_before(untimed).mean() == repeat_share(untimed) == pytest.approx(4 / 8)
