"""A service gives a model the features of a user's events, as the store has them."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from segue import testing
from segue.data import synthetic
from segue.data.event_features import EventFeature
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.errors import DataError
from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.models.registry import MODELS
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.models.loaded_model import LoadedModel
from segue.service.start import start_service
from segue.service.users.histories import Histories
from segue.service.users.history import History
from segue.service.users.history_import import import_histories
from segue.serving.recommend import recommend
from segue.serving.saved_model import load, save
from segue.serving.vocabulary_adapter import VocabularyAdapter
from segue.testing.subject import evaluation_batch

COLUMNS = EventFeature("device", ("desk", "phone")), EventFeature("price")


@pytest.fixture(scope="module")
def log() -> Log:
    log = synthetic.markov(30, 9, 8, seed=1)
    rng = np.random.default_rng(2)
    values = np.stack([rng.integers(1, 3, len(log.item)), rng.integers(0, 90, len(log.item))], 1).astype(np.float32)
    values[::4] = np.nan
    return replace(log, event_features=values, event_feature_columns=COLUMNS)


@pytest.fixture(scope="module")
def model(log: Log) -> Any:
    return testing.subject(MODELS["sasrec"], event_features=True).train(log)


@pytest.fixture
def folder(model: Any, log: Log, tmp_path: Path) -> Path:
    return save(model, log, tmp_path / "model")


def test_a_saved_model_keeps_the_features_of_its_events(log: Log, folder: Path) -> None:
    again = load(folder).log
    assert again.event_feature_columns == COLUMNS
    np.testing.assert_array_equal(again.known_event_features, log.known_event_features)
    assert again.fingerprint == log.fingerprint


def test_features_of_a_service_are_those_of_recommend(model: Any, log: Log, folder: Path, tmp_path: Path) -> None:
    loaded = LoadedModel.load(folder)
    happened: list[tuple[str, Any]] = [
        ("3", {"device": "phone", "price": 80}),
        ("unknown", {"device": "desk"}),
        ("5", {"device": "watch", "price": "much", "weather": "rain"}),
        ("4", None),
        ("2", {"price": 7.5}),
    ]
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        histories = Histories(store)
        for place, (item, features) in enumerate(happened[::2]):
            store.events.append([Event("u", item, 10**15 + 2 * place, features=features)])
        assert list(histories.get("u").features) == [one for _, one in happened[::2]]
        late = [Event("u", i, 10**15 + 2 * place + 1, features=f) for place, (i, f) in enumerate(happened[1::2])]
        histories.apply(store.events.append(late).changes)  # a late event takes its place in time, with its features
        history = histories.get("u")
        assert list(zip(history.items, history.features, strict=True)) == happened
        assert [one.features for one in store.events.newest("u", 2)] == [None, {"price": 7.5}]
    query, nothing = loaded.query(None, history), [np.nan, np.nan]
    np.testing.assert_array_equal(query.features, [[2, 80], nothing, nothing, [np.nan, 7.5]])
    answer = asyncio.run(loaded.ask(None, history, k=4))
    given = [{"device": "phone", "price": 80}, {}, {}, {"price": 7.5}]
    asked = recommend(model, log, history=["3", "5", "4", "2"], features=given, k=4)
    assert answer.scores == pytest.approx([one.score for one in asked], abs=1e-5)
    without = recommend(model, log, history=["3", "5", "4", "2"], k=4)
    assert [one.score for one in without] != pytest.approx(answer.scores, abs=1e-5), "the features change the scores"
    brought = asyncio.run(loaded.ask(None, History(items=["3", "5", "4", "2"]), k=4))
    assert brought.scores == pytest.approx([one.score for one in without], abs=1e-5)


def test_imported_events_have_their_features_and_are_read_again(log: Log, folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with closing(open_store(url)) as store:
        imported = import_histories(store, load(folder), wanted=True)
        assert imported is not None
        assert imported.events == len(log)
    again = read_log(url, event_features=["device", "price"])
    assert again.event_feature_columns == COLUMNS
    for user in range(1, log.num_users + 1):
        own, there = (
            slice(one.start[at], one.stop[at]) for one, at in ((log, user), (again, again.users.ids([user])[0]))
        )
        np.testing.assert_array_equal(again.known_event_features[there], log.known_event_features[own])
    assert read_log(url).event_features is None
    with pytest.raises(DataError, match="no column 'weather' for the event features"):
        read_log(url, event_features=["weather"])
    with pytest.raises(DataError, match=r"has no event features; read it with their columns.*--event-features"):
        testing.subject(MODELS["sasrec"], event_features=True).build(read_log(url))


def test_categories_of_another_vocabulary_are_matched_by_name(model: Any, log: Log) -> None:
    batch = evaluation_batch(log, model)
    there = EventFeature("device", ("phone", "tv", "desk")), EventFeature("price")
    other = VocabularyAdapter(model, log, log.users, log.items, event_features=there).eval()
    assert batch.features is not None
    renamed = batch.features.clone()
    renamed[..., 0] = 5 - 2 * renamed[..., 0]  # desk 1 -> 3, phone 2 -> 1
    same = other.score(replace(batch, features=renamed)).detach()
    np.testing.assert_allclose(same, model.score(batch).detach(), atol=1e-6)
    unknown, nothing = renamed.clone(), batch.features.clone()
    unknown[..., 0], nothing[..., 0] = 2, np.nan
    np.testing.assert_allclose(
        other.score(replace(batch, features=unknown)).detach(),
        model.score(replace(batch, features=nothing)).detach(),
        atol=1e-6,
    )
    numbers = EventFeature("device"), EventFeature("price")
    with pytest.raises(DataError, match=r"its events have the features device \(numbers\), price \(numbers\)"):
        VocabularyAdapter(model, log, log.users, log.items, event_features=numbers)


def test_wrong_features_of_a_history_are_refused(model: Any, log: Log) -> None:
    with pytest.raises(DataError, match="no event feature 'devise', did you mean 'device'"):
        recommend(model, log, history=["3"], features=[{"devise": "phone"}])
    with pytest.raises(DataError, match="event feature 'price': 'much' is no number, and price is one"):
        recommend(model, log, history=["3"], features=[{"price": "much"}])
    with pytest.raises(DataError, match="2 features for 1 items of the history"):
        recommend(model, log, history=["3"], features=[{}, {}])


def test_a_store_without_features_is_migrated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with closing(open_store(url)) as store:
        store.events.append([Event("u", "i", 10**15)])
        with store.database.write() as connection:
            connection.execute(text("ALTER TABLE events DROP COLUMN features"))
            connection.execute(text("UPDATE segue_schema SET version = 2"))
    with closing(open_store(url)) as store:
        store.events.append([Event("u", "j", 10**15 + 1, features={"device": "desk", "member": True})])
        assert [one.features for one in store.events.history("u")] == [None, {"device": "desk", "member": True}]


@pytest.fixture
def client(folder: Path, tmp_path: Path) -> Any:
    with TestClient(create_app(start_service(folder, f"sqlite:///{tmp_path / 'events.db'}"), Limits())) as opened:
        yield opened


def test_what_a_model_cannot_read_as_a_number_is_not_stored(client: Any) -> None:
    event = {"user": "u", "item": "3"}
    good = {**event, "features": {"device": 7, "price": "7.5", "weather": "rain"}}
    for price in ("much", "", "1_000", "\uff11", True, 1e300, "1e300"):
        bad = {**event, "features": {"device": "phone", "price": price}}
        for body, place in ((bad, ""), ({"events": [good, bad]}, "events 1 ")):
            answer = client.post("/v1/events", json=body)
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith(f"body {place}features price: {price!r} is ")
            assert answer.json()["detail"].endswith(" for the model model; send a number, or null")
    assert client.get("/v1/users/u/events").json()["events"] == 0
    assert client.post("/v1/events", json=good).status_code == 201
    assert client.post("/v1/events", json={**event, "features": {"price": None}}).status_code == 201


def test_features_that_are_taken_are_read_again(client: Any, tmp_path: Path) -> None:
    prices = [3, 2.5, "7.5", " 8 ", "+1e3", 3.4e38, 2**62, None]
    events = [
        {"user": "u", "item": str(1 + place), "features": {"price": one, "device": 2**53 + 1}}
        for place, one in enumerate(prices)
    ]
    assert client.post("/v1/events", json={"events": events}).status_code == 201
    read = read_log(f"sqlite:///{tmp_path / 'events.db'}", event_features=["price", "device:category"])
    price, device = read.event_feature_columns
    assert not price.categories
    assert str(2**53 + 1) in device.categories
    user = read.users.ids(["u"])[0]
    own = read.known_event_features[read.start[user] : read.stop[user], 0]
    np.testing.assert_array_equal(np.sort(own), np.sort(price.encode(prices)))


def test_a_feature_of_another_kind_has_one_plain_sentence(client: Any) -> None:
    for value in ([1], {}, [], [[1]]):
        answer = client.post("/v1/events", json={"user": "u", "item": "3", "features": {"price": value}})
        assert answer.status_code == 422
        assert answer.json()["detail"] == "body features price: must be a text, a number, true or false, or null"
