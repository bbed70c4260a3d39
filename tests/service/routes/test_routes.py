"""The routes: what was stored counts at once, and what is recommended is what `recommend` recommends."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.serving.recommend import recommend
from segue.serving.saved_model import load


def names(answer: dict) -> list[str]:
    return [one["item"] for one in answer["items"]]


def test_an_event_counts_in_the_next_answer(client, models):
    saved = load(models / "hgn")
    before = client.get("/v1/recommend", params={"user": "u1"}).json()
    assert before["events"] == 12
    assert names(before) == [one.item for one in recommend(saved.model, saved.log, user="u1")]
    item = names(before)[0]
    stored = client.post("/v1/events", json={"user": "u1", "item": item})
    assert (stored.status_code, stored.json()) == (201, {"stored": 1, "duplicates": 0})
    after = client.get("/v1/recommend", params={"user": "u1"}).json()
    history = [*saved.log.items.names(saved.log.history(saved.log.users.ids(["u1"])[0])), item]
    assert after["events"] == 13
    assert names(after) == [one.item for one in recommend(saved.model, saved.log, user="u1", history=history)]
    assert item not in names(after)


def test_late_events_count_in_their_place_in_time(client):
    times = ["2026-01-03T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+00:00"]
    events = [{"user": "new", "item": f"i{n}", "time": time} for n, time in enumerate(times)]
    assert client.post("/v1/events", json={"events": events}).json() == {"stored": 3, "duplicates": 0}
    assert client.post("/v1/events", json={"events": events}).json() == {"stored": 0, "duplicates": 3}
    by_user = client.get("/v1/recommend", params={"user": "new"}).json()
    by_history = client.post("/v1/recommend", json={"history": ["i1", "i2", "i0"]}).json()
    assert names(by_user) == names(by_history)
    assert [one["score"] for one in by_user["items"]] == [one["score"] for one in by_history["items"]]


def test_events_of_a_clock_that_is_ahead_do_not_hide_what_comes_after_them(client):
    """A few minutes are mended; more, such as local time that is called UTC, is refused with all of its request."""
    now = datetime.now(UTC)
    ahead = {"user": "new", "item": "i1", "time": (now + timedelta(minutes=4)).isoformat()}
    assert client.post("/v1/events", json=ahead).json() == {"stored": 1, "duplicates": 0}
    assert client.post("/v1/events", json=ahead).json() == {"stored": 0, "duplicates": 1}
    client.post("/v1/events", json={"user": "new", "item": "i2"})
    history = client.get("/v1/users/new").json()["history"]
    assert [event["item"] for event in history] == ["i1", "i2"]
    assert all(datetime.fromisoformat(event["time"]) < now + timedelta(minutes=3) for event in history)
    far = {"user": "new", "item": "i3", "time": (now + timedelta(hours=2)).isoformat()}
    refused = client.post("/v1/events", json={"events": [{"user": "new", "item": "i4"}, far]})
    assert refused.status_code == 422
    assert re.search(r"events 1 time: .*\+00:00 is to come, the clock of the service says 20", refused.json()["detail"])
    assert client.get("/v1/users/new").json()["events"] == 2


def test_equal_events_without_a_time_are_several_events(client):
    event = {"user": "new", "item": "i1", "type": "purchase"}
    assert client.post("/v1/events", json={"events": [event] * 3}).json() == {"stored": 3, "duplicates": 0}
    assert client.post("/v1/events", json=event).json() == {"stored": 1, "duplicates": 0}
    assert client.get("/v1/users/new").json()["events"] == 4
    for known in ({"id": "order-7"}, {"time": "2026-01-01T00:00:00Z"}):
        sent = [client.post("/v1/events", json={**event, **known}).json() for _ in range(2)]
        assert sent == [{"stored": 1, "duplicates": 0}, {"stored": 0, "duplicates": 1}]


def test_an_id_of_another_event_is_refused_and_an_event_that_is_sent_again_is_not(client):
    first = {"user": "s", "item": "i1", "id": "7"}
    assert client.post("/v1/events", json=first).json() == {"stored": 1, "duplicates": 0}
    for other in ({**first, "user": "somebody"}, {**first, "item": "i2"}):
        answer = client.post("/v1/events", json=other)
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith("id: used before for another user or item; nothing is stored")
    batch = [{"user": "new", "item": f"i{n}", "id": str(n)} for n in range(9)]
    again = [*batch, {**batch[3], "user": "other"}, batch[4]]
    for events, places in (
        (batch, "1 of 9 events (from 0): 7;"),
        (again, "2 of 11 events (from 0): 7, 9;"),
    ):
        answer = client.post("/v1/events", json={"events": events})
        assert answer.status_code == 409
        assert places in answer.json()["detail"]
    assert client.get("/v1/users/new").json()["events"] == 0
    assert client.post("/v1/sessions/s/join", json={"user": "anna"}).json()["events"] == 1
    for same in (first, {**first, "user": "anna"}):
        assert client.post("/v1/events", json=same).json() == {"stored": 0, "duplicates": 1}
    assert 'segue_events_total{result="conflict"} 5.0' in client.get("/metrics").text


def test_items_are_left_out_or_chosen(client):
    everything = names(client.post("/v1/recommend", json={"history": ["i1"], "k": 1000}).json())
    assert len(everything) == 29
    chosen = client.post(
        "/v1/recommend", json={"history": ["i1"], "candidates": ["i5", "i3", "nothing"], "k": 9}
    ).json()
    assert names(chosen) == [item for item in everything if item in ("i5", "i3")]
    without = client.get("/v1/recommend", params={"user": "u1", "exclude": everything[:3], "k": 1000}).json()
    assert not set(names(without)) & set(everything[:3])
    seen = client.post("/v1/recommend", json={"history": ["i1"], "exclude_seen": False, "k": 1000}).json()
    assert "i1" in names(seen)


def test_somebody_new_gets_popular_items_and_the_reason(client):
    answer = client.get("/v1/recommend", params={"user": "somebody"}).json()
    assert (answer["events"], answer["fallback"]) == (0, "the history is empty")
    assert len(answer["items"]) == 10


def test_an_answer_names_its_model(client):
    assert client.get("/v1/recommend", params={"user": "u1"}).json()["model"] == "hgn"
    other = client.get("/v1/recommend", params={"user": "u1", "model": "item-knn"}).json()
    assert other["model"] == "item-knn"
    assert len(other["fingerprint"]) == 16


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("get", "/v1/recommend", None, "query user: Field required"),
        ("get", "/v1/recommend?user=%20", None, "query user: .* a name must not be empty"),
        ("get", "/v1/recommend?user=u1&k=0", None, "query k: .* greater than or equal to 1"),
        ("get", "/v1/recommend?user=u1&k=1001", None, "query k: .* less than or equal to 1000"),
        ("get", "/v1/recommend?user=u1&model=hgm", None, "unknown model 'hgm', did you mean 'hgn'"),
        ("post", "/v1/recommend", {"k": 3}, "give a user or a history"),
        ("post", "/v1/recommend", {"user": "u1", "kk": 3}, "body kk: Extra inputs"),
        ("post", "/v1/events", {"user": "u1"}, "item: Field required"),
        ("post", "/v1/events", {"user": "u1", "item": "a\0b"}, "must not contain the character 0"),
        ("post", "/v1/events", {"user": "u1", "item": "i", "time": "2026-01-01T00:00:00"}, "timezone"),
        ("post", "/v1/events", {"user": "u1", "item": "i", "time": "9000-01-01T00:00:00Z"}, "body time: .*to come"),
        ("post", "/v1/events", {"user": "u1", "item": "i", "type": "imported"}, "body type: .*the model's log"),
        ("post", "/v1/events", {"events": []}, "at least 1"),
        ("post", "/v1/events", {"events": [{"user": "u", "item": "i"}] * 1001}, "at most 1000"),
    ],
)
def test_bad_requests_say_what_is_wrong(client, method, path, body, detail):
    answer = client.request(method, path, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert re.search(detail, problem["detail"]), problem["detail"]


def test_a_read_under_way_ends_before_the_service_closes_its_store(service):
    reading, may_end, rows = threading.Event(), threading.Event(), []

    def read():
        with service.store.database.read() as connection:
            found = connection.exec_driver_sql("SELECT seq FROM events")
            reading.set()
            may_end.wait(60)
            rows.extend(found.all())

    with TestClient(create_app(service, Limits())):
        reader = threading.Thread(target=read)
        reader.start()
        assert reading.wait(60)
        threading.Timer(0.1, may_end.set).start()
    assert len(rows) == 40 * 12
    reader.join()


def test_the_users_of_the_newest_events_are_listed(client):
    for user in ("u3", "u5", "somebody", "u3"):
        client.post("/v1/events", json={"user": user, "item": "i1"})
    assert client.get("/v1/users", params={"limit": 3}).json() == {"users": ["u3", "somebody", "u5"]}
    assert len(client.get("/v1/users").json()["users"]) == 10
