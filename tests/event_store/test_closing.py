"""A store that is closed while threads read it: SQLite crashes the process if a connection is closed under a read."""

from __future__ import annotations

import threading

import pytest

from segue.errors import DataError
from segue.event_store.event import Event
from segue.event_store.store import open_store


@pytest.fixture
def opened(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'events.db'}")
    store.events.append([Event("u1", "a", 1)])
    return store


def test_closing_waits_for_a_read_that_is_under_way(opened):
    reading, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def read():
        with opened.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT item FROM events")
            reading.set()
            may_end.wait(60)
            ended.set()
            assert rows.scalars().all() == ["a"]

    def close():
        opened.close()
        closed_after_the_read.append(ended.is_set())

    closed_after_the_read: list[bool] = []
    reader, closer = threading.Thread(target=read), threading.Thread(target=close)
    reader.start()
    assert reading.wait(60)
    closer.start()
    closer.join(0.1)
    may_end.set()
    reader.join()
    closer.join()
    assert closed_after_the_read == [True]


def test_a_closed_store_is_not_read(opened):
    assert opened.events.version("u1")
    opened.close()
    errors = []

    def read():
        try:
            opened.events.version("u1")
        except DataError as error:
            errors.append(str(error))

    read()
    other = threading.Thread(target=read)
    other.start()
    other.join()
    assert [one.endswith("events.db: closed") for one in errors] == [True, True]
    opened.close()  # a second time changes nothing


def test_more_threads_read_than_a_pool_has_connections(opened):
    barrier = threading.Barrier(33)  # as many as the default threads of an event loop on a large machine, and one

    def read():
        with opened.database.read():
            reading.append(barrier.wait(10))

    reading, threads = [], [threading.Thread(target=read) for _ in range(32)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    for thread in threads:
        thread.join()
    assert len(reading) == 32
    opened.close()
