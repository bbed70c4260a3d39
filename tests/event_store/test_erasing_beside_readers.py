"""An erasure beside somebody who reads: nobody waits, and the name leaves the journal when the reader has ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from segue.event_store import database
from segue.event_store.event import Event
from segue.event_store.store import open_store

NAME = "a-person-with-a-name"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.db"


@pytest.fixture
def store(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 3600)  # whoever waits for the reader never ends
    with closing(open_store(f"sqlite:///{path}")) as opened:
        yield opened


def files_with_name(path) -> set[str]:
    return {one.name for one in path.parent.glob("events.db*") if NAME.encode() in one.read_bytes()}


def test_an_erasure_beside_a_reader_blocks_no_writes(store, path):
    store.events.append([Event(NAME, "a", 1)])
    with (
        ThreadPoolExecutor(1) as pool,
        closing(open_store(store.name)) as backup,
        backup.database.snapshot() as connection,
    ):
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1
        assert pool.submit(store.erasures.erase, NAME).result(20).in_journal
        assert not store.database.empty_journal()
        assert store.events.append([Event("another", "a", 1)]).stored == [True]
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1
    assert "events.db-wal" in files_with_name(path)
    assert store.database.empty_journal()
    assert not files_with_name(path)


def test_an_erasure_without_readers_leaves_nothing(store, path):
    store.events.append([Event(NAME, "a", 1)])
    assert not store.erasures.erase(NAME).in_journal
    assert not files_with_name(path)


def test_a_transaction_of_another_process_is_not_waited_for(store):
    with closing(open_store(store.name)) as other, other.database.write():
        assert not store.database.empty_journal()
    assert store.database.empty_journal()
