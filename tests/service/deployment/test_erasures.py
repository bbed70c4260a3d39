"""Persons who are erased at the same time, from damaged models, or with wrong times are gone from all models."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from contextlib import closing

import httpx2 as httpx
import polars as pl
import pytest
from fastapi.testclient import TestClient
from periodic_work import catch_up

from segue.data.readers.ingest import read_log
from segue.evaluation.protocol import Protocol
from segue.event_store.store import open_store
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.models import loaded_model
from segue.service.start import start_service
from segue.serving.saved_model import load, save


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'events.db'}"


def names(folder) -> set[str]:
    return set(load(folder).log.users.tokens)


def test_persons_who_are_erased_at_the_same_time_are_all_gone(own_models, url):
    erased = [f"u{number}" for number in range(4)]

    async def run() -> list[int]:
        service = start_service(own_models, url, active="hgn")
        transport = httpx.ASGITransport(create_app(service, Limits()))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            answers = await asyncio.gather(*(client.delete(f"/v1/users/{user}") for user in erased))
        await service.close()
        return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200] * 4
    for model in ("hgn", "item-knn"):
        assert names(own_models / model) & {"u4", *erased} == {"u4"}


def test_logs_are_made_anew_beside_the_event_loop(own_models, url, monkeypatch):
    threads = []
    log_without = loaded_model.log_without

    def watched(*args):
        threads.append(threading.get_ident())
        return log_without(*args)

    monkeypatch.setattr(loaded_model, "log_without", watched)

    async def run() -> None:
        service = start_service(own_models, url, active="hgn")
        await service.erasures.erase("u1")
        assert not any(loaded.knows_user("u1") for loaded in service.loaded_models())
        await service.close()

    asyncio.run(run())
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_a_model_that_cannot_be_rewritten_does_not_keep_the_others(own_models, url):
    with closing(open_store(url)) as store:
        store.erasures.erase("u1")
    service = start_service(own_models, url, active="item-knn")
    history = own_models / "hgn" / "history.parquet"
    content = history.read_bytes()
    history.write_bytes(content + b"x")

    def entries(client) -> dict[str, str | None]:
        return {one["name"]: one["not_erased"] for one in client.get("/v1/models").json()["models"]}

    with TestClient(create_app(service, Limits())) as client:
        catch_up(client, service)
        assert "u1" not in names(own_models / "item-knn")
        assert not any(loaded.knows_user("u1") for loaded in service.loaded_models())
        found = entries(client)
        assert found["item-knn"] is None
        assert "history.parquet: damaged" in found["hgn"]
        answer = client.delete("/v1/users/u2")
        assert (answer.status_code, "it is tried again" in answer.json()["detail"]) == (503, True)
        assert "u2" not in names(own_models / "item-knn")
        assert client.get("/v1/users/u2").json()["models"] == []
        history.write_bytes(content)
        catch_up(client, service)
        assert entries(client) == {"hgn": None, "item-knn": None}
        assert not {"u1", "u2"} & names(own_models / "hgn")


def test_an_erasure_counts_what_background_work_would_have_taken_out_first(own_models, url, monkeypatch):
    service = start_service(own_models, url, active="item-knn")
    table, erase = service.store.erasures, service.store.erasures.erase
    following = []

    def erase_while_others_follow(user: str):
        erased = erase(user)
        following.append(asyncio.run_coroutine_threadsafe(service.erasures.follow(), loops[0]))
        time.sleep(0.2)  # so long that the background work has begun
        return erased

    loops = []
    monkeypatch.setattr(table, "erase", erase_while_others_follow)

    async def run() -> dict[str, int]:
        loops.append(asyncio.get_running_loop())
        _, found = await service.erasures.erase("u1")
        await asyncio.wrap_future(following[0])
        await service.close()
        return {name: one.events for name, one in found.items()}

    assert asyncio.run(run()) == {"hgn": 12, "item-knn": 12}


def test_an_erasure_says_what_failed_whatever_is_tried_again_meanwhile(own_models, url, monkeypatch):
    service = start_service(own_models, url, active="item-knn")
    history = own_models / "hgn" / "history.parquet"
    history.write_bytes(history.read_bytes() + b"x")

    async def count_again() -> None:
        service.erasures.failed = {}  # as background work does that begins now

    monkeypatch.setattr(service.shop, "count_again", count_again)
    with TestClient(create_app(service, Limits())) as client:
        assert client.delete("/v1/users/u2").status_code == 503


def test_events_with_times_to_come_are_erased_with_the_others(tmp_path, url):
    """Another process erased somebody of whom an older model has an event with a wrong time."""
    later = int(time.time()) + 10 * 86_400
    rows = [(f"u{user}", f"i{(user + step) % 9}", later + step) for user in range(9) for step in range(5)]
    log = read_log(pl.DataFrame(rows, ["user", "item", "time"], orient="row"))
    outcome = Experiment(model="pop", protocol=Protocol.named("leave-one-out")).run(log)
    folder = save(outcome.model, log, tmp_path / "pop", **outcome.about())
    time.sleep(1.1)  # the time of saving is in seconds
    service = start_service(folder, url, import_events=False)
    with closing(open_store(url)) as other:
        other.erasures.erase("u1")
    with TestClient(create_app(service, Limits())) as client:
        catch_up(client, service)
        assert client.get("/v1/users/u1").json()["models"] == []
    assert "u1" not in names(folder)
    assert len(load(folder).log) == 40


def test_the_journal_is_emptied_when_a_backup_has_ended(own_models, url, tmp_path):
    service = start_service(own_models / "item-knn", url)
    emptying = next(one for one in service.periodic if one.name == "emptying the journal")
    with closing(open_store(url)) as backup, TestClient(create_app(service, Limits())) as client:
        assert client.post("/v1/events", json={"user": "a-person-with-a-name", "item": "i1"}).status_code == 201
        with backup.database.snapshot() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM events").scalar()
            remains = client.delete("/v1/users/a-person-with-a-name").json()["remains"]
            assert any("journal beside the file" in one for one in remains)
            assert b"a-person-with-a-name" in (tmp_path / "events.db-wal").read_bytes()
        client.portal.call(emptying.once)
        assert b"a-person-with-a-name" not in (tmp_path / "events.db-wal").read_bytes()
        remains = client.delete("/v1/users/another").json()["remains"]
        assert not any("journal beside the file" in one for one in remains)


@pytest.fixture(scope="module")
def recurrent(log, tmp_path_factory):
    """A saved model that keeps the states of users."""
    outcome = Experiment(model="gru4rec", protocol=Protocol.named("leave-one-out"), settings={"epochs": 1}).run(log)
    return save(outcome.model, log, tmp_path_factory.mktemp("recurrent") / "gru4rec", **outcome.about())


@pytest.mark.parametrize("is_damaged", [False, True])
def test_other_services_keep_nothing_of_an_erased_person_in_memory(recurrent, url, tmp_path, is_damaged):
    """Neither of somebody who came after the training, whom no model knows, nor of others when folders are damaged."""
    services = [start_service(shutil.copytree(recurrent, tmp_path / name / "gru4rec"), url) for name in ("one", "two")]
    one, two = (create_app(service, Limits()) for service in services)
    with TestClient(one) as here, TestClient(two) as there:
        for user in ("u1", "newcomer", "other"):
            assert here.post("/v1/events", json={"user": user, "item": "i3"}).status_code == 201
            assert there.get(f"/v1/recommend?user={user}").json()["fallback"] is None
        (states,) = (loaded.states for loaded in services[1].loaded_models())
        assert set(states.users()) == set(services[1].histories.users()) == {"u1", "newcomer", "other"}
        if is_damaged:
            (tmp_path / "two" / "gru4rec" / "history.parquet").write_bytes(b"x")
        for user in ("u1", "newcomer"):
            assert here.delete(f"/v1/users/{user}").status_code == 200
        catch_up(there, services[1])
        assert states.users() == services[1].histories.users() == ["other"]
