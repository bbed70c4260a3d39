"""Events that were seen are not read again, also where some of them were erased, were the newest, or are very many."""

from __future__ import annotations

from contextlib import closing

from segue.event_store import arrivals as module
from segue.event_store.arrivals import Arrivals, settled_cut
from segue.event_store.event import Event
from segue.event_store.store import Store, open_store


def append(store: Store, *users: str) -> None:
    store.events.append(
        [Event(user, "i", place, id=f"{len(store.events)} {place}") for place, user in enumerate(users)]
    )


def read(arrivals: Arrivals, store: Store) -> list[str]:
    """The users of the events that were read and not seen; they are seen then."""
    return [user for user, event in arrivals.read_unseen(store.events) if arrivals.see(event.seq)]


def test_each_event_is_seen_once(tmp_path, monkeypatch):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        append(store, "a", "b")
        arrivals = Arrivals(settled_cut(store.events))
        assert read(arrivals, store) == ["a", "b"]
        assert arrivals.read_unseen(store.events) == []
        append(store, "c", "b", "d")
        assert read(arrivals, store) == ["c", "b", "d"]
        for erased in ("a", "d"):  # an old event, and the newest
            store.erasures.erase(erased)
            assert read(arrivals, store) == []
            monkeypatch.setattr(store.events, "after", lambda *args: None)
            assert arrivals.read_unseen(store.events) == []  # none is read a second time
            monkeypatch.undo()


def test_events_are_read_in_parts_and_old_ones_are_settled(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_A_TIME", 4)
    monkeypatch.setattr(module, "UNSETTLED", 2)
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        arrivals, found = Arrivals(0), []
        append(store, *"abcdefghij")
        for _ in range(12):
            found += read(arrivals, store)
            arrivals.settle()
        assert found == list("abcdefghij")
        assert arrivals.cut == 6  # of 8 that were checked when there were more than four times two
        assert 1 in arrivals
        assert 11 not in arrivals


def test_no_event_of_another_process_is_passed_over_however_many_came_before_an_own_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "UNSETTLED", 2)
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        arrivals = Arrivals(0)
        append(store, *"abcdefghij")
        append(store, *"klmnopqrs")
        for own in range(11, 20):  # are stored by this process, which has not looked at those of the other one yet
            arrivals.see(own)
            arrivals.settle()
        assert read(arrivals, store) == list("abcdefghij")


def test_as_many_events_as_were_erased_are_found(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        append(store, "a", "b", "c")
        arrivals = Arrivals(0)
        assert read(arrivals, store) == ["a", "b", "c"]
        store.erasures.erase("b")
        append(store, "d")
        assert read(arrivals, store) == ["d"]


def test_events_that_are_looked_for_again_are_found_if_they_are_still_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "UNSETTLED", 2)
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        append(store, *"abcdefg")
        arrivals = Arrivals(0)
        assert read(arrivals, store) == list("abcdefg")
        assert read(arrivals, store) == []
        store.erasures.erase("c")
        arrivals.look_again([2, 3])  # of b and c
        assert read(arrivals, store) == ["b"]
        assert arrivals.read_unseen(store.events) == []


def test_events_that_are_looked_for_again_during_a_read_are_found_by_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "UNSETTLED", 2)
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        append(store, *"abcdefg")
        arrivals, num_after = Arrivals(0), store.events.num_after
        assert read(arrivals, store) == list("abcdefg")

        def meanwhile(seq: int) -> tuple[int, int]:
            arrivals.look_again([2])
            return num_after(seq)

        with monkeypatch.context() as during:
            during.setattr(store.events, "num_after", meanwhile)
            assert arrivals.read_unseen(store.events) == []
        assert read(arrivals, store) == ["b"]
