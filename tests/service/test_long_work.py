"""What takes long runs in threads of its own, keeps nothing else waiting, and ends with the service."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from segue.errors import DataError
from segue.event_store.database import Database
from segue.event_store.event_log import EventLog
from segue.service import bounded_threads
from segue.service.bounded_threads import BusyError
from segue.service.monitoring import quality_watch
from segue.service.routes import items, quality, recommend, rules
from segue.service.service import COMPUTE_THREADS


@contextmanager
def busy(client, threads, number: int):
    """Computations that all were accepted, which run and wait until the block ends."""
    go, accepted = threading.Event(), []

    async def occupy() -> None:
        one = asyncio.ensure_future(threads.run(lambda: go.wait(60)))
        await asyncio.sleep(0.01)
        while one.done():  # it was refused: the service itself computes something at its start
            assert isinstance(one.exception(), BusyError)
            one = asyncio.ensure_future(threads.run(lambda: go.wait(60)))
            await asyncio.sleep(0.01)
        accepted.append(one)
        await one

    try:
        for _ in range(number):
            client.portal.start_task_soon(occupy)
        for _ in range(3_000):
            if len(accepted) == number:
                break
            time.sleep(0.01)
        assert len(accepted) == number
        yield
    finally:
        go.set()


def watch(monkeypatch, owner, function) -> list[str]:
    """The names of the threads that run a function from now on."""
    names, work = [], getattr(owner, function)

    def watched(*args, **options):
        names.append(threading.current_thread().name)
        return work(*args, **options)

    monkeypatch.setattr(owner, function, watched)
    return names


TRIAL = {"rules": {"none": {"kind": "exclude", "items": ["i1"]}}}


@pytest.mark.parametrize(
    ("owner", "function", "path", "body", "threads"),
    [
        (recommend, "explain_items", "/v1/recommend?user=u1&explain=true", None, "segue-compute"),
        (rules, "try_rules", "/v1/rules/try", TRIAL, "segue-compute"),
        (quality, "quality_series", "/v1/quality/series", None, "segue-compute"),
        (quality_watch, "quality_report", "/v1/quality?k=3", None, "segue-compute"),
        (items, "_find_similar", "/v1/similar?item=i1", None, "segue-compare"),
        (EventLog, "history", "/v1/recommend?user=u2", None, "segue-reads"),
        (EventLog, "newest", "/v1/users/u2", None, "segue-reads"),
        (EventLog, "count", "/v1/users/u2", None, "segue-reads"),
    ],
)
def test_what_takes_long_runs_in_threads_of_its_own(client, monkeypatch, owner, function, path, body, threads):
    names = watch(monkeypatch, owner, function)
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert {name.rpartition("_")[0] for name in names if name.startswith("segue")} == {threads}


def test_a_known_history_is_compared_with_a_file_in_the_event_loop(client, service, monkeypatch):
    client.get("/v1/recommend?user=u1")
    names = watch(monkeypatch, EventLog, "versions")
    assert client.get("/v1/recommend?user=u1").status_code == 200
    assert names  # more than one, if background work comes in between
    assert not [name for name in names if name.startswith("segue")]


def test_little_that_takes_long_runs_at_a_time_and_reads_do_not_wait_for_it(service):
    go, running = threading.Event(), []

    def work() -> None:
        running.append(1)
        assert go.wait(60)

    async def ask() -> None:
        long = [asyncio.ensure_future(service.computing.run(work)) for _ in range(50)]
        others = asyncio.gather(service.read_much(lambda: "read"), asyncio.to_thread(lambda: "other"))
        assert await asyncio.wait_for(others, 30) == ["read", "other"]
        assert len(running) <= COMPUTE_THREADS
        go.set()
        await asyncio.gather(*long)
        await service.close()

    asyncio.run(ask())


def test_similar_items_do_not_wait_for_trials_and_explanations(client, service):
    with busy(client, service.computing, COMPUTE_THREADS + 1):
        assert client.get("/v1/similar?item=i1").status_code == 200


@pytest.mark.parametrize(
    ("threads", "path"),
    [("computing", "/v1/recommend?user=u1&explain=true"), ("comparing", "/v1/similar?item=i1")],
)
def test_a_computation_that_would_wait_for_very_many_is_refused(client, service, threads, path):
    pool = getattr(service, threads)
    with busy(client, pool, COMPUTE_THREADS + bounded_threads.MAX_WAITING):
        answer = client.get(path)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert "ask again later" in answer.json()["detail"]
    assert client.get(path).status_code in (200, 503)  # those that waited may still be running


def test_closing_cancels_what_waits_and_closes_the_store_whatever_fails(service, monkeypatch):
    go, ran = threading.Event(), []

    async def full() -> None:
        raise DataError("disk full")

    async def close() -> None:
        running = [asyncio.ensure_future(service.computing.run(lambda: go.wait(60))) for _ in range(COMPUTE_THREADS)]
        waiting = [asyncio.ensure_future(service.computing.run(lambda: ran.append(1))) for _ in range(20)]
        await asyncio.sleep(0)
        monkeypatch.setattr(service.impressions, "close", full)
        closing = asyncio.ensure_future(service.close())
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in found} == {asyncio.CancelledError}
        go.set()
        await asyncio.gather(*running)
        with pytest.raises(DataError, match="disk full"):
            await closing

    closed = []
    monkeypatch.setattr(Database, "close", lambda database, close=Database.close: (close(database), closed.append(1)))
    asyncio.run(close())
    assert (ran, closed) == ([], [1])
