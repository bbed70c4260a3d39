"""Synthetic logs have the described structure: certain, noisy or without order."""

import doctest
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.synthetic import cycle, from_sequences, markov, random, with_ratings
from segue.errors import DataError


def adjacent(log):
    """The pairs (item, next item) of all users."""
    pairs = [np.stack([h[:-1], h[1:]], axis=1) for h in map(log.history, range(1, log.num_users + 1)) if len(h) > 1]
    return np.concatenate(pairs)


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=6))
def test_histories_are_the_given_sequences(sequences):
    log = from_sequences(sequences)
    assert [log.history(u).tolist() for u in range(1, log.num_users + 1)] == sequences
    assert len(log) == sum(map(len, sequences))
    assert log.num_items == max((i for s in sequences for i in s), default=0)
    assert log.lengths[0] == 0
    assert log.time is None
    assert log.item.dtype == np.int32


def test_sequences_with_times_and_more_items_than_seen():
    log = from_sequences([[2, 1], [], [1]], num_items=5, times=[[3, 3], [], [8]])
    assert log.num_items == 5
    assert log.time.tolist() == [3, 3, 8]
    assert log.items.names([5]) == [5]
    assert log.users.ids([3]).tolist() == [3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequences": [[1], [2, 0]]}, r"sequence 2 holds item 0, outside 1..2"),
        ({"sequences": [[4]], "num_items": 3}, r"sequence 1 holds item 4, outside 1..3"),
        ({"sequences": [[1, 2]], "times": [[1]]}, "one time for every event"),
        ({"sequences": [[1], [1, 2]], "times": [[1], [5, 4]]}, r"times of sequence 2 go backwards: \[5, 4\]"),
    ],
)
def test_invalid_sequences_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        from_sequences(**arguments)


def test_ratings_depend_on_the_parity_of_user_and_item():
    log = with_ratings(from_sequences([[1, 2], [3, 4]]).until(np.array([0, 2, 3])))
    assert log.rating[:3].tolist() == [5, 2, 2]
    assert log.fingerprint != replace(log, rating=None).fingerprint


def test_the_next_item_of_a_cycle_is_certain():
    log = cycle(30, 7, 11, seed=3)
    before, after = adjacent(log).T
    assert (after == before % 7 + 1).all()
    assert len(log) == 30 * 11


def test_markov_follows_the_successor_with_the_given_probability():
    log = markov(400, 50, 20, strength=0.7, seed=1)
    before, after = adjacent(log).T
    table = np.zeros((51, 51))
    np.add.at(table, (before, after), 1)
    share = table.max(axis=1)[1:].sum() / table.sum()
    assert abs(share - (0.7 + 0.3 / 50)) < 0.02
    assert sorted(table.argmax(axis=1)[1:]) == list(range(1, 51)), "the successors are one permutation"


def test_random_items_have_the_given_popularity():
    counts = random(500, 10, 20, skew=1.0, seed=2).counts()[1:]
    expected = 10_000 / np.arange(1, 11) / (1 / np.arange(1, 11)).sum()
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize("make", [cycle, markov, random])
def test_seeds_lengths_and_times(make):
    log, again, other = make(seed=5, shortest=3), make(seed=5, shortest=3), make(seed=6, shortest=3)
    assert log.fingerprint == again.fingerprint != other.fingerprint
    assert (log.lengths[1:].min(), log.lengths[1:].max()) == (3, 12)
    inside = np.ones(len(log), bool)
    inside[log.start[1:]] = False
    assert (np.diff(log.time, prepend=0)[inside] > 0).all()


def test_impossible_settings_are_refused():
    with pytest.raises(DataError, match="shortest=9 must lie between 0 and length=4"):
        cycle(length=4, shortest=9)
    with pytest.raises(DataError, match=r"strength=1.5 must be a probability"):
        markov(strength=1.5)


def test_examples():
    assert doctest.testmod(synthetic).failed == 0
