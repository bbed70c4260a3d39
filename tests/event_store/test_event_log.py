"""Events of a store: stored once, in the order of time, with a version for each change."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.event import listen

from segue.errors import DataError
from segue.event_store.erased_names import ErasedNames
from segue.event_store.erasure_table import Erased
from segue.event_store.event import Event
from segue.event_store.event_log import EventLog
from segue.event_store.item_table import Item
from segue.event_store.later_events import EarlierItems, later_events
from segue.event_store.outcomes import RecommendedList
from segue.event_store.sessions import Sessions, TakenSessionError
from segue.event_store.store import open_store
from segue.event_store.tables import aliases, metadata

names = st.sampled_from(["u1", "u2", "ü", "'; DROP TABLE events; --"])


def history(log: EventLog, user: str, limit: int | None = None) -> list[tuple[int, str]]:
    return [(event.time, event.item) for event in log.history(user, limit)]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.builds(Event, names, st.sampled_from("abc"), st.integers(-5, 5)), max_size=6), max_size=6))
def test_histories_are_the_events_once_each_by_time_then_arrival(store, batches):
    with store.database.write() as connection:
        for table in ("events", "histories"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    expected: dict[str, list[Event]] = {}
    seen: set[str] = set()
    for batch in batches:
        appended = store.events.append(batch)
        for event, stored in zip(batch, appended.stored, strict=True):
            assert stored == (event.id not in seen)
            seen.add(event.id)
            if stored:
                expected.setdefault(event.user, []).append(event)
    for user, events in expected.items():
        ordered = sorted(events, key=lambda event: event.time)  # stable: arrival decides between equal times
        assert history(store.events, user) == [(event.time, event.item) for event in ordered]
        assert history(store.events, user, 2) == [(event.time, event.item) for event in ordered][-2:]
    assert len(store.events) == len(seen)
    assert [row.seq for block in store.events.blocks(3) for row in block] == sorted(
        row.seq for block in store.events.blocks() for row in block
    )


def test_a_version_changes_with_the_history_and_with_nothing_else(store):
    log = store.events
    assert log.version("u1") is None
    first = log.append([Event("u1", "a", 1), Event("u2", "b", 2)]).changes
    assert first["u1"].before is None
    assert log.version("u1") == first["u1"].after
    again = log.append([Event("u1", "a", 1), Event("u2", "c", 3)])
    assert again.stored == [False, True]
    assert set(again.changes) == {"u2"}
    assert again.changes["u2"].before == first["u2"].after
    assert log.version("u1") == first["u1"].after
    assert [event.item for event in again.changes["u2"].events] == ["c"]


def test_events_are_there_after_the_store_was_closed(url):
    one = open_store(url)
    one.events.append([Event("u1", "a", 1, "view", 4.5, "x1")])
    one.close()
    two = open_store(url)
    (row,) = next(two.events.blocks())
    assert tuple(row)[:5] == ("u1", "a", 1, "view", 4.5)
    two.close()


def test_a_session_joined_to_a_user_is_the_users_history_from_then_on(store):
    log = store.events
    log.append([Event("u1", "a", 1), Event("session", "b", 2)])
    assert store.sessions.join("session", "u1") == 1
    assert history(log, "u1") == [(1, "a"), (2, "b")]
    assert log.history("session") == []
    assert log.version("session") is None
    appended = log.append([Event("session", "c", 3)])
    assert set(appended.changes) == {"u1"}
    assert history(log, "u1") == [(1, "a"), (2, "b"), (3, "c")]
    assert store.sessions.owner("session") == "u1"


def test_a_session_belongs_to_one_user_for_ever(store):
    store.events.append([Event("s", "a", 1)])
    assert [store.sessions.join("s", "anna"), store.sessions.join("s", "anna")] == [1, 0]
    with pytest.raises(TakenSessionError, match="begin a new session"):
        store.sessions.join("s", "ben")
    assert store.sessions.join("anna", "carl") == 1  # two users become one, and the session goes with them
    assert [store.sessions.join("s", "anna"), store.sessions.join("s", "carl")] == [0, 0]
    with pytest.raises(TakenSessionError):
        store.sessions.join("anna", "ben")
    assert store.sessions.joined() == {"s": "carl", "anna": "carl"}
    assert history(store.events, "carl") == [(1, "a")]


def test_lists_that_wait_go_with_the_session(store):
    """Of two lists of one model and arm, the newer one stays, whoever had it."""
    store.events.append([Event("s", "a", 1), Event("u", "b", 2)])
    places = [("s", "hgn", 7), ("u", "hgn", 5), ("s", "pop", 5), ("u", "pop", 7), ("s", "knn", 5), ("u", "gru", 5)]
    waiting = [RecommendedList(user, model, "f", "a", time, 1, 1, False, (user,)) for user, model, time in places]
    store.outcomes.exchange({}, waiting)
    store.sessions.join("s", "u")
    assert store.outcomes.waiting(["s"]) == {}
    found = sorted((one.model, one.time, *one.items) for one in store.outcomes.waiting(["u"]).values())
    assert found == [("gru", 5, "u"), ("hgn", 7, "s"), ("knn", 5, "s"), ("pop", 7, "u")]


@pytest.mark.parametrize(("change", "left"), [("join", ["y", "z"]), ("erase", [])])
def test_an_event_that_crosses_a_join_or_an_erasure_is_not_left_with_the_session(store, url, monkeypatch, change, left):
    log = store.events
    log.append([Event("s", "x", 1), Event("u", "y", 2)])
    if change == "erase":
        store.sessions.join("s", "u")
    asked, go, owners = threading.Event(), threading.Event(), Sessions.owners

    def slow_owners(self, connection, names):
        found = owners(self, connection, names)
        if self is log._sessions:
            asked.set()
            assert go.wait(20)
        return found

    monkeypatch.setattr(Sessions, "owners", slow_owners)
    with closing(open_store(url)) as other, ThreadPoolExecutor(2) as pool:
        appending = pool.submit(log.append, [Event("s", "z", 3)])
        assert asked.wait(20)
        changing = (
            pool.submit(other.sessions.join, "s", "u") if change == "join" else pool.submit(other.erasures.erase, "u")
        )
        wait([changing], timeout=0.5)
        go.set()
        appending.result()
        changing.result()
        assert other.events.history("s") == []
        assert [event.item for event in other.events.history("u") if event.item != "x"] == left


def test_two_transactions_with_the_same_ids_do_not_wait_for_each_other(store, url):
    """Of two services of a PostgreSQL; in SQLite every transaction is alone."""
    if store.database.embedded:
        pytest.skip("one transaction at a time")
    table = metadata.tables["events"]
    rows = [{"id": name, "user": "u", "item": "x", "time": 1, "type": ""} for name in "ab"]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with closing(open_store(url)) as other, ThreadPoolExecutor(1) as pool:
        with other.database.write() as connection:
            connection.execute(table.insert(), rows[:1])
            appending = pool.submit(store.events.append, [Event("u", "x", 1, id=name) for name in "cba"])
            while not connection.exec_driver_sql(waiting).scalar():
                time.sleep(0.01)
            connection.execute(table.insert(), rows[1:])
        assert appending.result().stored == [True, False, False]
    store.events.append([Event("v", item, 1, id=item) for item in "zyx"])
    assert history(store.events, "v") == [(1, "z"), (1, "y"), (1, "x")]  # in the order of arrival


def test_an_erased_user_leaves_nothing_but_a_salted_hash(store):
    log = store.events
    log.append([Event("u1", "a", 1), Event("s", "b", 2), Event("u2", "c", 3)])
    store.sessions.join("s", "u1")
    assert store.erasures.erase("s") == Erased(("u1", "s"), events=2, lists=0, outcomes=0)
    assert log.history("u1") == []
    assert log.version("u1") is None
    assert store.sessions.owner("s") == "s"
    erased = store.erasures.names()
    assert len(erased) == 2
    assert set(erased.among(["u1", "u2", "s"])) == {"u1", "s"}
    assert ErasedNames("").hashes(["u1"])[0] not in erased.times
    assert history(log, "u2") == [(3, "c")]
    assert store.erasures.erase("u1").events == 0


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_is_erased_is_overwritten_in_the_files_of_sqlite(store, tmp_path):
    name, other = "a-name-to-forget", "a-name-to-keep"
    for number in range(200):
        store.events.append([Event(name, f"i{number}", number), Event(other, f"i{number}", number)])
    store.erasures.erase(name)
    content = b"".join(path.read_bytes() for path in tmp_path.glob("events.db*"))
    assert content.count(other.encode()) >= 200
    assert content.count(name.encode()) < 5  # where SQLite moved a row from one page to another


def test_writers_at_the_same_time_lose_nothing_and_store_nothing_twice(store):
    def write(writer: int) -> int:
        batches = [[Event(f"u{n % 3}", f"i{n}", n) for n in range(first, first + 5)] for first in range(0, 60, 5)]
        order = batches if writer % 2 else batches[::-1]
        return sum(sum(store.events.append(batch).stored) for batch in order)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 60
    assert [item for user in ("u0", "u1", "u2") for _, item in history(store.events, user)] == [
        f"i{n}" for user in range(3) for n in range(60) if n % 3 == user
    ]


@pytest.mark.parametrize("texts", [("", ""), ("x" * 500, "emoji \U0001f600"), ("a\nb", "tab\t")])
def test_names_come_back_as_they_were(store, texts):
    user, item = texts
    store.events.append([Event(user, item, 7)])
    assert history(store.events, user) == [(7, item)]


def test_events_are_counted_by_item_and_stretch_of_time(store):
    events = [
        Event("u", item, time) for item, time in [("a", 1), ("a", 9), ("a", 10), ("b", -9), ("b", -10), ("c", 25)]
    ]
    store.events.append(events)
    cut = store.events.newest_seq() - 1
    assert sorted(store.events.counts(10, cut)) == [("a", 0, 2), ("a", 1, 1), ("b", -1, 1), ("b", 0, 1)]
    assert [event.item for _, event in store.events.after(cut)] == ["c"]


def test_the_newest_users_and_events_come_first(store):
    store.events.append([Event("u1", "a", 1), Event("u2", "b", 5, "view", 2.5, "x"), Event("u1", "c", 3)])
    assert store.events.newest_users(9) == ["u2", "u1"]
    assert store.events.newest_users(1) == ["u2"]
    assert store.events.newest("u2", 9) == [Event("u2", "b", 5, "view", 2.5, "x")]
    assert [event.item for event in store.events.newest("u1", 1)] == ["c"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_statements_keep_within_the_limit_of_the_database(store):
    """SQLite has a limit of 32,766 values in a statement, PostgreSQL one of 65,535."""
    limit = sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 600
    for engine in (store.database._engine, store.database._reading):
        listen(engine, "checkout", lambda connection, *_: connection.setlimit(*limit))
    many = [f"s{number}" for number in range(1_300)]
    with store.database.write() as connection:
        connection.execute(aliases.insert(), [{"session": session, "user": "u"} for session in many])
    with pytest.raises(DataError, match="too many SQL variables"), store.database.write() as connection:
        connection.execute(aliases.select().where(aliases.c.session.in_(many)))
    for first in range(0, len(many), 80):  # of 7 values each
        store.events.append([Event(session, "a", 1) for session in many[first : first + 80]])
    assert store.events.num_known(many) == len(many)
    assert store.events.versions(["u", *many]).keys() == {"u"}
    assert store.outcomes.waiting(many) == {}
    assert len(store.items.put([Item(name) for name in many]).items) == len(many)
    assert store.erasures.erase("s7").events == len(many)
    assert len(store.erasures.names()) == 1 + len(many)
    assert store.events.num_known(many) == 0


def test_each_store_has_a_salt_of_its_own(store):
    assert store.erasures.count() == 0
    store.erasures.erase("u1")
    salt = store.erasures.names().salt
    assert (store.erasures.count(), len(salt)) == (1, 32)
    store.erasures.erase("u1")
    assert store.erasures.count() == 2  # the second time counts, too
    assert store.erasures.names().salt == salt


def test_events_after_a_place_and_items_up_to_it(store):
    users = [f"u{number}" for number in range(250)]  # more than one statement asks for
    store.events.append([Event(user, item, time) for user in users for item, time in (("a", 5), ("b", 5), ("c", 7))])
    store.events.append([Event("u0", "late", 3)])
    _, first, second, last = store.events.history("u0")
    assert [one.item for one in (first, second, last)] == ["a", "b", "c"]
    places = {user: store.events.history(user)[-3] for user in users}
    wanted = {user: (one.time, one.seq) for user, one in places.items()} | {"nobody": (0, 0)}
    later = later_events(store.database, wanted)
    assert {user: [one.item for one in found] for user, found in later.items()} == {user: ["b", "c"] for user in users}
    earlier = EarlierItems(store.database, "u0", (first.time, first.seq))
    assert [item in earlier for item in ("late", "a", "b", "c", "d")] == [True, True, False, False, False]
    assert later_events(store.database, {}) == {}
