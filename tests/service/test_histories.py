"""Histories in memory are what the store holds, whoever changed it and in whatever order events came."""

from __future__ import annotations

from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.service.histories import Histories

EVENT = st.builds(Event, st.sampled_from(["u1", "u2", "u3"]), st.sampled_from("abcd"), st.integers(0, 9))
STEP = st.tuples(st.sampled_from(["here", "elsewhere", "erase", "join"]), st.lists(EVENT, max_size=4))


@settings(max_examples=40)
@given(st.lists(STEP, max_size=12), st.integers(1, 12))
def test_a_history_is_that_of_the_store_after_every_change(tmp_path_factory, steps, max_events):
    folder = tmp_path_factory.mktemp("histories")
    with closing(open_store(f"sqlite:///{folder / 'events.db'}")) as store:
        histories = Histories(store.events, max_events)
        for kind, events in steps:
            if kind == "erase":
                store.events.erase("u1")
            elif kind == "join":
                store.events.join("u3", "u2")
            else:
                changes = store.events.append(events).changes
                if kind == "here":
                    histories.apply(changes)
            for user in ("u1", "u2", "u3"):
                assert histories.get(user).items == [
                    event.item for event in store.events.history(store.events.owner(user))
                ]
            kept = histories._histories
            assert sum(map(len, kept.values())) == histories._num_events
            assert histories._num_events <= max_events or len(kept) == 1
