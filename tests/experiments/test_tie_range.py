"""Figures over random orders of events with the same time: ranges that are known by hand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.config import Config
from segue.data.synthetic import cycle, from_sequences
from segue.errors import ConfigError, DataError
from segue.evaluation.protocols import PROTOCOLS
from segue.experiments.tie_range import has_ties, reordered, tie_ranges
from segue.models.base.model import Model, Sizes
from segue.models.popularity.pop import Pop

LEAVE = replace(PROTOCOLS["leave-one-out"], ks=(1,))


class LikesItem(Model):
    """Scores one item highest, for everybody; it cannot be trained."""

    name, Config, window = "likes", Config, 0

    def __init__(self, item, num_items):
        super().__init__(Config(), Sizes(9, num_items))
        self.register_buffer("scores", torch.eye(num_items + 1)[item])

    def score(self, batch, items=None):
        return self.scores.repeat(len(batch), 1)


def tied(*, users=1):
    """Item 1, then the items 2, 3 and 4 at one time, for each user."""
    return from_sequences([[1, 2, 3, 4]] * users, times=[[1, 5, 5, 5]] * users, num_items=9)


@given(st.lists(st.lists(st.integers(0, 3), max_size=8), min_size=1, max_size=5), st.integers(0, 9))
def test_only_events_of_one_user_and_time_change_places(times, seed):
    ends = np.cumsum([0, *map(len, times)])
    log = from_sequences([list(range(a + 1, b + 1)) for a, b in pairwise(ends)], times=[sorted(t) for t in times])
    log = replace(log, rating=log.item.astype(np.float32))
    other, source = reordered(log, seed)
    assert sorted(source.tolist()) == list(range(len(log.item)))
    user = log.events()[0]
    assert (user[source] == user).all()
    assert (log.time[source] == log.time).all()
    assert (other.item == log.item[source]).all()
    assert (other.rating == other.item).all()
    assert (reordered(log, seed)[1] == source).all()
    assert has_ties(log) == any(len(set(t)) < len(t) for t in times)


def test_every_order_of_a_tie_is_equally_likely():
    orders = [tuple(reordered(tied(), seed)[0].item[1:].tolist()) for seed in range(600)]
    counts = {order: orders.count(order) for order in orders}
    assert len(counts) == 6
    assert min(counts.values()) > 60


def test_parts_of_the_logs_own_split_are_not_mixed():
    log = replace(tied(), part=np.array([0, 0, 0, 2], np.int8))
    assert {int(reordered(log, seed)[0].item[3]) for seed in range(20)} == {4}
    assert {int(reordered(log, seed)[0].item[1]) for seed in range(20)} == {2, 3}


def test_the_range_of_a_model_that_stays_as_it_is():
    """The target is item 4 in the file, and any of 2, 3 and 4 in other orders; 2 is training in the file."""
    log, model = tied(), LikesItem(4, 9)
    split = LEAVE.split(log)
    assert LEAVE.rank(model, split, "test").values("recall@1").tolist() == [1.0]
    ranges = tie_ranges({"likes": model}, LEAVE, log, ["recall@1"], orders=40)["likes"]
    assert (ranges.low["recall@1"], ranges.high["recall@1"]) == (0.0, 1.0)
    last = [reordered(log, seed)[1][3] for seed in range(40)]
    assert ranges.trained_on == pytest.approx(last.count(1) / 40)
    refitted = tie_ranges({"likes": model}, LEAVE, log, ["recall@1"], orders=40, refit=True)["likes"]
    assert refitted.trained_on == pytest.approx((last.count(1) + last.count(2)) / 40)


def test_the_range_of_many_users_is_the_share_of_the_orders():
    log = tied(users=9)
    ranges = tie_ranges({"likes": LikesItem(4, 9)}, LEAVE, log, ["recall@1"], orders=5)["likes"]
    shares = [np.mean([reordered(log, seed)[0].history(u)[-1] == 4 for u in range(1, 10)]) for seed in range(5)]
    assert ranges.low["recall@1"] == pytest.approx(min(shares))
    assert ranges.high["recall@1"] == pytest.approx(max(shares))


def test_models_that_count_are_trained_again_for_each_order():
    sequences = [[u % 5 + 1, 6 + u % 3, 9, 10 + u % 4] for u in range(12)]
    log = from_sequences(sequences, times=[[1, 5, 5, 5]] * 12, num_items=14)
    model = Pop(Pop.configure(), Sizes.of(log))  # never trained here
    ranges = tie_ranges({"pop": model}, LEAVE, log, ["recall@1"], orders=8)["pop"]
    expected = [share_of_most_popular_targets(reordered(log, seed)[0]) for seed in range(8)]
    assert ranges.trained_on is None
    assert ranges.low["recall@1"] == pytest.approx(min(expected))
    assert ranges.high["recall@1"] == pytest.approx(max(expected))
    assert min(expected) < max(expected)


def share_of_most_popular_targets(log):
    """Recall@1 of popularity under leave-one-out, counted by hand."""
    histories = [log.history(user).tolist() for user in range(1, log.num_users + 1)]
    counts = np.bincount([item for history in histories for item in history[:-2]], minlength=log.num_items + 1)
    hits = 0
    for *past, target in histories:
        others = [counts[item] for item in range(1, log.num_items + 1) if item not in (*past, target)]
        hits += counts[target] > max(others)
    return hits / len(histories)


def test_without_ties_the_range_is_the_figure():
    log = cycle(20, 10, 6)
    assert not has_ties(log)
    ranges = tie_ranges({"pop": Pop(Pop.configure(), Sizes.of(log))}, LEAVE, log, ["recall@1"], orders=3)["pop"]
    assert ranges.low == ranges.high


def test_what_cannot_be_reordered_is_refused():
    log = tied()
    with pytest.raises(ConfigError, match="tie_range=1: needs at least 2 orders"):
        tie_ranges({}, LEAVE, log, ["recall@1"], orders=1)
    anew = PROTOCOLS["prequential"].with_settings({"retrain": "nightly"})
    with pytest.raises(
        ConfigError, match=r"tie_range=2: models are not trained anew in each of the orders, .* retrain=never"
    ):
        tie_ranges({}, anew, log, ["recall@10"], orders=2)
    with pytest.raises(DataError, match="has an order and no times, so it has no ties to put into another order"):
        tie_ranges({}, LEAVE, replace(log, time=None), ["recall@1"], orders=2)
    assert not has_ties(replace(log, time=None))
