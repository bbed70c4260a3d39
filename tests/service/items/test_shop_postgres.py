"""Two services of one PostgreSQL: items, rules, counts and erasures of one hold in the other."""

from __future__ import annotations

import shutil

import pytest
from fastapi.testclient import TestClient
from periodic_work import catch_up
from postgres import new_database, postgres_server

from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.start import start_service
from segue.serving.saved_model import load


@pytest.fixture
def url():
    with postgres_server() as server, new_database(server) as address:
        yield address


def test_a_service_follows_another_one(own_models, tmp_path, url):
    other_models = shutil.copytree(own_models, tmp_path / "others")
    one, two = (start_service(folder / "hgn", url) for folder in (own_models, other_models))
    with TestClient(create_app(one, Limits())) as first, TestClient(create_app(two, Limits())) as second:
        for client in (first, second):
            assert client.get("/v1/recommend", params={"user": "u1"}).json()["fallback"] is None
        best = first.get("/v1/recommend", params={"user": "u1"}).json()["items"][0]["item"]
        first.put("/v1/items", json={"items": [{"item": best, "available": False}, {"item": "new", "title": "New"}]})
        first.put("/v1/rules/few", json={"kind": "exclude", "items": ["i4"]})
        first.post("/v1/events", json={"events": [{"user": f"x{n}", "item": "new"} for n in range(9)]})
        catch_up(second, two)
        found = second.get("/v1/recommend", params={"user": "u1", "k": 100}).json()["items"]
        assert not {best, "i4"} & {one["item"] for one in found}
        popular = second.get("/v1/popular", params={"k": 1}).json()["items"]
        assert [(one["item"], one["title"], one["events"]) for one in popular] == [("new", "New", 9)]
        assert second.delete("/v1/users/x1").json()["events"] == 1
        assert first.delete("/v1/users/u1").json()["models"] == [{"model": "hgn", "names": 1, "events": 12}]
        catch_up(second, two)
        catch_up(first, one)
        for client in (first, second):
            assert client.get("/v1/recommend", params={"user": "u1"}).json()["events"] == 0
            assert client.get("/v1/popular", params={"k": 1}).json()["items"][0]["events"] == 8
    for folder in (own_models, other_models):
        assert "u1" not in load(folder / "hgn").log.users.tokens.to_list()
