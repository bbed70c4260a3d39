"""Sums over the outcomes of recommended lists, in each database."""

from __future__ import annotations

from segue.event_store.event import Event
from segue.event_store.outcomes import Outcome


def test_a_series_has_the_sums_of_each_stretch(store):
    store.events.append([Event(user, "i", 1) for user in "ab"])
    times = {1000: "a", 1009: "b", 1010: "a", 1011: "a", 1034: "b", 999: "a", 1040: "a"}
    found = [
        Outcome(user, "hgn", "f", "hgn", time, None if time == 1009 else 2, 3 if time == 1034 else 10)
        for time, user in times.items()
    ]
    store.outcomes.exchange({}, [], found)
    series = store.outcomes.series(5, 1000, 1040, 10)
    plain = {
        number: [(one.lists, one.users, one.short, one.hits, one.reciprocal_ranks) for one in sums]
        for number, sums in series.items()
    }
    assert plain == {0: [(2, 2, 0, 1, 0.5)], 1: [(2, 1, 0, 2, 1.0)], 3: [(0, 0, 1, 0, 0.0)]}
    assert [series.get(number, []) for number in range(4)] == [
        store.outcomes.sums(5, first, first + 10) for first in range(1000, 1040, 10)
    ]
