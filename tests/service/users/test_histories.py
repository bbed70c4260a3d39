"""Histories in memory are what the store holds, whoever changed it and in whatever order events came."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from hypothesis import example, given, settings
from hypothesis import strategies as st

from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.histories import Histories

EVENT = st.builds(Event, st.sampled_from(["u1", "u2", "u3"]), st.sampled_from("abcd"), st.integers(0, 9))
STEP = st.tuples(st.sampled_from(["here", "elsewhere", "erase", "join"]), st.lists(EVENT, max_size=4))


MANY = [("here", [Event("u1", "a", 6)]), ("here", [Event("u1", item, 7) for item in "bca"])]


@settings(max_examples=40)
@example(steps=MANY, max_events=3, window=2)  # more events at once than the window has
@given(st.lists(STEP, max_size=12), st.integers(1, 12), st.integers(1, 9))
def test_a_history_is_that_of_the_store_after_every_change(tmp_path_factory, steps, max_events, window):
    folder = tmp_path_factory.mktemp("histories")
    with closing(open_store(f"sqlite:///{folder / 'events.db'}")) as store:
        histories = Histories(store, max_events, window)
        read: dict[object, tuple[int, list[tuple[int, int]]]] = {}  # the latest history of each origin
        for kind, events in steps:
            if kind == "erase":
                store.erasures.erase("u1")
            elif kind == "join":
                store.sessions.join("u3", "u2")
            else:
                changes = store.events.append(events).changes
                if kind == "here":
                    histories.apply(changes)
            for user in ("u1", "u2", "u3"):
                stored = store.events.history(store.sessions.owner(user), window)
                history = histories.get(user)
                assert list(history.items) == [event.item for event in stored]
                kept_order = [(time, seq) for time, seq in history.order.tolist()]
                assert kept_order == [(event.time, event.seq) for event in stored]
                count, order = read.get(history.origin, (0, []))
                new = min(history.count - count, len(history))  # the oldest of the new ones may be dropped already
                whole = [*order, *kept_order[len(history) - new :]]
                assert kept_order == whole[-window:]  # whoever read the latest one goes on from there
                read[history.origin] = history.count, whole
            kept = histories._histories
            assert sum(map(len, kept.values())) == histories._num_events
            assert histories._num_events <= max_events or len(kept) == 1


def test_threads_that_read_histories_at_a_time_count_each_event_once(tmp_path):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
            store.events.append([Event(f"u{number % 40}", f"i{number}", number) for number in range(400)])
            histories = Histories(store, 60)
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(histories.get, [f"u{number * 7 % 40}" for number in range(2000)]))
            assert {len(history) for history in found} == {10}
            assert histories.sizes()[1] == sum(map(len, histories._histories.values())) == 60
    finally:
        sys.setswitchinterval(interval)


def test_an_event_costs_each_of_many_models_one_look_up_of_a_name(models, tmp_path):
    loaded = [LoadedModel.load(models / "item-knn") for _ in range(6)]
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        histories = Histories(store, window=50)
        store.events.append([Event("u", f"i{number % 30}", number) for number in range(50)])
        asked: list[str] = []

        class Names(dict[str, int]):
            def get(self, name, default=None):
                asked.append(name)
                return super().get(name, default)

        for model in loaded:
            model.token_ids = Names(model.token_ids)
            model.read(histories.get("u"))
        assert len(asked) == 50 * len(loaded)
        del asked[:]
        for number, item in enumerate(["i7", "unknown", "i3"], 50):
            histories.apply(store.events.append([Event("u", item, number)]).changes)
            history = histories.get("u")
            ids = [model.read(history).tolist() for model in loaded for _ in range(2)]
            assert asked == [item] * len(loaded)
            assert ids == [loaded[0].known(list(history.items))[0].tolist()] * 2 * len(loaded)
            del asked[:]
        del history
        histories.forget(["u"])
        assert not any(model._item_ids for model in loaded)
