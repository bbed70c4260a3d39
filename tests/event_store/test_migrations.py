"""A store of an older version is brought to the newest one in one step, or is left as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy import Column, MetaData, String, Table, inspect

from segue.errors import DataError
from segue.event_store import migrations, tables
from segue.event_store.event import Event
from segue.event_store.store import Store, open_store

NOW = migrations.VERSION
KILLED = """
import os, signal, sys
from segue.event_store import migrations
from segue.event_store.store import open_store

def add(connection):
    connection.exec_driver_sql("ALTER TABLE events ADD COLUMN place TEXT")
    connection.exec_driver_sql("UPDATE events SET place = 'moved'")

def die(connection):
    os.kill(os.getpid(), signal.SIGKILL)

migrations.STEPS, migrations.VERSION = (*migrations.STEPS, add, die), migrations.VERSION + 2
open_store(sys.argv[1])
"""


def columns(store: Store) -> set[str]:
    with store.database.read() as connection:
        return {column["name"] for column in inspect(connection).get_columns("events")}


def version(store: Store) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT version FROM segue_schema").scalar_one())


def schema(store: Store) -> dict[str, dict]:
    """All that can be seen of the tables."""
    found = {}
    with store.database.read() as connection:
        inspector = inspect(connection)
        for name in tables.metadata.tables:
            columns = [{**one, "type": str(one["type"]), "comment": None} for one in inspector.get_columns(name)]
            found[name] = {
                "columns": columns,
                "key": inspector.get_pk_constraint(name)["constrained_columns"],
                "indexes": sorted((one["name"], one["column_names"]) for one in inspector.get_indexes(name)),
                "unique": sorted(one["column_names"] for one in inspector.get_unique_constraints(name)),
            }
    return found


def test_the_steps_lead_to_the_tables_of_now(url):
    with closing(open_store(url)) as store:
        migrated = schema(store)
        with store.database.write() as connection:
            tables.metadata.drop_all(connection)
            tables.metadata.create_all(connection)
        assert migrated == schema(store)


def test_a_released_step_does_not_follow_the_tables_of_now(url, monkeypatch):
    monkeypatch.setattr(tables, "metadata", MetaData())
    Table("later", tables.metadata, Column("name", String))
    monkeypatch.setattr(migrations, "_check_tables", lambda connection, name: None)
    with closing(open_store(url)) as store, store.database.read() as connection:
        names = inspect(connection).get_table_names()
        assert ("events" in names, "later" in names) == (True, False)


def test_items_of_a_store_of_version_1_are_not_complete(url, monkeypatch):
    row = "INSERT INTO items VALUES ('a', 'A', '{\"kind\": \"x\"}', TRUE, NULL, 1, 1)"
    with monkeypatch.context() as before:
        before.setattr(migrations, "STEPS", migrations.STEPS[:1])
        before.setattr(migrations, "VERSION", 1)
        before.setattr(migrations, "_check_tables", lambda connection, name: None)
        with closing(open_store(url)) as store, store.database.write() as connection:
            connection.exec_driver_sql(row)
    with closing(open_store(url)) as store:
        (item,) = store.items.changed_after(0)
        assert (item.title, item.columns, item.complete) == ("A", {"kind": "x"}, False)


@pytest.fixture
def old(url) -> str:
    """The address of a store with events."""
    with closing(open_store(url)) as store:
        store.events.append([Event(f"u{n}", "a", n) for n in range(5)])
    return url


def test_an_older_store_is_migrated_when_it_is_opened(old, monkeypatch):
    def add(connection):
        connection.exec_driver_sql("ALTER TABLE events ADD COLUMN place TEXT")

    def fill(connection):
        connection.exec_driver_sql("UPDATE events SET place = item")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add, fill))
    monkeypatch.setattr(migrations, "VERSION", NOW + 2)
    for _ in range(2):  # the second time nothing is left to do
        with closing(open_store(old)) as store:
            assert version(store) == NOW + 2
            assert len(store.events) == 5
            with store.database.read() as connection:
                assert set(connection.exec_driver_sql("SELECT place FROM events").scalars()) == {"a"}
    monkeypatch.undo()
    message = f"version {NOW + 2} of the store, and this segue knows versions up to {NOW}; install"
    with pytest.raises(DataError, match=message):
        open_store(old)


def test_a_process_that_is_killed_between_two_steps_changes_nothing(old):
    done = subprocess.run([sys.executable, "-c", KILLED, old], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(open_store(old)) as store:
        assert version(store) == NOW
        assert "place" not in columns(store)
        assert store.events.append([Event("u9", "b", 9)]).stored == [True]
        assert len(store.events) == 6


def test_an_error_in_a_step_changes_nothing(old, monkeypatch):
    def add(connection):
        connection.exec_driver_sql("ALTER TABLE events ADD COLUMN place TEXT")

    def fail(connection):
        connection.exec_driver_sql("UPDATE nothing SET place = item")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add, fail))
    monkeypatch.setattr(migrations, "VERSION", NOW + 2)
    with pytest.raises(DataError, match="nothing"):
        open_store(old)
    monkeypatch.undo()
    with closing(open_store(old)) as store:
        assert (version(store), "place" in columns(store)) == (NOW, False)
