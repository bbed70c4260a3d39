"""The events of a model's log are copied into a store that has the same log, or none; another one only when asked."""

from __future__ import annotations

import shutil
from contextlib import closing

import polars as pl
import pytest
from fastapi.testclient import TestClient
from periodic_work import catch_up

from segue.cli import status
from segue.data.readers.ingest import read_log
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.event_store.clock import MICROSECONDS
from segue.event_store.event import Event, content_id
from segue.event_store.imports import Imports
from segue.event_store.store import open_store
from segue.event_store.store_copy import copy_store
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.start import start_service
from segue.serving.saved_model import load, save

from ..conftest import EVENTS, USERS, events

SAME = USERS * EVENTS  # events of the log of hgn and item-knn


def add_model(folder, name: str, frame: pl.DataFrame) -> int:
    """Save item-knn of some events; their number."""
    log = read_log(frame)
    outcome = Experiment(model="item-knn", protocol=Protocol.named("leave-one-out"), settings={}).run(log)
    save(outcome.model, log, folder / name, **outcome.about())
    return len(log)


@pytest.fixture(scope="module")
def made(models, tmp_path_factory):
    """Beside hgn: longer, of the same log that went on, and other, of another shop with users of the same names."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(models / "hgn", folder / "hgn")
    later = events().with_columns(pl.col("time") + 86_400 * 100).head(50)
    add_model(folder, "longer", pl.concat([events(), later]))
    add_model(folder, "other", events().with_columns(pl.format("x{}", "item").alias("item"), pl.col("time") + 7))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy, from which people can be erased."""
    return shutil.copytree(made, tmp_path / "models")


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'events.db'}"


@pytest.fixture
def client(folder, url):
    with TestClient(create_app(start_service(folder, url, active="hgn"), Limits())) as opened:
        yield opened


def activate(client, **body):
    return client.post("/v1/models/activate", json=body)


def num_events(url) -> int:
    with closing(open_store(url)) as store:
        return len(store.events)


def test_a_log_that_went_on_is_copied_and_counted(client, url):
    assert num_events(url) == SAME
    assert activate(client, model="longer").json()["imported"] == 50
    assert activate(client, model="longer").json()["imported"] == 0
    assert num_events(url) == SAME + 50


def test_another_log_is_copied_only_when_somebody_says_so(client, url):
    for body in ({"model": "other"}, {"arms": [{"model": "hgn"}, {"model": "other"}]}):
        answer = activate(client, **body)
        assert answer.status_code == 409
        assert (
            f"other: its log has {SAME} events of {USERS} users; the store has 0 of these events and {USERS} of these "
            f'users, and {SAME} other events. Give "import": true'
        ) in answer.json()["detail"]
    assert {one["name"] for one in client.get("/v1/models").json()["arms"]} == {"hgn"}
    assert client.post("/v1/models/load", json={"folder": "other"}).status_code == 200
    assert activate(client, model="hgn", shadow=["other"]).json()["imported"] == 0
    answer = activate(client, model="other", **{"import": False}).json()
    assert (answer["imported"], [one["name"] for one in answer["arms"]]) == (0, ["other"])
    assert num_events(url) == SAME
    assert activate(client, model="other", **{"import": True}).json()["imported"] == SAME
    assert activate(client, model="other", **{"import": True}).json()["imported"] == 0
    assert activate(client, model="other").json()["imported"] == 0
    assert num_events(url) == 2 * SAME


@pytest.mark.parametrize("value", ["true", 1, []])
def test_import_is_true_or_false(client, value):
    answer = activate(client, model="hgn", **{"import": value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body import")


def test_sessions_that_were_joined_and_people_who_were_erased_do_not_make_it_another_log(client, folder, url):
    for user in range(USERS - 1):
        assert client.post(f"/v1/sessions/u{user}/join", json={"user": "everybody"}).status_code == 200
    assert client.delete(f"/v1/users/u{USERS - 1}").status_code == 200
    assert activate(client, model="longer").json()["imported"] == 50
    assert client.delete("/v1/users/everybody").status_code == 200
    assert activate(client, model="hgn").status_code == 200
    assert num_events(url) == 0


def test_a_model_that_was_trained_on_the_store_needs_no_word(client, folder, url, tmp_path):
    """Also if most of its events have other users now, or are gone."""
    mine = shutil.copytree(folder / "longer", tmp_path / "mine" / "longer")
    client.post("/v1/events", json={"events": [{"user": f"v{n % 9}", "item": f"i{n % 7}"} for n in range(90)]})
    assert status(["retrain", str(mine), "--store", url, "--always"]) == 0
    with closing(open_store(url)) as store:
        for user in range(USERS):
            store.erasures.erase(f"u{user}")
    client.post("/v1/events", json={"events": [{"user": "w", "item": f"i{n % 7}"} for n in range(900)]})
    before = num_events(url)
    service = start_service(mine.parent, url, active="longer")
    service.store.close()
    assert num_events(url) == before


@pytest.mark.parametrize("by_request", [False, True])
def test_events_that_a_restored_backup_lacks_come_back_from_a_model_of_the_store(folder, url, tmp_path, by_request):
    """Each once, under the user whom it belongs to now, and without those who were erased."""
    mine = shutil.copytree(folder / "longer", tmp_path / "mine" / "longer")
    backup = url.replace("events.db", "backup.db")
    with closing(open_store(url)) as store, closing(open_store(backup)) as copied:
        store.events.append([Event(f"v{n % 9}", f"i{n % 37}", 1_764_410_400_123_456 + n) for n in range(45)])
        store.make_id()
        copy_store(store, copied)
        store.events.append([Event(f"v{n % 9}", f"i{n % 37}", 1_764_410_400_123_456 + n) for n in range(45, 135)])
        copied.sessions.join("v1", "bert")
        copied.erasures.erase("v2")
    assert status(["retrain", str(mine), "--store", url, "--always"]) == 0
    said: list[str] = []
    start_service(mine, url, say=said.append).store.close()
    assert said == []
    start_service(mine, backup, say=said.append).store.close()
    assert said == ["Warning: longer was trained on events that the store lacks; --import-events copies them."]
    if by_request:
        service = start_service(mine, backup, import_events=False)
        with TestClient(create_app(service, Limits())) as client:
            assert activate(client, model="longer").json()["imported"] == 0
            assert activate(client, model="longer", **{"import": True}).json()["imported"] == 80
            assert activate(client, model="longer", **{"import": True}).json()["imported"] == 0
    else:
        start_service(mine, backup, import_events=True, say=said.append).store.close()
        assert "80 events" in said[-1]
        start_service(mine, backup, import_events=True, say=said.append).store.close()
        assert "0 events" in said[-1]
    with closing(open_store(backup)) as copied:
        assert {user: copied.events.count(user) for user in ("bert", "v1", "v2", "v3")} == {
            "bert": 15,
            "v1": 0,
            "v2": 0,
            "v3": 15,
        }
        assert len(copied.events) == 120


def test_a_start_asks_in_the_same_way(folder, url):
    said: list[str] = []
    start_service(folder, url, active="hgn", say=said.append).store.close()
    with pytest.raises(ConfigError, match=r"other: its log has .*--import-events to copy"):
        start_service(folder, url, active="other")
    start_service(folder, url, say=said.append).store.close()
    assert said == [f"{url}: {SAME} events of the log log were copied into the store"]  # hgn goes on
    shutil.rmtree(folder / "hgn")
    shutil.copytree(folder / "other", folder / "hgn")
    start_service(folder, url, say=said.append).store.close()
    assert "Warning: hgn: its log has" in said.pop()
    assert num_events(url) == SAME
    start_service(folder, url, import_events=True).store.close()
    assert num_events(url) == 2 * SAME
    assert (
        status(["serve", str(folder), "--store", url.replace("events", "new"), "--active", "none", "--port", "0"]) == 2
    )


def test_a_copy_that_was_interrupted_is_taken_up(folder, url, monkeypatch):
    """Few of the events of the log are there, and no others."""
    log = load(folder / "hgn").log
    user, item = log.events()
    tokens = log.users.tokens, log.items.tokens
    first = [
        Event(tokens[0][int(user[row]) - 1], tokens[1][int(item[row]) - 1], int(log.column(log.time)[row]) * 1_000_000)
        for row in range(20)
    ]
    with closing(open_store(url)) as store:
        store.events.append(first)
    monkeypatch.setattr(Imports, "has", lambda self, fingerprint: False)
    start_service(folder, url, active="hgn").store.close()
    assert num_events(url) == SAME


def test_a_service_that_follows_copies_nothing(client, folder, url):
    follower = start_service(folder, url)
    with TestClient(create_app(follower, Limits())) as second:
        assert activate(client, model="other", **{"import": False}).status_code == 200
        catch_up(second, follower)
        assert second.get("/v1/models").json()["arms"][0]["model"] == "other"
        assert num_events(url) == SAME


def test_a_model_whose_folder_is_gone_leaves_memory_with_the_next_change(folder, url):
    service = start_service(folder, url, active="hgn")
    with TestClient(create_app(service, Limits())) as client:
        shutil.rmtree(folder / "longer")
        shutil.rmtree(folder / "hgn")
        assert client.post("/v1/models/load", json={"folder": "other"}).status_code == 200
        assert set(service.deployment.models) == {"hgn", "other"}  # hgn answers
        assert client.get("/v1/recommend?user=u1&model=longer").status_code == 422


def undated(added: dict[str, int] | None = None) -> pl.DataFrame:
    """The events without times, user by user, and some more at the end of some users."""
    more = [(user, f"i{n}", None) for user, count in (added or {}).items() for n in range(count)]
    grown = pl.concat([events(), pl.DataFrame(more, events().schema, orient="row")])
    return grown.sort("user", maintain_order=True).select("user", "item")


def test_only_the_rest_of_a_grown_log_without_times_is_copied(tmp_path, url):
    """Its first new event moves the rows of all users after it."""
    folder = tmp_path / "models"
    add_model(folder, "shop", undated())
    with TestClient(create_app(start_service(folder, url, active="shop"), Limits())) as client:
        assert num_events(url) == SAME
        shutil.rmtree(folder / "shop")
        add_model(folder, "shop", undated({"u0": 2, "u31": 1}))
        assert activate(client, model="shop").json()["imported"] == 3
        history = [event["item"] for event in client.get("/v1/users/u0").json()["history"]]
        assert history == [f"i{n}" for n in range(EVENTS)] + ["i0", "i1"]


def test_a_refusal_holds_for_every_later_start_activation_and_service(client, folder, url):
    assert activate(client, model="longer", **{"import": False}).json()["imported"] == 0
    said: list[str] = []
    start_service(folder, url, say=said.append).store.close()
    start_service(folder, url, active="longer", say=said.append).store.close()
    changed = activate(client, arms=[{"model": "hgn"}, {"model": "longer", "weight": 9}]).json()
    assert (said, changed["imported"], num_events(url)) == ([], 0, SAME)
    assert activate(client, model="longer", **{"import": True}).json()["imported"] == 50
    assert activate(client, model="longer", **{"import": False}).json()["imported"] == 0
    assert activate(client, model="longer", **{"import": True}).json()["imported"] == 0  # all are there


def test_a_service_without_imports_refuses_for_others_too(folder, url):
    start_service(folder, url, active="hgn").store.close()
    with TestClient(create_app(start_service(folder, url, import_events=False), Limits())) as client:
        assert activate(client, model="longer").json()["imported"] == 0
    start_service(folder, url).store.close()
    assert num_events(url) == SAME


@pytest.mark.parametrize("by_request", [False, True])
def test_an_event_whose_id_is_used_is_left_out_and_counted(client, folder, url, by_request):
    later = [*events().head(3).iter_rows()]
    ids = [content_id(user, item, (time + 86_400 * 100) * MICROSECONDS) for user, item, time in later]
    sent = [{"user": "mallory", "item": "i1", "id": one} for one in ids]
    assert client.post("/v1/events", json={"events": sent}).json()["stored"] == 3
    if by_request:
        answer = activate(client, model="longer").json()
        assert (answer["imported"], answer["skipped"]) == (47, 3)
        assert activate(client, model="longer").json()["skipped"] == 0
    else:
        said: list[str] = []
        start_service(folder, url, active="longer", say=said.append).store.close()
        assert said[0].startswith(f"{url}: 47 events")
        assert said[1].startswith("Warning: 3 more")
    assert num_events(url) == SAME + 3 + 47


def test_a_log_with_times_to_come_is_not_copied(client, folder, url):
    """Its events would stay the newest of their users until then."""
    start_of_2100 = 4_102_444_799
    ahead = (
        events()
        .with_row_index("row")
        .with_columns(pl.when(pl.col("row") == 5).then(pl.lit(start_of_2100)).otherwise("time").alias("time"))
    )
    add_model(folder, "ahead", ahead.drop("row"))
    for body in ({"model": "ahead"}, {"model": "ahead", "import": True}):
        answer = activate(client, **body)
        assert answer.status_code == 409
        assert (
            f"ahead: 1 of the {SAME} events of its log are to come, the latest at 2099-12-31 23:59:59 UTC; check the "
            "unit and the zone"
        ) in answer.json()["detail"]
        assert answer.json()["detail"].endswith('Give "import": false to go on with the events that the store has')
    for store, wanted in ((url, None), (url, True), (url.replace("events", "new"), None)):
        with pytest.raises(ConfigError, match=r"ahead: 1 of .*check the unit .*Give --no-import-events to go on"):
            start_service(folder, store, active="ahead", import_events=wanted)
    assert num_events(url) == SAME
    assert activate(client, model="ahead", **{"import": False}).json()["imported"] == 0
