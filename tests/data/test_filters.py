"""Filters agree with slow and simple versions of themselves, and are recorded in the steps of the log."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.filters import (
    apply_filters,
    items_of_many_users,
    k_core,
    last_rows,
    rated_at_least,
    select,
    without_duplicates,
)
from segue.data.readers.ingest import read_log
from segue.data.synthetic import from_sequences
from segue.errors import ConfigError, DataError

sequences = st.lists(st.lists(st.integers(1, 6), max_size=8), min_size=1, max_size=8)


def pairs(log):
    """(user name, item name) of every row, in order."""
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))


def slow_core(rows, user_core, item_core):
    while True:
        users, items = Counter(u for u, _ in rows), Counter(i for _, i in rows)
        left = [(u, i) for u, i in rows if users[u] >= user_core and items[i] >= item_core]
        if left == rows:
            return rows
        rows = left


@given(sequences, st.integers(0, 4), st.integers(0, 4))
def test_k_core_is_repeated_until_nothing_changes(rows, user_core, item_core):
    log = from_sequences(rows)
    expected = slow_core(pairs(log), user_core, item_core)
    if expected:
        assert pairs(k_core(log, user_core, item_core)) == expected
    else:
        with pytest.raises(DataError, match="leaves nothing"):
            k_core(log, user_core, item_core)


def test_k_core_by_hand():
    # without user 3, item 3 is rare; without item 3, user 2 is short: only user 1 and items 1, 2 stay
    log = k_core(from_sequences([[1, 2, 1, 2], [1, 3], [3]]), 2, 2)
    assert pairs(log) == [(1, 1), (1, 2), (1, 1), (1, 2)]
    assert log.items.tokens.to_list() == [1, 2]
    assert log.steps[-1].rule == "at least 2 rows a user and 2 an item"
    assert (log.steps[-1].rows, log.steps[-1].users, log.steps[-1].items) == (4, 1, 2)


@given(sequences.filter(any))
def test_duplicates_keep_the_first_or_the_last(rows):
    log = from_sequences(rows)
    first = list(dict.fromkeys(pairs(log)))
    last = list(dict.fromkeys(reversed(pairs(log))))[::-1]
    assert pairs(without_duplicates(log, "first")) == first
    assert pairs(without_duplicates(log, "last")) == last


def test_a_selection_keeps_times_ratings_metadata_and_order():
    frame = pl.DataFrame({"user": [3, 3, 5, 8], "item": [9, 7, 7, 4], "time": [1, 2, 3, 4], "rating": [1.0, 5, 4, 5]})
    items, users = {"item": [4, 7, 9], "name": ["d", "g", "i"]}, {"user": [8, 5, 3], "age": [80, 50, 30]}
    log = rated_at_least(read_log(frame, items=pl.DataFrame(items), users=pl.DataFrame(users)), 5)
    assert pairs(log) == [(3, 7), (8, 4)]
    assert log.time.tolist() == [2, 4]
    assert log.rating.tolist() == [5, 5]
    assert log.titles([1, 2]) == ["d", "g"]
    assert log.user_metadata["age"].to_list() == [30, 80]
    assert log.item.dtype == np.int32
    assert log.start.tolist() == [0, 0, 1]
    assert log.stop.tolist() == [0, 1, 2]


def test_filters_use_only_the_rows_of_a_view():
    log = from_sequences([[1, 2, 3], [3, 1]])
    view = log.until(log.start + np.minimum(log.lengths, 2))
    assert pairs(select(view, view.column(view.item) != 1, "no 1")) == [(1, 2), (2, 3)]


def test_without_filters_the_log_is_unchanged():
    log = from_sequences([[1, 2], [2, 2]])
    assert apply_filters(log) is log


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        (
            {"duplicates": "frist"},
            ConfigError,
            "duplicates='frist': choose one of exact, keep, first, last, did you mean 'first'",
        ),
        ({"user_core": -1}, ConfigError, "user_core=-1 and item_core=0 must be at least 0"),
        ({"min_rating": 2}, DataError, "sequences: min_rating=2 needs ratings and this log has none"),
        ({"item_core": 9}, DataError, "sequences: the rule 'at least 0 rows a user and 9 an item' leaves nothing of 4"),
    ],
)
def test_invalid_filters_are_refused(rules, error, message):
    with pytest.raises(error, match=message):
        apply_filters(from_sequences([[1, 2], [2, 2]]), **rules)


@given(sequences, st.integers(1, 4))
def test_items_of_many_users_and_last_rows(rows, least):
    log = from_sequences(rows)
    users = {item: len({u for u, i in pairs(log) if i == item}) for _, item in pairs(log)}
    frequent = [(u, i) for u, i in pairs(log) if users[i] >= least]
    for rule, expected in (
        (items_of_many_users, frequent),
        (last_rows, [(u + 1, item) for u, row in enumerate(rows) for item in row[-least:]]),
    ):
        if expected:
            assert pairs(rule(log, least)) == expected
        else:
            with pytest.raises(DataError, match="leaves nothing"):
                rule(log, least)
