"""Rated events as questions: both histories, strictly before, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.batches.rated_events import Histories, RatedEvents
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.errors import DataError

Event = tuple[int, int, int, int]


def log_of(events: list[Event]) -> Log:
    """A log of (user, item, time, rating), numbered from 1 without gaps."""
    return read_log(pl.DataFrame(events, schema=["user", "item", "timestamp", "rating"], orient="row"))


def plain(log: Log) -> list[tuple[int, int, int]]:
    user, item = log.events()
    assert log.time is not None
    return list(zip(user.tolist(), item.tolist(), log.time.tolist(), strict=True))


def test_histories_are_those_of_the_golden_file(golden: Any) -> None:
    """Strictly before: of two raters in one second neither has seen the other. Golden ids count from 0."""
    z = golden("iarn")
    user, item, time = (z["leak_events"][:, column].astype(np.int64) for column in range(3))
    for past, key, expected in (
        (Histories(user, item, time), user, z["leak_user_hist"]),
        (Histories(item, user, time), item, z["leak_item_hist"]),
    ):
        first, stop = past.ranges(key, time)
        found = [past.other[a:b].tolist() for a, b in zip(first, stop, strict=True)]
        assert found == [[i for i in row if i >= 0] for row in expected.tolist()]


def test_a_batch_holds_both_sides_with_the_newest_last() -> None:
    log = log_of([(1, 1, 1, 4), (1, 2, 3, 5), (2, 2, 4, 1), (1, 3, 5, 2), (2, 3, 6, 3), (3, 3, 6, 5)])
    pairs = RatedEvents.from_log(log)
    batch = pairs.batch(np.array([2, 4, 5]), window=2, item_window=None)
    assert batch.user.tolist() == [1, 2, 3]
    assert batch.item.tolist() == [3, 3, 3]
    assert batch.rating.tolist() == [2, 3, 5]
    assert batch.time.tolist() == [5, 6, 6]
    assert batch.history.tolist() == [[1, 2], [0, 2], [0, 0]]
    assert batch.item_history.tolist() == [[0], [1], [1]]
    assert pairs.batch(np.array([0])).history.shape == (1, 0)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.integers(1, 5)), min_size=8),
    st.data(),
)
def test_nothing_at_or_after_a_time_is_read(events: list[Event], data: st.DataObject) -> None:
    """Change whatever happened at t or later: what is shown before t stays the same."""
    events = [(u, u % 4 + 1, 0, 1) for u in range(1, 5)] + events  # so that ids stay whatever changes later
    log = log_of(events)
    pairs = RatedEvents.from_log(log)
    at = data.draw(st.integers(0, len(pairs) - 1))
    moment = int(pairs.batch(np.array([at])).time[0])  # type: ignore[index]
    assert log.time is not None
    late = log.time >= moment
    other = np.where(late, 5 - log.item, log.item).astype(np.int32)
    again = replace(pairs, log=replace(log, item=other))
    one, two = (p.batch(np.array([at]), window=None, item_window=None) for p in (pairs, again))
    assert one.history.tolist() == two.history.tolist()
    assert two.item_history is not None
    assert one.item_history.tolist() == two.item_history.tolist()
    user, item = int(pairs.user[at]), int(pairs.item[at])
    assert one.history[0].tolist() == [i for u, i, t in plain(log) if u == user and t < moment]
    expected = sorted((t, u) for u, i, t in plain(log) if i == item and t < moment)
    assert sorted(one.item_history[0].tolist()) == sorted(u for _, u in expected)


@pytest.mark.parametrize("window", [0, 3])
def test_an_epoch_has_each_rating_once(window: int) -> None:
    rng = np.random.default_rng(0)
    log = log_of([(int(u), int(i), int(t), 1 + t % 5) for t, (u, i) in enumerate(rng.integers(1, 9, (100, 2)))])
    pairs = RatedEvents.from_log(log)
    batches = list(pairs.batches(16, rng, window=window, item_window=window))
    assert [len(b) for b in batches] == [16] * 6 + [4]
    found = sorted((int(u), int(i), int(t)) for b in batches for u, i, t in zip(b.user, b.item, b.time, strict=True))
    assert found == sorted(plain(log))
    if window:  # of alike length: less padding than in the order of the log
        padding = sum(int((b.history == 0).sum() + (b.item_history == 0).sum()) for b in batches)
        plainly = pairs.batches(16, window=window, item_window=window)
        assert padding < sum(int((b.history == 0).sum() + (b.item_history == 0).sum()) for b in plainly)


def test_lengths_of_histories() -> None:
    rng = np.random.default_rng(1)
    log = log_of([(int(u), int(i), t // 3, 3) for t, (u, i) in enumerate(rng.integers(1, 7, (60, 2)))])
    pairs = RatedEvents.from_log(log)
    for windows in ((None, None), (4, None), (2, 3), (0, 5)):
        batch = pairs.batch(np.arange(len(pairs)), window=windows[0], item_window=windows[1])
        assert batch.item_history is not None
        expected = [(histories > 0).sum(1).tolist() for histories in (batch.history, batch.item_history)]
        assert pairs.history_lengths(*windows).tolist() == expected


def test_batches_hold_little_padding_on_either_side() -> None:
    """Long histories of users meet short ones of items, and the other way round: a sum of lengths would mix them."""
    rng = np.random.default_rng(2)
    users, items = (rng.permutation(np.repeat(np.arange(1, 61), 40 // (1 + np.arange(60) % 8) + 1)) for _ in range(2))
    count = min(len(users), len(items))
    log = log_of([(int(u), int(i), t, 3) for t, (u, i) in enumerate(zip(users[:count], items[:count], strict=True))])
    batches = list(RatedEvents.from_log(log).batches(8, rng, window=None, item_window=None))
    steps = [histories for b in batches for histories in (b.history, b.item_history) if histories is not None]
    padding = sum(int((histories == 0).sum()) for histories in steps) / sum(histories.numel() for histories in steps)
    assert padding < 0.3


def test_what_is_missing_is_said() -> None:
    log = log_of([(1, 1, 1, 4), (2, 2, 3, 5)])
    with pytest.raises(DataError, match=r"log: has no ratings to learn or to predict; name their column"):
        RatedEvents.from_log(replace(log, rating=None))
    with pytest.raises(DataError, match=r"the order of events of different users is unknown: the log has no times"):
        RatedEvents.from_log(replace(log, time=None)).batch(np.array([0]), window=1)


def test_a_share_of_the_pairs_is_drawn_anew() -> None:
    log = log_of([(user, item, 10 * user + item, 3) for user in range(1, 9) for item in range(1, 6)])
    drawn = []
    for seed in range(2):
        batches = RatedEvents.from_log(log).batches(4, np.random.default_rng(seed), window=3, share=0.25)
        drawn.append({(int(u), int(i)) for b in batches for u, i in zip(b.user, b.item, strict=True)})
    assert [len(some) for some in drawn] == [10, 10]
    assert drawn[0] != drawn[1]
