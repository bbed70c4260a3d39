"""Items, rules, popular and similar items, and users through HTTP: what was written counts in the next answer."""

from __future__ import annotations

import re
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from fastapi.testclient import TestClient
from periodic_work import catch_up

from segue.event_store.clock import MICROSECONDS
from segue.event_store.event import Event
from segue.event_store.item_table import Item
from segue.event_store.store import open_store
from segue.explain.occlusion import explain
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.items import recent_lists
from segue.service.items.popularity import Popularity
from segue.service.routes import popular as routes_popular
from segue.service.routes import recommend as routes_recommend
from segue.service.start import start_service
from segue.serving.saved_model import load
from segue.serving.similar import similar_items


def names(answer: dict) -> list[str]:
    return [one["item"] for one in answer["items"]]


def recommend(client, **params) -> dict:
    answer = client.get("/v1/recommend", params={"user": "u1", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def now() -> int:
    return int(time.time() * MICROSECONDS)


@pytest.fixture
def kinds(client) -> None:
    items = [{"item": f"i{n}", "columns": {"kind": "even" if n % 2 == 0 else "odd"}} for n in range(30)]
    assert client.put("/v1/items", json={"items": items}).json() == {"stored": 30, "new": [], "expired": []}


def test_items_are_replaced_or_changed_and_shown(client):
    item = {"item": "i3", "title": "<b>Three</b>", "columns": {"kind": ["x", "y"], "price": 2.0}}
    assert client.put("/v1/items", json=item).json() == {"stored": 1, "new": [], "expired": []}
    shown = client.get("/v1/items/i3").json()
    assert shown == {
        "item": "i3",
        "title": "<b>Three</b>",
        "columns": {"kind": ["x", "y"], "price": ["2"]},
        "available": True,
        "expires": None,
        "events": shown["events"],
        "models": ["hgn", "item-knn"],
    }
    assert shown["events"] > 0
    client.post("/v1/items", json={"item": "i3", "available": False, "expires": "2030-01-01T00:00:00Z"})
    shown = client.get("/v1/items/i3").json()
    assert (shown["title"], shown["available"], shown["expires"]) == ("<b>Three</b>", False, "2030-01-01T00:00:00Z")
    client.put("/v1/items", json={"item": "i3"})
    shown = client.get("/v1/items/i3").json()
    assert (shown["title"], shown["available"], shown["columns"]) == ("i3", True, {})
    assert client.get("/v1/items/nothing").status_code == 404
    assert client.put("/v1/items", json={"item": "https://a/b", "title": "A"}).json()["new"] == ["https://a/b"]
    assert client.get("/v1/items/https://a/b").json()["models"] == []


def test_titles_and_availability_count_in_the_next_answer(client):
    first = recommend(client)["items"][0]
    client.post("/v1/items", json={"item": first["item"], "title": "Another title"})
    assert recommend(client)["items"][0] == {**first, "title": "Another title"}
    client.post("/v1/items", json={"item": first["item"], "available": False})
    assert first["item"] not in names(recommend(client, k=1000))
    assert names(recommend(client, available=False))[0] == first["item"]
    client.post("/v1/items", json={"item": first["item"], "available": True, "expires": "2020-01-01T00:00:00Z"})
    assert first["item"] not in names(recommend(client, k=1000))
    client.post("/v1/items", json={"item": first["item"], "expires": None})
    assert names(recommend(client))[0] == first["item"]


@pytest.mark.parametrize("gone", ["i1", "i29", "more1", "more1099"])
def test_one_item_that_cannot_be_had_in_a_large_catalogue_leaves_all_answers_whole(client, gone):
    events = [{"user": f"x{number}", "item": f"more{number}"} for number in range(1_100)]
    for part in (events[:600], events[600:]):
        assert client.post("/v1/events", json={"events": part}).status_code == 201
    client.post("/v1/events", json={"events": [{"user": f"y{n}", "item": gone} for n in range(50)]})
    assert names(client.get("/v1/popular").json())[0] == gone
    client.post("/v1/items", json={"item": gone, "available": False})
    assert client.get("/readyz").status_code == 200
    for path in ("recommend?user=u1&", "recommend?user=nobody&", "popular?", "trending?", "similar?item=i7&"):
        answer = client.get(f"/v1/{path}k=1000")
        assert answer.status_code == 200, answer.text
        assert gone not in names(answer.json())


def test_a_service_that_can_select_no_items_is_not_ready(client, service, monkeypatch):
    def fail() -> None:
        raise ValueError("of masks")

    monkeypatch.setattr(service.shop.selector, "get", fail)
    assert client.get("/readyz").status_code == 500
    assert client.get("/healthz").status_code == 200


def test_an_item_whose_time_is_over_is_said(client):
    past, to_come = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    items = [{"item": "i1", "expires": past}, {"item": "i2", "expires": to_come}, {"item": "i3"}]
    assert client.put("/v1/items", json={"items": items}).json()["expired"] == ["i1"]
    again = [{"item": one["item"], "available": True} for one in items]
    assert client.post("/v1/items", json={"items": again}).json()["expired"] == ["i1"]
    assert "i1" not in names(client.get("/v1/popular?k=100").json())
    assert client.post("/v1/items", json={"item": "i1", "expires": None}).json()["expired"] == []
    assert "i1" in names(client.get("/v1/popular?k=100").json())


def test_names_of_columns_and_values_have_colons(client):
    for item, columns in {
        "i1": {"x:y": "v"},
        "i2": {"x": "y:v"},
        "i3": {"size:eu": "4:2"},
        "i4": {"url": "a://b"},
    }.items():
        client.post("/v1/items", json={"item": item, "columns": columns})

    def found(where: str) -> list[str] | str:
        answer = client.get("/v1/popular", params={"where": where}).json()
        return answer["detail"] if "detail" in answer else names(answer)

    assert "fits the columns 'x' and 'x:y'" in found("x:y:v")
    assert [found(where) for where in ("size:eu:4:2", "url:a://b")] == [["i3"], ["i4"]]
    client.post("/v1/items", json={"item": "i2", "columns": {"x": None}})
    assert found("x:y:v") == ["i1"]
    rule = {"kind": "include", "where": {"x:y": ["v"]}}
    assert client.put("/v1/rules/colon", json=rule).status_code == 200
    assert names(client.get("/v1/popular").json()) == ["i1"]


def test_conditions_choose_among_the_items(client, kinds):
    everything = names(recommend(client, k=1000))
    even = names(recommend(client, k=1000, where="kind:even"))
    assert even == [name for name in everything if int(name[1:]) % 2 == 0]
    assert names(recommend(client, k=1000, where=["kind:even", "kind:odd"])) == everything
    posted = client.post("/v1/recommend", json={"user": "u1", "k": 1000, "where": ["kind:even"]})
    assert names(posted.json()) == even


def test_an_item_that_no_model_knows_is_recommended_as_new_to_those_whom_no_model_knows(client):
    stored = client.put("/v1/items", json={"item": "brand-new", "title": "Brand new"}).json()
    assert stored == {"stored": 1, "new": ["brand-new"], "expired": []}
    cold = client.get("/v1/recommend", params={"user": "nobody"}).json()
    new = [one for one in cold["items"] if one["source"] == "new"]
    assert [(one["item"], one["title"]) for one in new] == [("brand-new", "Brand new")]
    assert cold["fallback"] == "the history is empty"
    assert {one["source"] for one in cold["items"]} == {"popular", "new"}
    assert "brand-new" not in names(recommend(client, k=1000))
    bought = [{"user": f"x{n}", "item": "brand-new"} for n in range(5)]
    client.post("/v1/events", json={"events": bought})
    assert names(client.get("/v1/popular").json())[0] == "brand-new"
    after = client.get("/v1/recommend", params={"user": "x1"}).json()
    assert after["fallback"] == "no item of the history is known to the model"
    assert "brand-new" not in names(after)  # it was seen


def test_popular_and_trending_count_events_at_once_and_obey_filters(client, kinds):
    assert names(client.get("/v1/trending").json()) == []
    client.post("/v1/events", json={"events": [{"user": f"x{n}", "item": f"i{n % 2 + 4}"} for n in range(9)]})
    popular = client.get("/v1/popular", params={"k": 2}).json()["items"]
    assert [(one["item"], round(one["score"])) for one in popular] == [("i4", 5), ("i5", 4)]
    assert names(client.get("/v1/popular", params={"k": 1, "where": "kind:odd"}).json()) == ["i5"]
    trending = client.get("/v1/trending").json()["items"]
    assert [one["item"] for one in trending] == ["i4", "i5"]
    assert trending[0]["score"] == pytest.approx((5 - 5 / 7) / (5 / 7 + 1) ** 0.5)
    client.post("/v1/items", json={"item": "i4", "available": False})
    assert names(client.get("/v1/trending").json()) == ["i5"]
    cold = client.get("/v1/recommend", params={"user": "nobody", "exclude": "i5", "where": "kind:odd", "k": 30}).json()
    assert set(names(cold)) == {f"i{n}" for n in range(1, 30, 2)} - {"i5"}


def test_similar_items_are_those_of_the_library(client, models, kinds):
    for model in ("hgn", "item-knn"):
        saved = load(models / model)
        answer = client.get("/v1/similar", params={"item": "i7", "model": model, "k": 4}).json()
        expected = similar_items(saved, "i7", 4)
        assert [(one["item"], one["similarity"]) for one in answer["items"]] == [
            (one.item, one.similarity) for one in expected
        ]
    even = client.get("/v1/similar", params={"item": "i7", "where": "kind:even", "k": 30}).json()
    assert even["model"] == "hgn"
    assert set(names(even)) == {f"i{n}" for n in range(0, 30, 2)}
    client.put("/v1/items", json={"item": "other"})
    assert "learns it at the next retrain" in client.get("/v1/similar?item=other").json()["detail"]
    assert client.get("/v1/similar?item=nothing").status_code == 404


def test_explanations_are_those_of_the_library_and_add_up(client, models, kinds):
    saved = load(models / "item-knn")
    expected = explain(saved.model, saved.log, user="u1", k=3)
    client.put("/v1/rules/even", json={"kind": "boost", "where": {"kind": ["even"]}, "by": 0.5})
    answer = recommend(client, model="item-knn", explain=True, k=1000)
    by_name = {one["item"]: one for one in answer["items"]}
    for column, one in enumerate(expected.recommended):
        found = by_name[one.item]["explanation"]
        wanted = {past.item: past.contributions[column] for past in expected.past if past.contributions[column]}
        assert {past["item"]: past["contribution"] for past in found["past"]} == pytest.approx(wanted)
        assert (found["rules"] > 0) == (int(one.item[1:]) % 2 == 0)
        parts = sum(past["contribution"] for past in found["past"]) + found["older"] + found["rest"] + found["rules"]
        assert found["additive"]
        assert parts == pytest.approx(by_name[one.item]["score"], rel=1e-4)
    assert "explanation" not in recommend(client)["items"][0]


@pytest.mark.parametrize("name", ["i3/similar", "i3/similar/similar", "similar", "i3?k=1", "/i3"])
def test_an_item_of_any_name_can_be_read(client, name):
    client.put("/v1/items", json={"item": name, "title": "Another one"})
    answer = client.get(f"/v1/items/{quote(name, safe='')}")
    assert (answer.status_code, answer.json()["title"]) == (200, "Another one")
    assert "learns it" in client.get("/v1/similar", params={"item": name}).json()["detail"]


def test_rules_hold_from_the_next_answer_on(client, kinds):
    everything = names(recommend(client, k=1000))
    rule = {"kind": "exclude", "where": {"kind": ["odd"]}, "description": "no odd ones"}
    assert client.put("/v1/rules/no-odd", json=rule).status_code == 200
    assert names(recommend(client, k=1000)) == [name for name in everything if int(name[1:]) % 2 == 0]
    assert names(recommend(client, k=1000, rules=False)) == everything
    assert [one["name"] for one in client.get("/v1/rules").json()["rules"]] == ["no-odd"]
    assert client.get("/v1/rules/no-odd").json()["rule"]["where"] == {"kind": ["odd"]}
    client.put("/v1/rules/no-odd", json={"kind": "cap", "column": "kind", "at_most": 2})
    assert sorted(int(name[1:]) % 2 for name in names(recommend(client, k=10))) == [0, 0, 1, 1]
    assert len(names(client.get("/v1/popular").json())) == 4
    assert len(names(client.get("/v1/recommend", params={"user": "nobody"}).json())) == 4
    assert client.delete("/v1/rules/no-odd").status_code == 204
    assert client.delete("/v1/rules/no-odd").status_code == 404
    assert client.get("/v1/rules/no-odd").status_code == 404
    assert names(recommend(client, k=1000)) == everything


def test_a_rule_that_no_item_fits_any_more_does_nothing_and_is_logged(client, kinds, caplog):
    everything = names(recommend(client, k=1000))
    client.put("/v1/items", json={"item": "i4", "columns": {"kind": "rare"}})
    client.put("/v1/rules/rare", json={"kind": "include", "where": {"kind": ["rare"]}}).raise_for_status()
    assert names(recommend(client, k=1000)) == ["i4"]
    client.put("/v1/items", json={"item": "i4", "columns": {"kind": "even"}}).raise_for_status()
    for _ in range(2):
        assert names(recommend(client, k=1000)) == everything
        assert names(recommend(client, k=1000, where="kind:odd")) == [one for one in everything if int(one[1:]) % 2]
    said = [record.getMessage() for record in caplog.records if "rule" in record.getMessage()]
    assert said == ["rule rare: matches no item any more, so it does nothing"]


def test_an_answer_without_items_says_why(client, kinds):
    assert recommend(client)["empty"] is None
    client.put("/v1/items", json={"item": "i3", "columns": {"kind": "rare"}, "available": False})
    assert recommend(client, where="kind:rare")["empty"] == "no item can be had that fits where and the rules"
    left_out = recommend(client, where="kind:rare", available=False, exclude="i3")
    assert (left_out["items"], "as excluded" in left_out["empty"]) == ([], True)
    assert client.post("/v1/recommend", json={"user": "nobody", "candidates": []}).json()["empty"] is not None


def test_what_rules_cost_is_measured_on_the_newest_events(client, kinds):
    nothing = client.post("/v1/rules/try", json={"k": 10}).json()
    assert (nothing["users"], nothing["changed"], nothing["recall"]["difference"]) == (40, 0, 0)
    rules = {"no-odd": {"kind": "exclude", "where": {"kind": ["odd"]}}}
    cost = client.post("/v1/rules/try", json={"k": 10, "rules": rules}).json()
    assert cost["changed"] == 40
    recall, mrr = cost["recall"], cost["mrr"]
    assert recall["with_rules"] < recall["without"] == nothing["recall"]["without"]
    assert recall["low"] <= recall["difference"] == pytest.approx(recall["with_rules"] - recall["without"])
    assert mrr["low"] <= mrr["difference"] <= mrr["high"] < 0
    assert client.get("/v1/rules").json() == {"rules": []}  # trying is not having


def test_changes_of_another_process_are_followed(service, client):
    assert client.get("/v1/rules").json() == {"rules": []}
    with closing(open_store(service.store.name)) as other:
        other.items.put([Item("i3", "Three", {"kind": "x"}, available=False), Item("elsewhere", "Elsewhere")])
        other.rules.put("no-x", {"kind": "exclude", "items": ["i4"]})
        other.events.append([Event(f"x{n}", "i5", now()) for n in range(7)])
        catch_up(client, service)
    found = names(recommend(client, k=1000))
    assert not {"i3", "i4"} & set(found)
    assert client.get("/v1/items/elsewhere").json()["title"] == "Elsewhere"
    assert names(client.get("/v1/popular").json())[0] == "i5"


def test_a_user_is_shown_with_titles_and_a_session_is_joined(client):
    client.put("/v1/items", json={"item": "i9", "title": "Nine"})
    event = {"user": "session", "item": "i9", "time": "2026-01-01T00:00:00Z", "type": "view", "value": 2.5}
    client.post("/v1/events", json=event)
    joined = client.post("/v1/sessions/session/join", json={"user": "u1"}).json()
    assert joined == {"session": "session", "user": "u1", "events": 1}
    taken = client.post("/v1/sessions/session/join", json={"user": "u2"})
    assert (taken.status_code, "session 'session': it belongs to another user" in taken.json()["detail"]) == (409, True)
    client.post("/v1/events", json={**event, "time": "2026-01-02T00:00:00Z"})
    shown = client.get("/v1/users/session", params={"limit": 2}).json()
    assert (shown["user"], shown["events"], shown["models"]) == ("u1", 14, ["hgn", "item-knn"])
    assert shown["history"][-1] == {
        "item": "i9",
        "title": "Nine",
        "time": "2026-01-02T00:00:00Z",
        "type": "view",
        "value": 2.5,
        "features": None,
    }
    assert len(shown["history"]) == 2
    assert names(recommend(client, user="session")) == names(recommend(client))
    assert client.get("/v1/users/nobody").json()["history"] == []


def holds(folder: Path, name: str) -> bool:
    """Whether a saved model has a user's name, or an event under it."""
    return name in pl.read_parquet(folder / "users.parquet").to_series(0).cast(pl.String).to_list()


@pytest.mark.parametrize("name", ["a/b", "a\nb", "a\r\n/join", "?#%", "a\x85b"])
def test_names_of_any_characters_are_found_in_a_path(client, name):
    client.post("/v1/events", json={"user": name, "item": name})
    client.put("/v1/items", json={"item": name, "title": "A kettle"})
    part = quote(name, safe="")
    assert client.get(f"/v1/items/{part}").json()["title"] == "A kettle"
    assert client.get(f"/v1/users/{part}").json()["events"] == 1
    joined = client.post(f"/v1/sessions/{part}/join", json={"user": "new"}).json()
    assert joined == {"session": name, "user": "new", "events": 1}
    assert client.delete(f"/v1/users/{part}").json()["user"] == "new"


def test_an_erased_person_is_gone_everywhere(own_models, tmp_path):
    url = f"sqlite:///{tmp_path / 'events.db'}"
    service = start_service(own_models, url, active="hgn")
    with TestClient(create_app(service, Limits())) as client:
        client.post("/v1/events", json={"events": [{"user": "s", "item": "i2"}] * 1 + [{"user": "u2", "item": "i2"}]})
        client.post("/v1/sessions/s/join", json={"user": "u1"})
        before = client.get("/v1/items/i2").json()["events"]
        weights = (own_models / "hgn" / "weights.safetensors").read_bytes()
        assert recommend(client)["fallback"] is None
        answer = client.delete("/v1/users/u1").json()
        assert {**answer, "remains": None} == {
            "user": "u1",
            "events": 13,
            "sessions": 1,
            "lists": answer["lists"],
            "outcomes": answer["outcomes"],
            "models": [
                {"model": "hgn", "names": 1, "events": 12},
                {"model": "item-knn", "names": 1, "events": 12},
            ],
            "remains": None,
        }
        assert "weights" in answer["remains"][0]
        assert recommend(client)["fallback"] == "the history is empty"
        shown = client.get("/v1/users/u1").json()
        assert (shown["events"], shown["models"]) == (0, [])
        assert client.get("/v1/items/i2").json()["events"] < before
        again = client.delete("/v1/users/u1").json()
        assert (again["events"], [one["names"] for one in again["models"]]) == (0, [0, 0])
    for model in ("hgn", "item-knn"):
        saved = load(own_models / model)  # its hashes are right
        assert not holds(own_models / model, "u1")
        assert holds(own_models / model, "u2")
        assert len(saved.log) == 39 * 12
    assert (own_models / "hgn" / "weights.safetensors").read_bytes() == weights
    with TestClient(create_app(start_service(own_models, url), Limits())) as client:
        assert recommend(client)["events"] == 0


def test_an_older_copy_of_a_model_is_cleaned_when_it_is_served_again(own_models, models, tmp_path):
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with closing(open_store(url)) as store:
        store.erasures.erase("u1")
    service = start_service(own_models, url, active="hgn")
    with TestClient(create_app(service, Limits())) as client:
        assert holds(own_models / "hgn", "u1")
        catch_up(client, service)
        assert not holds(own_models / "hgn", "u1")
        assert client.get("/v1/users/u1").json()["models"] == []
        assert recommend(client)["events"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("get", "/v1/recommend?user=u1&where=kind", None, 422, "give a column and a value"),
        ("get", "/v1/recommend?user=u1&where=knd:even", None, 422, "no column 'knd'.*did you mean 'kind'"),
        ("get", "/v1/popular?where=kind:evn", None, 422, "never has the value 'evn', did you mean 'even'"),
        ("get", "/v1/popular?k=0", None, 422, "greater than or equal to 1"),
        ("get", "/v1/similar?item=i1&model=hgm", None, 422, "unknown model 'hgm'"),
        ("put", "/v1/items", {"item": " "}, 422, "must not be empty"),
        ("put", "/v1/items", {"items": []}, 422, "at least 1"),
        (
            "put",
            "/v1/items",
            {"items": [{"item": "a"}, {"item": "i"}, {"item": "i "}]},
            422,
            r"items: .*1 and 2 \(from 0\)",
        ),
        ("post", "/v1/items", {"items": [{"item": "i"}] * 2}, 422, "are the same item; give each item once"),
        ("post", "/v1/items", {"item": "i", "columns": {"title": "x"}}, 422, "title: no column"),
        ("put", "/v1/items", {"item": "i", "columns": {"item": "x"}}, 422, "item: no column"),
        ("put", "/v1/items", {"items": [{"item": f"i{n}"} for n in range(1001)]}, 422, "at most 1000"),
        ("put", "/v1/items", {"item": "i", "expires": "2026-01-01T00:00:00"}, 422, "timezone"),
        ("put", "/v1/items", {"item": "i", "columns": {"a": {"b": 1}}}, 422, "columns a"),
        ("put", "/v1/items", {"item": "i", "columns": {"a": "b\0"}}, 422, "character 0"),
        ("put", "/v1/items", {"item": "i", "title": "b\0"}, 422, "character 0"),
        ("put", "/v1/items", {"item": "i", "titel": "x"}, 422, "titel: Extra inputs"),
        ("put", "/v1/rules/r", {"kind": "hide"}, 422, "include.*exclude"),
        ("put", "/v1/rules/r", {"kind": "exclude"}, 422, "give where, items or both"),
        ("put", "/v1/rules/r", {"kind": "exclude", "where": {"kind": ["evn"]}}, 422, "rule 'r': column 'kind' never"),
        ("put", "/v1/rules/r", {"kind": "exclude", "items": ["nothing"]}, 422, "rule 'r': unknown item 'nothing'"),
        ("put", "/v1/rules/r", {"kind": "boost", "items": ["i1"], "by": 11}, 422, "less than or equal to 10"),
        ("put", "/v1/rules/r", {"kind": "cap", "column": "knd", "at_most": 2}, 422, "no column 'knd'"),
        ("put", "/v1/rules/%20", {"kind": "cap", "column": "kind", "at_most": 2}, 422, "path name"),
        ("post", "/v1/rules/try", {"rules": {"r": {"kind": "hide"}}}, 422, "include.*exclude"),
        ("post", "/v1/sessions/s/join", {}, 422, "body user: Field required"),
        ("post", "/v1/sessions/s/join", {"user": "a\0"}, 422, "character 0"),
    ],
)
def test_bad_requests_say_what_is_wrong(client, kinds, method, path, body, status, detail):
    answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert re.search(detail, answer.json()["detail"]), answer.json()["detail"]


def test_lists_of_popular_items_in_a_large_catalogue_are_made_once_a_second(client, service, monkeypatch):
    monkeypatch.setattr(recent_lists, "LARGE", 1)
    made, popular = [], Popularity.popular
    monkeypatch.setattr(Popularity, "popular", lambda self, now: made.append(now) or popular(self, now))
    second = [1_900_000_000]
    for module in (routes_popular, routes_recommend):
        monkeypatch.setattr(module, "now", lambda: second[0] * MICROSECONDS)
    paths = ("/v1/recommend?user=somebody", "/v1/recommend?user=nobody&k=3", "/v1/popular", "/v1/popular?k=3")
    lists = [client.get(path).json()["items"] for path in paths]
    assert [len(one) for one in lists] == [10, 3, 10, 3]
    assert len(made) == 4
    client.post("/v1/events", json={"user": "u1", "item": lists[2][9]["item"]})
    assert [client.get(path).json()["items"] for path in paths] == lists
    assert len(made) == 4
    second[0] += 1
    assert client.get("/v1/popular").json()["items"][9] != lists[2][9]
    client.put("/v1/rules/none", json={"kind": "exclude", "items": [lists[3][0]["item"]]})
    assert lists[3][0]["item"] not in names(client.get("/v1/popular?k=3").json())


def test_the_value_of_a_column_is_a_text_or_a_number_as_it_is_written(client):
    for value in ("1" * 1_001, "0" * 2_000, "9" * 1_001 + ".5"):
        answer = client.put("/v1/items", json={"item": "i5", "columns": {"size": value}})
        assert (answer.status_code, "columns size" in answer.json()["detail"]) == (422, True)
    for value, shown in (("007", "007"), ("1.0", "1.0"), (1.0, "1"), (7, "7"), (True, "true")):
        client.put("/v1/items", json={"item": "i5", "columns": {"size": value}})
        assert client.get("/v1/items/i5").json()["columns"] == {"size": [shown]}
