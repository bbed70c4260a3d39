"""The store goes away while a service runs: requests say so, nothing is acknowledged that is lost, and it goes on."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import psycopg
import pytest
from fastapi.testclient import TestClient
from postgres import new_database, postgres_server

from segue.service import deadline
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.start import start_service

EVENT = {"user": "u1", "item": "i1"}
NEEDS_STORE = [("POST", "/v1/events", EVENT), ("GET", "/v1/recommend?user=u1", None), ("GET", "/v1/users/u1", None)]


def statuses(client) -> list[int]:
    found = []
    for method, path, body in [*NEEDS_STORE, ("GET", "/readyz", None)]:
        answer = client.request(method, path, json=body)
        assert (answer.status_code == 503) == ("retry-after" in answer.headers)
        found.append(answer.status_code)
    return found


def test_a_postgresql_that_comes_back_is_used_again(models):
    with postgres_server() as server, new_database(server) as url:
        name = url.rpartition("/")[2]
        service = start_service(models, url, active="hgn")
        with (
            TestClient(create_app(service, Limits())) as client,
            psycopg.connect(f"{server}/postgres", autocommit=True) as admin,
        ):
            assert statuses(client) == [201, 200, 200, 200]
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            assert statuses(client) == [503] * 4
            assert client.get("/healthz").status_code == 200
            with pytest.raises(Exception, match="not currently accepting"):
                client.portal.call(service.activation.follow_once)
            service.activation.problem = "not currently accepting connections"
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            assert statuses(client) == [201, 200, 200, 200]
            client.portal.call(service.activation.follow_once)
            assert client.get("/v1/models").json()["problem"] is None
            assert client.get("/v1/users/u1").json()["events"] == 12 + 2


def test_a_postgresql_that_hangs_is_given_up(models, monkeypatch):
    """A lock on a table of the store stands for a server that is stopped: its answers do not come, nor do errors."""
    with postgres_server() as server, new_database(server) as url:
        service = start_service(models, url, active="hgn")
        monkeypatch.setattr(deadline, "STORE_SECONDS", 0.3)
        with TestClient(create_app(service, Limits())) as client, psycopg.connect(url) as other:
            assert statuses(client) == [201, 200, 200, 200]
            other.execute("LOCK TABLE histories, documents, items IN ACCESS EXCLUSIVE MODE")
            for number in range(2):  # the transaction of the first begins, the second waits for it and is dropped
                answer = client.post("/v1/events", json={**EVENT, "id": f"id{number}"})
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert "may be stored or not: send them again with the same ids" in answer.json()["detail"]
            assert not service.writer._waiting
            for method, path, body in [
                ("GET", "/v1/recommend?user=u1", None),
                ("GET", "/v1/recommend?user=u2", None),
                ("PUT", "/v1/items", {"item": "i1"}),
                ("PUT", "/v1/rules/none", {"kind": "exclude", "items": ["i1"]}),
                ("POST", "/v1/sessions/s/join", {"user": "u1"}),
                ("DELETE", "/v1/users/u3", None),
                ("POST", "/v1/models/activate", {"model": "hgn"}),
            ]:
                answer = client.request(method, path, json=body)
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True), path
            assert client.get("/healthz").status_code == 200
            other.rollback()
            monkeypatch.setattr(deadline, "STORE_SECONDS", 30)
            assert client.post("/v1/events", json={**EVENT, "id": "id0"}).json() == {"stored": 0, "duplicates": 1}
            assert client.post("/v1/events", json={**EVENT, "id": "id1"}).json() == {"stored": 1, "duplicates": 0}
            assert client.get("/v1/recommend?user=u1").json()["events"] == 12 + 3
            for _ in range(100):  # threads of the requests that were given up end now; then the store can be closed
                if not service.store.database._engine.pool.checkedout():
                    break
                time.sleep(0.1)
            assert service.store.database._engine.pool.checkedout() == 0


def test_an_erasure_does_not_wait_without_limit_for_background_work(client, service, monkeypatch):
    """What takes erased users out of models waits for the store, too, and only one of them works at a time."""
    monkeypatch.setattr(deadline, "STORE_SECONDS", 0.3)
    client.portal.call(service.erasures._lock.acquire)
    answer = client.delete("/v1/users/u3")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    client.portal.call(release, service.erasures._lock)  # which the request has not, after it was given up


async def release(lock):
    lock.release()
    assert not lock.locked()


def test_no_event_is_acknowledged_that_goes_into_a_deleted_file(client, service, tmp_path):
    assert statuses(client) == [201, 200, 200, 200]
    (tmp_path / "events.db").rename(tmp_path / "moved.db")
    assert statuses(client) == [503, 200, 200, 503]
    assert (
        "was deleted or replaced while it was open; put it back"
        in client.post("/v1/events", json=EVENT).json()["detail"]
    )
    (tmp_path / "events.db").write_bytes((tmp_path / "moved.db").read_bytes())
    assert statuses(client)[0] == 503  # another file of the same name
    (tmp_path / "moved.db").replace(tmp_path / "events.db")
    assert statuses(client) == [201, 200, 200, 200]


def test_a_full_disk_refuses_events_and_is_got_over(client, service):
    before = len(service.store.events)
    with service.store.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # SQLite then answers as on a full disk
    many = {"events": [{**EVENT, "item": "x" * 400, "id": str(n)} for n in range(500)]}
    for _ in range(2):
        answer = client.post("/v1/events", json=many)
        assert (answer.status_code, "database or disk is full" in answer.json()["detail"]) == (503, True)
    assert client.get("/v1/recommend?user=u1").status_code == 200
    assert len(service.store.events) == before
    with service.store.database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert client.post("/v1/events", json=many).json() == {"stored": 500, "duplicates": 0}


def test_a_file_that_another_program_locks_delays_events_only(client, tmp_path):
    with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        for path in ("/v1/recommend?user=u1", "/v1/users/u1", "/v1/popular", "/readyz"):
            assert client.get(path).status_code == 200
        assert time.monotonic() - begin < 20  # a writer would wait for 30 seconds
        other.execute("COMMIT")
    assert client.post("/v1/events", json=EVENT).status_code == 201
