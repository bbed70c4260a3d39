"""Over HTTP, a model learns each event once, at once: sent twice, after a restart, beside another service, erased."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from postgres import new_database, postgres_server

from segue.data.readers.ingest import read_log
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.model import Sizes
from segue.models.neighbours.learnt_counts import LearntCounts
from segue.models.popularity.pop import Pop
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.models.event_learner import make_learner, trained_until
from segue.service.models.loaded_model import Loading
from segue.service.start import start_service
from segue.serving.saved_model import SavedModel, load, save

START = 1_600_000_000
ROWS = [(f"u{user}", f"i{(user * step) % 7}", START + 100 * step + user) for user in range(12) for step in range(5)]
LOG = read_log(pl.DataFrame(ROWS, ["user", "item", "time"], orient="row"))
EVENTS = [("new", "i3"), ("u1", "i6"), ("new", "i5"), ("u2", "i5"), ("new", "i3"), ("u1", "i1")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in (LearntCounts, Pop):
        model = kind(kind.configure(), Sizes.of(LOG))
        model.fit(LOG)
        model.exclude_seen = False
        save(model, LOG, folder / kind.name)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "models"))


@contextmanager
def serve(folder: Path, url: str = "", *, update: bool = True) -> Iterator[TestClient]:
    url = url or f"sqlite:///{folder.parent / 'events.db'}"
    service = start_service(folder, url, active="learnt-counts", loading=Loading(update=update))
    with TestClient(create_app(service, Limits())) as client:
        client.service = service
        yield client


def send(client: TestClient, *events: tuple[str, str], name: str = "") -> None:
    for place, (user, item) in enumerate(events):
        body = {"user": user, "item": item, **({"id": f"{name}{place}"} if name else {})}
        assert client.post("/v1/events", json=body).status_code == 201


def answer(client: TestClient, user: str = "u7", model: str | None = None) -> list[tuple[str, float]]:
    chosen = {} if model is None else {"model": model}
    items = client.get("/v1/recommend", params={"user": user, "k": 7, **chosen}).json()["items"]
    return sorted((item["item"], round(item["score"], 4)) for item in items)


def learnt(client: TestClient, name: str = "learnt-counts") -> int | None:
    return next(one["learnt"] for one in client.get("/v1/models").json()["models"] if one["name"] == name)


def wait_for(client: TestClient, count: int) -> None:
    client.portal.call(client.service.follow_events)
    assert learnt(client) == count


def test_the_next_answer_of_anybody_knows_an_event_once_also_after_a_restart(folder):
    with serve(folder, update=False) as client:
        before = answer(client)
        send(client, *EVENTS[:2], name="a")
        assert answer(client) == before
        assert learnt(client) is None
        assert "segue_learnt_events{" not in client.get("/metrics").text
    with serve(folder) as client:
        assert learnt(client) == 2  # what happened meanwhile is learnt at the start
        known = [answer(client)]
        for event in EVENTS[2:]:
            send(client, event, name=f"b{len(known)}")
            known.append(answer(client))
            assert known[-1] != known[-2]
        send(client, EVENTS[2], name="b1")  # sent again
        send(client, ("new", "never seen"))
        assert answer(client) == known[-1]
        assert learnt(client) == len(EVENTS)
        assert 'segue_learnt_events{model="learnt-counts"} 6.0' in client.get("/metrics").text
        popular = dict(answer(client, model="pop"))
        assert popular["i5"] == LOG.counts()[LOG.items.ids(["i5"])[0]] + 2
    with serve(folder) as client:
        assert answer(client) == known[-1]
        assert dict(answer(client, model="pop")) == popular


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_services_of_a_store_learn_the_events_of_both(folder, kind):
    with ExitStack() as stack:
        url = ""
        if kind == "postgresql":
            url = stack.enter_context(new_database(stack.enter_context(postgres_server())))
        one, two = (stack.enter_context(serve(folder, url)) for _ in range(2))
        for place, event in enumerate(EVENTS):
            send((one, two)[place % 2], event)
        for client in (one, two):
            wait_for(client, len(EVENTS))
        assert answer(one) == answer(two)
        send(one, ("session", "i4"))
        assert one.post("/v1/sessions/session/join", json={"user": "u1"}).status_code == 200
        send(two, ("u1", "i2"))
        for client in (one, two):
            wait_for(client, len(EVENTS) + 2)
        assert answer(one) == answer(two)
        with serve(folder, url) as client:
            assert learnt(client) == len(EVENTS) + 2
            assert answer(client) == answer(one)


def test_an_erased_person_is_taken_out_of_what_was_learnt_everywhere(folder):
    with ExitStack() as stack:
        one, two = (stack.enter_context(serve(folder)) for _ in range(2))
        send(one, EVENTS[1])
        wait_for(two, 1)
        before = answer(one)
        send(two, *(event for event in EVENTS if event[0] == "new"))
        wait_for(one, 4)
        assert answer(one) != before
        assert one.delete("/v1/users/new").status_code == 200
        assert answer(one) == before
        two.portal.call(two.service.erasures.follow)
        assert answer(two) == before
        assert learnt(one) == learnt(two) == 1
        send(one, ("new", "i2"))  # who comes back is known from then on
        wait_for(two, 2)
        assert answer(one) == answer(two) != before


def test_late_events_of_an_erased_person_who_comes_back_are_learnt(folder):
    with serve(folder) as client:
        send(client, ("new", "i3"), ("new", "i5"))
        client.delete("/v1/users/new").raise_for_status()
        late = [{"user": "new", "item": item, "time": "2021-01-01T10:00:00Z"} for item in ("i2", "i5")]
        client.post("/v1/events", json={"events": late}).raise_for_status()
        client.portal.call(client.service.erasures.follow)
        wait_for(client, 2)  # they happened before the erasure, and the store has them
        known = answer(client)
    with serve(folder) as client:
        client.portal.call(client.service.erasures.follow)
        wait_for(client, 2)
        assert answer(client) == known


def test_the_events_of_a_session_are_learnt_as_those_of_its_user(folder):
    with serve(folder) as client:
        send(client, ("u2", "i1"), ("session", "i5"), ("u2", "i6"), ("session", "i3"))
        apart = answer(client)
        assert client.post("/v1/sessions/session/join", json={"user": "u2"}).status_code == 200
        joined = answer(client)
        assert joined != apart
        assert learnt(client) == 4
    with serve(folder) as client:
        assert answer(client) == joined


def test_a_model_that_takes_over_has_learnt_what_happened_since_its_training(folder):
    shutil.move(folder / "pop", folder.parent / "pop")
    with serve(folder) as client:
        send(client, *EVENTS[:4])
        shutil.move(folder.parent / "pop", folder / "pop")
        client.post("/v1/models/activate", json={"model": "pop"}).raise_for_status()
        assert learnt(client, "pop") == 4
        send(client, *EVENTS[4:])
        assert learnt(client, "pop") == learnt(client) == len(EVENTS)
        # trained on all that the store has: nothing is learnt a second time
        rows = [(event.user, event.item, event.time) for event in _all_events(client)]
        log = read_log(pl.DataFrame(rows, ["user", "item", "time"], orient="row"))
        model = Pop(Pop.configure(), Sizes.of(log))
        model.fit(log)
        model.exclude_seen = False
        save(model, log, folder / "pop")
        before = answer(client, model="pop")
        client.post("/v1/models/activate", json={"model": "pop", "import": False}).raise_for_status()
        assert learnt(client, "pop") == 0
        assert answer(client) == before
        send(client, ("u3", "i3"))
        assert learnt(client, "pop") == 1


def _all_events(client: TestClient) -> list:
    store = client.service.store
    return [row for block in store.events.blocks() for row in block]


def typed(**changes) -> SavedModel:
    types = np.arange(len(LOG.item), dtype=np.int8) % 2 + 1
    log = replace(LOG, event_type=types, event_types=("view", "buy"), **changes)
    model = LearntCounts(LearntCounts.configure({"max_examples": 8}), Sizes.of(log))
    model.fit(log)
    return SavedModel(model, log, {})


def test_only_events_of_the_types_of_the_log_are_learnt(tmp_path):
    one = typed()
    save(one.model, one.log, tmp_path / "models" / "learnt-counts")
    with serve(tmp_path / "models") as client:
        for kind, count in (("view", 1), ("buy", 2), ("search", 2), ("", 2)):
            client.post("/v1/events", json={"user": "u1", "item": "i1", "type": kind}).raise_for_status()
            assert learnt(client) == count


def test_a_model_whose_events_count_by_their_types_learns_none():
    tokens = {"i1": 1}
    assert make_learner(typed(), tokens) is not None
    assert make_learner(typed(is_target=np.arange(len(LOG.item)) % 2 == 0), tokens) is None
    pop = Pop(Pop.configure(), Sizes.of(LOG))
    assert make_learner(SavedModel(pop, LOG, {}), tokens) is not None
    assert make_learner(SavedModel(pop, LOG, {"experiment": {"protocol": {"targets": ["buy"]}}}), tokens) is None
    weighted = Pop(Pop.configure({"event_weights": "view=0.5"}), Sizes.of(LOG))
    assert make_learner(SavedModel(weighted, LOG, {}), tokens) is None


def test_what_a_model_knows_ends_with_the_newest_event_that_it_was_trained_on(tmp_path):
    protocol = Protocol.named("global-time")
    split = protocol.split(LOG)
    for refit, final, rows in ((False, False, split.train), (True, False, split.train_valid), (False, True, LOG)):
        outcome = Experiment(model="pop", protocol=protocol, refit=refit, final=final).run(LOG)
        found = load(save(outcome.model, LOG, tmp_path / "model", **outcome.about()))
        assert trained_until(found) == (int(rows.column(rows.time).max()) + 1) * 1_000_000 - 1
    timeless = read_log(pl.DataFrame(ROWS, ["user", "item", "time"], orient="row").drop("time"))
    assert trained_until(SavedModel(outcome.model, timeless, {})) == 4  # the last position of a history


def test_a_service_says_that_a_model_of_times_to_come_learns_nothing_before(tmp_path):
    ahead = read_log(pl.DataFrame([*ROWS, ("u1", "i1", 4_000_000_000)], ["user", "item", "time"], orient="row"))
    model = Pop(Pop.configure(), Sizes.of(ahead))
    model.fit(ahead)
    save(model, ahead, tmp_path / "pop")
    said: list[str] = []
    url = f"sqlite:///{tmp_path / 'events.db'}"
    service = start_service(tmp_path / "pop", url, import_events=False, say=said.append)
    with TestClient(create_app(service, Limits())) as client:
        assert said[-1].startswith("Warning: pop learns no event before 2096-10-02 07:06:40")
        send(client, ("u1", "i2"))
        assert learnt(client, "pop") == 0
