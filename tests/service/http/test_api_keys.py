"""API keys: who may ask what, on each route; keys that are made and revoked while the service answers."""

from __future__ import annotations

import time

import pytest
from fastapi.testclient import TestClient

from segue.errors import ConfigError
from segue.event_store.api_keys import ROLES
from segue.service.app import create_app, create_routes
from segue.service.http.api_key_cache import ApiKeyCache
from segue.service.http.limits import Limits
from segue.service.http.openapi import ROLE, SCHEME, describe_checks
from segue.service.http.route_table import RouteTable
from segue.service.run_server import limits_of

ROUTES = {  # each route, and the role that it needs
    "GET /healthz": "none",
    "GET /readyz": "none",
    "GET /metrics": "read",
    "POST /v1/events": "write",
    "GET /v1/recommend": "read",
    "POST /v1/recommend": "read",
    "GET /v1/popular": "read",
    "GET /v1/trending": "read",
    "GET /v1/items/{item}": "read",
    "GET /v1/similar": "read",
    "PUT /v1/items": "write",
    "POST /v1/items": "write",
    "GET /v1/users": "admin",  # other roles have to know the name of a user
    "GET /v1/users/{user}": "read",
    "DELETE /v1/users/{user}": "admin",
    "POST /v1/sessions/{session}/join": "write",
    "GET /v1/rules": "read",
    "GET /v1/rules/{name}": "read",
    "PUT /v1/rules/{name}": "admin",
    "DELETE /v1/rules/{name}": "admin",
    "POST /v1/rules/try": "admin",
    "GET /v1/models": "read",
    "POST /v1/models/activate": "admin",
    "POST /v1/models/load": "admin",
    "GET /v1/quality": "read",
    "GET /v1/quality/series": "read",
}


@pytest.fixture
def keys(service) -> dict[str, str]:
    """A key of each role, in the store before the service reads it."""
    made = {role: service.store.keys.new(role, f"test {role}") for role in ROLES}
    service.keys.keys = service.store.keys.all()
    return made


@pytest.fixture
def guarded(service, keys):
    with TestClient(create_app(service, Limits(keys=True))) as opened:
        yield opened


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_route_has_its_role(client):
    paths = client.get("/openapi.json").json()["paths"]
    roles = {
        f"{method.upper()} {path}": operation[ROLE]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert roles == ROUTES


def test_a_route_without_a_role_needs_the_role_admin():
    schema = describe_checks({"paths": {"/v1/forgotten": {"get": {"responses": {}}}}}, keys=True)
    assert schema["paths"]["/v1/forgotten"]["get"]["security"] == [{SCHEME: ["admin"]}]
    assert RouteTable(schema).find("GET", "/v1/forgotten").role == "admin"


def test_every_route_asks_for_a_key_of_its_role(guarded, keys):
    for route, needed in ROUTES.items():
        method, path = route.replace("{", "").replace("}", "").split()
        without = guarded.request(method, path)
        assert (without.status_code == 401) == (needed != "none"), (method, path)
        wrong = guarded.request(method, path, headers=bearer("segue-admin-wrong"))
        assert (wrong.status_code == 401) == (needed != "none"), (method, path)
        for role, key in keys.items():
            answer = guarded.request(method, path, headers=bearer(key))
            is_allowed = needed == "none" or ROLES.index(role) >= ROLES.index(needed)
            assert answer.status_code != 401
            assert (answer.status_code == 403) == (not is_allowed), (method, path, role)


def test_a_missing_key_is_said_before_the_request_is_read(guarded):
    answer = guarded.post("/v1/events", content=b"{not json")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "segue serve --new-key" in answer.json()["detail"]


def test_the_short_way_asks_for_a_key_too(guarded, keys):
    assert guarded.get("/v1/recommend?user=u1").status_code == 401
    assert guarded.get("/v1/recommend?user=u1", headers=bearer(keys["read"])).status_code == 200
    assert guarded.get("/v1/recommend?user=u1", headers={"Authorization": keys["read"]}).status_code == 401
    assert guarded.get("/v1/recommend?user=u1", headers={"Authorization": f"bearer  {keys['read']}"}).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "x" * 10_000, "\xff\xfe", "Basic dTpw"])
def test_what_is_no_key_is_refused(guarded, key):
    answer = guarded.get("/v1/models", headers={b"Authorization": f"Bearer {key}".encode("latin-1")})
    assert answer.status_code == 401
    assert key.strip() == "" or key not in answer.text


def test_a_role_that_does_not_suffice_is_named(guarded, keys):
    answer = guarded.post("/v1/events", json={"user": "u1", "item": "i1"}, headers=bearer(keys["read"]))
    assert answer.status_code == 403
    assert answer.json()["detail"] == "the key has the role read; this route needs the role write"


def test_keys_made_and_revoked_elsewhere_count_soon(service):
    for one in service.periodic:
        one.seconds = 0.01
    with TestClient(create_app(service, Limits(keys=True))) as client:
        new = service.store.keys.new("read")
        assert eventually(lambda: client.get("/v1/models", headers=bearer(new)).status_code == 200)
        service.store.keys.revoke(service.store.keys.all()[0].hash)
        assert eventually(lambda: client.get("/v1/models", headers=bearer(new)).status_code == 401)


def eventually(is_true) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("keys_needed", [True, False])
def test_openapi_has_the_scheme_and_the_role_of_each_route(service, keys_needed):
    schema = create_routes(service, Limits(keys=keys_needed)).openapi()
    assert schema["components"]["securitySchemes"][SCHEME]["scheme"] == "bearer"
    needed = [{SCHEME: ["write"]}] if keys_needed else [{SCHEME: ["write"]}, {}]
    assert schema["paths"]["/v1/events"]["post"]["security"] == needed
    assert schema["paths"]["/healthz"]["get"]["security"] == []
    service.store.close()


def test_other_machines_need_keys(service):
    def limits(host: str, *, require_keys: bool = False, rate: float | None = None) -> Limits:
        return limits_of(host, service.keys, require_keys=require_keys, rate=rate, connections=9)

    for host in ("127.0.0.1", "localhost", "::1"):
        assert limits(host) == Limits(hosts=frozenset({"localhost", "127.0.0.1", "::1"}), connections=9)
    for host, require in (("0.0.0.0", False), ("::", False), ("127.0.0.1", True)):
        with pytest.raises(ConfigError, match="make one with `segue serve --new-key read`"):
            limits(host, require_keys=require)
    service.store.keys.new("read")
    service.keys = ApiKeyCache(service.store.keys)
    assert limits("0.0.0.0") == Limits(keys=True, rate=1000.0, connections=9)
    assert limits("127.0.0.1", require_keys=True, rate=0) == Limits(keys=True, connections=9)


def test_only_an_admin_merges_two_users(guarded, keys):
    """A session that was trained on after it came is still a session."""
    write, admin = ({"Authorization": f"Bearer {keys[role]}"} for role in ("write", "admin"))

    def join(session: str, headers: dict[str, str]) -> tuple[int, str]:
        answer = guarded.post(f"/v1/sessions/{session}/join", json={"user": "anna"}, headers=headers)
        return answer.status_code, answer.json().get("detail", "")

    for name in ("s1", "s2", "s3"):
        assert guarded.post("/v1/events", json={"user": name, "item": "i1"}, headers=write).status_code == 201
    assert join("s1", write) == join("s1", write) == (200, "")
    status, detail = join("u1", write)
    assert (status, "a model was trained on it" in detail, "role admin" in detail) == (409, True, True)
    assert guarded.post("/v1/sessions/s2/join", json={"user": "s3"}, headers=write).status_code == 200
    status, detail = join("s3", write)
    assert (status, "other sessions belong to it" in detail) == (409, True)
    assert guarded.get("/v1/users/anna", headers=write).json()["events"] == 1
    assert join("u1", admin) == join("s3", admin) == (200, "")
    assert guarded.get("/v1/users/anna", headers=write).json()["events"] == 15
