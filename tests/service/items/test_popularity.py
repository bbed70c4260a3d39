"""Counts in memory are those of the store, whoever stored or erased events and in whatever order they came."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.event_store import arrivals as module
from segue.event_store.event import Event
from segue.event_store.store import Store, open_store
from segue.service.items.catalogue import Catalogue
from segue.service.items.popularity import FLOOR, HALF_LIFE, HOUR, SHORT_HALF_LIFE, Popularity, hour_of

NOW = 500_000 * HOUR
TIME = st.integers(NOW - 40 * 24 * HOUR, NOW + 3 * HOUR)  # some are late, some are still to come
EVENT = st.builds(Event, st.sampled_from(["u1", "u2"]), st.sampled_from("abc"), TIME)
STEP = st.tuples(st.sampled_from(["here", "elsewhere", "erase", "restart"]), st.lists(EVENT, max_size=5))


def reference(store: Store) -> dict[str, tuple[float, float, int]]:
    """For each item the sums with both half-lives, and the number of events, computed from the definition."""
    sums: dict[str, tuple[float, float, int]] = {}
    for block in store.events.blocks():
        for row in block:
            age = hour_of(NOW) - min(hour_of(row.time), hour_of(NOW))
            long, short, count = sums.get(row.item, (0.0, 0.0, 0))
            sums[row.item] = long + 0.5 ** (age / HALF_LIFE), short + 0.5 ** (age / SHORT_HALF_LIFE), count + 1
    return sums


def follow(counts: Popularity) -> None:
    for _ in range(2):
        counts.apply(counts.read_changes(NOW), NOW)


def check(counts: Popularity, store: Store) -> None:
    names, expected = counts.catalogue.names, reference(store)
    assert set(expected) <= set(names)
    rows = np.array([expected.get(name, (0, 0, 0)) for name in names], np.float64)
    recent, usual = counts.recent(NOW)
    np.testing.assert_array_equal(counts.totals(), rows[:, 2])
    np.testing.assert_allclose(counts.popular(NOW), rows[:, 0] + FLOOR * rows[:, 2], rtol=1e-9)
    np.testing.assert_allclose(recent, rows[:, 1], rtol=1e-9)
    np.testing.assert_allclose(usual, rows[:, 0] * SHORT_HALF_LIFE / HALF_LIFE, rtol=1e-9)
    np.testing.assert_allclose(counts.trending(NOW), (recent - usual) / np.sqrt(usual + 1), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=10), st.integers(5, 9))  # a transaction has at most 5 events
def test_counts_follow_the_store(tmp_path_factory, steps, unsettled):
    with pytest.MonkeyPatch.context() as patch, closing(open_store(_url(tmp_path_factory))) as store:
        patch.setattr(module, "UNSETTLED", unsettled)
        counts = Popularity(store, Catalogue(store.items))
        follow(counts)
        for kind, events in steps:
            if kind == "erase":
                store.erasures.erase("u1")
            elif kind == "restart":
                counts = Popularity(store, Catalogue(store.items))
            else:
                changes = store.events.append(events).changes
                for change in changes.values() if kind == "here" else ():
                    counts.add(change.events, NOW)
            follow(counts)
            check(counts, store)


def test_what_another_service_stored_counts_though_an_own_event_is_newer(tmp_path_factory):
    with closing(open_store(_url(tmp_path_factory))) as store, pytest.MonkeyPatch.context() as patch:
        counts = Popularity(store, Catalogue(store.items))
        follow(counts)
        store.events.append([Event("u1", "c", NOW)])  # elsewhere
        follow(counts)
        store.events.append([Event("u1", "a", NOW)])  # elsewhere, too
        counts.add(store.events.append([Event("u2", "b", NOW)]).changes["u2"].events, NOW)
        follow(counts)
        check(counts, store)
        patch.setattr(store.events, "after", lambda *args: pytest.fail("nothing is new"))
        counts.add(store.events.append([Event("u2", "c", NOW)]).changes["u2"].events, NOW)
        follow(counts)
        check(counts, store)


def test_what_is_stored_while_all_is_counted_counts_once(tmp_path_factory):
    with closing(open_store(_url(tmp_path_factory))) as store:
        counts = Popularity(store, Catalogue(store.items))
        before = store.events.append([Event("u1", "a", NOW)]).changes["u1"].events
        tally = counts.tally(NOW)
        after = store.events.append([Event("u1", "b", NOW)]).changes["u1"].events
        counts.add(before, NOW)  # its request was answered later than it was counted
        counts.add(after, NOW)
        counts.replace(tally)
        counts.add(store.events.append([Event("u1", "c", NOW)]).changes["u1"].events, NOW)
        counts.apply(counts.read_changes(NOW), NOW)
        check(counts, store)


def test_the_event_loop_only_takes_over_sums_however_many_events_are_counted(tmp_path_factory):
    with closing(open_store(_url(tmp_path_factory))) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "UNSETTLED", 5)
        store.events.append([Event("u", "abc"[n % 3], NOW - n * HOUR) for n in range(300)])
        counts, counted = Popularity(store, Catalogue(store.items)), []
        patch.setattr(Popularity, "_count", lambda *args: counted.append(args))
        tally = counts.tally(NOW)
        assert tally.sums.shape == (3, 3)
        counts.replace(tally)
        assert len(counted) == 5  # one by one: only the newest


def test_a_rise_is_trending_and_what_is_always_popular_is_not(tmp_path_factory):
    with closing(open_store(_url(tmp_path_factory))) as store:
        steady = [Event("u", "steady", NOW - hour * HOUR, id=f"s{hour}") for hour in range(0, 60 * 24, 2)]
        risen = [Event("u", "risen", NOW - hour * HOUR, id=f"r{hour}") for hour in range(6)]
        store.events.append([*steady, *risen, Event("u", "once", NOW)])
        counts = Popularity(store, Catalogue(store.items))
        follow(counts)
        scores = dict(zip(counts.catalogue.names, counts.trending(NOW), strict=True))
        assert scores["risen"] > 1 > scores["once"] > abs(scores["steady"])
        popular = dict(zip(counts.catalogue.names, counts.popular(NOW), strict=True))
        assert popular["steady"] > popular["risen"] > popular["once"]


def test_events_of_long_ago_still_have_an_order(tmp_path_factory):
    with closing(open_store(_url(tmp_path_factory))) as store:
        store.events.append([Event(f"u{n}", "abc"[n % 3] if n else "a", n) for n in range(10)])
        counts = Popularity(store, Catalogue(store.items))
        follow(counts)
        assert dict(zip(counts.catalogue.names, counts.popular(NOW), strict=True))["a"] == pytest.approx(4 * FLOOR)


def _url(tmp_path_factory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('popularity') / 'events.db'}"
