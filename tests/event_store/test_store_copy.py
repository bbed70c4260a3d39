"""A store is copied as a whole, from SQLite to PostgreSQL, back, and into a second file, or not at all."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest
from postgres import new_database
from sqlalchemy import select

from segue.errors import DataError
from segue.event_store import store_copy
from segue.event_store.event import Event
from segue.event_store.item_table import Item
from segue.event_store.outcomes import Outcome, RecommendedList
from segue.event_store.store import Store, open_store
from segue.event_store.store_copy import copy_store
from segue.event_store.tables import metadata

DIRECTIONS = ["sqlite-postgresql", "postgresql-sqlite", "sqlite-sqlite"]


@pytest.fixture(params=DIRECTIONS)
def stores(request, tmp_path, monkeypatch):
    """A full store and an empty one."""
    monkeypatch.setattr(store_copy, "BLOCK", 3)
    urls = []
    with ExitStack() as opened:
        for number, kind in enumerate(request.param.split("-")):
            is_file = kind == "sqlite"
            server = None if is_file else opened.enter_context(new_database(request.getfixturevalue("postgres")))
            urls.append(server or f"sqlite:///{tmp_path / str(number)}.db")
        source, target = (opened.enter_context(closing(open_store(url))) for url in urls)
        fill(source)
        yield source, target


def fill(store: Store) -> None:
    """Something in every table."""
    events = [Event(f"u{n % 4}", "ü <b>\U0001f600", -n, "view", n / 3, f"x{n}") for n in range(10)]
    store.imports.add(iter([("u9", "a", 1, None, "", {"device": "mobile"})]), fingerprint="f", name="log")
    store.events.append([*events, Event("u8", "a", 10**15, features={"price": 2.5})])
    store.sessions.join("u1", "u2")
    store.items.put([Item("a", "A", {"kind": ["x", 1, True], "price": 2.5}, False, 7), Item("b")])
    store.rules.put("few", {"kind": "cap", "column": "kind", "at_most": 2})
    store.deployments.put("active", {"arms": [{"model": "hgn", "weight": 0.5}]})
    store.keys.new("admin", "shop")
    one = RecommendedList("u0", "hgn", "f", "hgn", 5, 0, 1, False, ("a", "b"))
    store.outcomes.exchange({}, [one], [Outcome("u0", "hgn", "f", "hgn", 5, None, 2)])
    store.erasures.erase("u8")


def content(store: Store) -> dict[str, list[tuple]]:
    with store.database.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
        }


def test_all_of_a_store_is_copied_and_goes_on(stores):
    source, target = stores
    steps: list[int] = []
    counts = copy_store(source, target, steps.append)
    assert content(target) == content(source)
    assert counts == {name: len(rows) for name, rows in content(source).items()}
    assert min(counts.values()) > 0
    assert (sum(steps), max(steps)) == (counts["events"], 3)
    newest = source.events.newest_seq()
    for store in stores:
        assert store.events.append([Event("u0", "new", 9)]).changes["u0"].events[0].seq > newest
    waiting = RecommendedList("u0", "item-knn", "f", "b", 5, 0, 1, False, ("a",))
    assert target.outcomes.exchange({}, [waiting], [Outcome("u0", "hgn", "f", "hgn", 6, 1, 2)]) == 1
    with pytest.raises(DataError, match=r"is not empty \(events, .*; copy into a new store"):
        copy_store(source, target)


def test_what_is_stored_meanwhile_is_not_in_the_copy(stores):
    source, target = stores
    before = content(source)
    copy_store(source, target, lambda count: source.events.append([Event("late", "a", 1)]))
    assert content(target) == before
    assert source.events.version("late")


def test_an_interrupted_copy_leaves_nothing_and_can_be_begun_again(stores):
    source, target = stores

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(source, target, interrupt)
    assert not any(content(target).values())
    copy_store(source, target)
    assert content(target) == content(source)
