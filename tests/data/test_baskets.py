"""Baskets are events of one time, or near one another; the next one is asked for as a whole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.baskets import basket_starts, baskets_per_user
from segue.data.splits import leave_last_out, next_basket
from segue.data.synthetic import YEAR_2020, from_sequences
from segue.errors import ConfigError, DataError

NOON = YEAR_2020 + 43_200


def shop(scale=1):
    """Three orders of user 1, two of user 2, one order of user 3 whose lines are 40 s apart, and a user without any."""
    times = [[0, 0, 100, 100, 100, 900], [0, 0, 70], [0, 40, 80], []]
    return from_sequences(
        [[1, 2, 3, 4, 1, 5], [2, 3, 4], [4, 5, 1], []],
        times=[[(NOON + t) * scale for t in some] for some in times],
        name="shop",
    )


@pytest.mark.parametrize("scale", [1, 1000, 10**6])
def test_baskets_by_hand_in_every_unit(scale):
    log = shop(scale)
    assert log.ticks_per_second == scale
    assert basket_starts(log).tolist() == [0, 2, 5, 6, 8, 9, 10, 11]
    assert baskets_per_user(log, basket_starts(log)).tolist() == [0, 3, 2, 3, 0]
    assert basket_starts(log, 40).tolist() == [0, 2, 5, 6, 8, 9]
    assert baskets_per_user(log, basket_starts(log, 100)).tolist() == [0, 2, 1, 1, 0]


@pytest.mark.parametrize("scale", [1, 1000])
def test_the_next_basket_is_asked_for_as_a_set_given_the_earlier_ones(scale):
    split = next_basket(shop(scale))
    test, valid = split.instances("test"), split.instances("valid")
    assert test.user.tolist() == valid.user.tolist() == [1, 3]  # user 2 has two orders: for training only
    assert test.targets().tolist() == [5, 1]
    assert valid.num_targets.tolist() == [3, 1]
    assert valid.targets().tolist() == [3, 4, 1, 5]
    assert valid.histories(None).tolist() == [[1, 2], [0, 4]]
    assert split.train.lengths.tolist() == [0, 2, 3, 1, 0]
    assert next_basket(shop(scale), 40).instances("test").user.tolist() == [1]


def test_each_row_alone_is_leave_one_out():
    log = from_sequences([[1, 2, 3, 4], [4, 2], [3, 1, 2]], times=[[1, 2, 3, 4], [5, 6], [7, 8, 9]])
    baskets, rows = next_basket(log), leave_last_out(log)
    assert baskets.valid.tolist() == rows.valid.tolist()
    assert baskets.test.tolist() == rows.test.tolist()


@given(st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=6), st.integers(0, 3))
def test_no_basket_is_cut_and_none_is_empty(times, gap):
    log = from_sequences(
        [[1 + n % 5 for n in range(len(t))] for t in times],
        num_items=5,
        times=[[NOON + s for s in sorted(t)] for t in times],
    )
    split = next_basket(log, gap)
    for user in range(1, log.num_users + 1):
        seconds = log.time[log.start[user] : log.stop[user]]
        far = np.flatnonzero(np.diff(seconds) > gap) + 1
        cuts = sorted({0, *far.tolist(), len(seconds)})[:-1] if len(seconds) else []
        valid, test = split.valid[user] - log.start[user], split.test[user] - log.start[user]
        expected = cuts[-2:] if len(cuts) >= 3 else [len(seconds)] * 2
        assert [valid, test] == expected


def test_a_view_of_the_past_has_the_baskets_of_its_rows():
    log = shop()
    past = log.until(np.maximum(log.stop - 1, log.start))
    assert basket_starts(past).tolist() == [0, 2, 6, 9, 10]


def test_baskets_need_times_and_seconds_need_dates():
    log = shop()
    with pytest.raises(DataError, match="shop: baskets need times, and this log has only an order; read it with a col"):
        next_basket(replace(log, time=None))
    numbers = replace(log, time=log.time - NOON)
    assert next_basket(numbers).test.tolist() == next_basket(log).test.tolist()
    with pytest.raises(DataError, match="times from 0 to 900 are not dates, so they cannot be counted in seconds"):
        next_basket(numbers, 60)
    with pytest.raises(ConfigError, match="next basket: gap=-1 must be a number of seconds, at least 0"):
        next_basket(log, -1)
