"""A service that is killed at random under load: every event that it acknowledged is there, none is there twice."""

from __future__ import annotations

import json
import random
import signal
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

import pytest
from benchmarks.running_service import running_service

from segue.event_store.store import open_store

WRITERS = 3
PATIENCE = 60.0  # seconds to wait for an answer: a busy machine is no failure


@dataclass
class Load:
    """Clients that send events, ask and activate until the service goes away.

    Attributes:
        port: of the service.
        acknowledged: ids of the events that the service said were stored.
        unsure: the events of requests that were not answered; they are sent again after the next start.
    """

    port: int
    round: int
    acknowledged: set[str] = field(default_factory=set)
    unsure: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def write(self, writer: int) -> None:
        """Send batches of events."""
        rng = random.Random(100 * self.round + writer)
        for batch in range(10_000):
            ids = [f"{self.round}-{writer}-{batch}-{n}" for n in range(rng.randint(1, 20))]
            events = [{"user": f"u{rng.randrange(40)}", "item": f"i{rng.randrange(30)}", "id": one} for one in ids]
            if self.request("POST", "/v1/events", {"events": events}) != 201:
                self.unsure += events
                return
            self.acknowledged.update(ids)

    def ask(self, asker: int) -> None:
        """Ask for recommendations, and let the models take turns."""
        for number in range(10_000):
            if number % 20 == asker:
                status = self.request("POST", "/v1/models/activate", {"model": ("hgn", "item-knn")[number // 20 % 2]})
            else:
                status = self.request("GET", f"/v1/recommend?user=u{number % 40}", None)
            if status is None:
                return
            self.answers.append(status)

    def request(self, method: str, path: str, content: object) -> int | None:
        """The status of an answer; None if the service is gone."""
        try:
            with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
                body = None if content is None else json.dumps(content)
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                answer = connection.getresponse()
                answer.read()
                return answer.status
        except (OSError, HTTPException):
            if not self.stopped.wait(timeout=5.0):  # nobody killed it
                raise
            return None


def killed_under_load(models, store: str, round: int, unsure: list[dict[str, str]]) -> Load:
    """Start a service, send again what the last one did not answer, load it, and kill it after a random time."""
    rng = random.Random(round)
    with running_service(models, store, "--active", "hgn") as (port, process, _), ThreadPoolExecutor(8) as pool:
        load = Load(port, round)
        if unsure:
            assert load.request("POST", "/v1/events", {"events": unsure}) == 201
            load.acknowledged.update(event["id"] for event in unsure)
        tasks = [pool.submit(load.write, number) for number in range(WRITERS)]
        tasks += [pool.submit(load.ask, number) for number in range(2)]
        time.sleep(rng.uniform(0.05, 0.8))
        load.stopped.set()
        process.send_signal(signal.SIGKILL)
        for task in tasks:
            task.result()
    return load


def check(store: str, file, loads: list[Load]) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = [one for (one,) in connection.execute("SELECT id FROM events WHERE id LIKE '%-%-%-%'")]
        versions = connection.execute("SELECT count(*) FROM events WHERE user NOT IN (SELECT user FROM histories)")
        assert versions.fetchone() == (0,)
    assert len(stored) == len(set(stored))
    acknowledged = set().union(*(load.acknowledged for load in loads))
    sent = acknowledged | {event["id"] for event in loads[-1].unsure}
    assert acknowledged <= set(stored) <= sent
    assert all(status == 200 for load in loads for status in load.answers)
    opened = open_store(store)
    assert len(opened.events) >= len(acknowledged)
    opened.close()


def run(models, tmp_path, kills: int) -> int:
    file = tmp_path / "events.db"
    store = f"sqlite:///{file}"
    loads: list[Load] = []
    for round in range(kills):
        loads.append(killed_under_load(models, store, round, loads[-1].unsure if loads else []))
        check(store, file, loads)
    return sum(len(load.acknowledged) for load in loads)


def test_a_killed_service_loses_no_event(models, tmp_path):
    assert run(models, tmp_path, 2) > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_service_that_is_asked_to_end_keeps_all_and_has_not_failed(models, tmp_path, number):
    store = f"sqlite:///{tmp_path / 'events.db'}"
    with (
        running_service(models, store, "--active", "hgn") as (port, process, _),
        closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as idle,
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as silent,
    ):
        idle.request("POST", "/v1/events", json.dumps({"user": "u1", "item": "i1", "id": "last"}))
        assert idle.getresponse().read() == b'{"stored":1,"duplicates":0}'
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert silent.recv(1) == b""
    assert [path.name for path in tmp_path.iterdir()] == ["events.db"]  # no file of an open store is left
    with closing(open_store(store)) as opened:
        assert [event.id for event in opened.events.newest("u1", 1)] == ["last"]


@pytest.mark.slow
def test_a_service_that_is_killed_a_hundred_times_loses_no_event(models, tmp_path):
    assert run(models, tmp_path, 100) > 1_000
