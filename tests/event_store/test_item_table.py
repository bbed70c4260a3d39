"""The table of items: replaced or changed as asked, on both databases, and read again after a change."""

from __future__ import annotations

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
    assert plain(store.items.get("a")) == ("a", None, {"tags": ["p", "q"]}, False, None)


def test_a_change_is_read_once_it_is_there(store):
    first = store.items.put([Item("a"), Item("b")])
    assert store.items.newest() == first.time
    assert first.before == 0
    changed, since = store.items.changed_since(0)
    assert [item.item for item in changed] == ["a", "b"]
    second = store.items.put([Item("a", "A")])
    assert second.before == first.time < second.time == store.items.newest()
    newest = {item.item: item for item in store.items.changed_since(since)[0]}["a"]
    assert (newest.title, newest.created, newest.updated) == ("A", first.time, second.time)
    assert store.items.put([]).time == second.time


def test_names_and_values_are_stored_as_they_are(store):
    odd = Item("'; DROP TABLE items; --", "<b>\U0001f600", {"ü": ["'", '"', True, 1.5]})
    store.items.put([odd])
    assert plain(store.items.get(odd.item)) == plain(odd)
    assert store.items.get("nothing") is None
