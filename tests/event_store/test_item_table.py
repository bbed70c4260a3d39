"""The table of items: replaced or changed as asked, on both databases, and read again after a change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from segue.event_store import clock
from segue.event_store.item_table import Item


def plain(item: Item | None) -> tuple:
    assert item is not None
    return item.item, item.title, dict(item.columns), item.available, item.expires


def test_put_replaces_and_update_changes(store):
    store.items.put([Item("a", "A", {"kind": "x", "price": 2.5}, False, 7), Item("b"), Item("a", "A2", {"kind": "y"})])
    assert plain(store.items.get("a")) == ("a", "A2", {"kind": "y"}, True, None)
    store.items.update([("a", {"available": False}), ("a", {"columns": {"tags": ["p", "q"]}}), ("c", {"title": "C"})])
    assert plain(store.items.get("a")) == ("a", "A2", {"kind": "y", "tags": ["p", "q"]}, False, None)
    assert plain(store.items.get("c")) == ("c", "C", {}, True, None)
    store.items.update([("a", {"columns": {"kind": None}, "title": None})])
    assert plain(store.items.get("a")) == ("a", None, {"kind": None, "tags": ["p", "q"]}, False, None)


def test_a_change_is_read_once_it_is_there(store):
    first = store.items.put([Item("a"), Item("b")])
    assert first.before == 0
    assert [item.item for item in store.items.changed_after(0)] == ["a", "b"]
    second = store.items.put([Item("a", "A")])
    assert second.before == first.time < second.time
    (newest,) = store.items.changed_after(first.time)
    assert (newest.title, newest.created, newest.updated) == ("A", first.time, second.time)
    assert store.items.put([]).time == second.time


def test_names_and_values_are_stored_as_they_are(store):
    odd = Item("'; DROP TABLE items; --", "<b>\U0001f600", {"ü": ["'", '"', True, 1.5]})
    store.items.put([odd])
    assert plain(store.items.get(odd.item)) == plain(odd)
    assert store.items.get("nothing") is None


def test_changes_at_the_same_time_by_a_stopped_clock_are_all_read(store, monkeypatch):
    """Each change is later than the ones that were there, so that no reader misses one."""
    monkeypatch.setattr(clock.time, "time", lambda: 1000.0)
    read, done = {}, threading.Event()

    def follow() -> None:
        newest = 0
        while True:
            is_last = done.is_set()
            for item in store.items.changed_after(newest):
                read[item.item] = item.title
                newest = item.updated
            if is_last:
                return

    def write(number: int) -> None:
        store.items.put([Item(f"i{number % 7}"), Item(f"i{number % 5}")])
        store.items.update([(f"i{number}", {"title": f"T{number}"})])

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(follow)
        list(pool.map(write, range(7, 47)))
        done.set()
        reader.result()
    assert {name: title for name, title in read.items() if int(name[1:]) >= 7} == {
        f"i{n}": f"T{n}" for n in range(7, 47)
    }
