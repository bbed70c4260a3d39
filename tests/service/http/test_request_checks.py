"""The checks of every request: sources, limits, headers, and a log without anything of a user."""

from __future__ import annotations

import asyncio
import logging

import pytest
from fastapi.testclient import TestClient

from segue.service import app as app_module
from segue.service.app import create_app
from segue.service.http import docs_page
from segue.service.http.limits import Limits
from segue.service.http.log_limit import LogLimit
from segue.service.http.rate_limit import TokenBuckets

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def opened(service, **limits):
    return TestClient(create_app(service, Limits(**limits)), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "127.0.0.1.attacker.example:8000"}, 403),
        ({"Host": "127.0.0.1@attacker.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_without_keys_only_this_machine_may_ask(service, headers, status):
    with opened(service, hosts=LOCAL) as client:
        for path in ("/v1/recommend?user=u1", "/v1/models", "/openapi.json"):
            assert client.get(path, headers=headers).status_code == status


def test_with_keys_any_name_of_the_service_will_do(service):
    key = service.store.keys.new("read")
    service.keys.keys = service.store.keys.all()
    with opened(service, keys=True) as client:
        headers = {"Host": "shop.example", "Authorization": f"Bearer {key}"}
        assert client.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/", "/v1/models"])
def test_a_client_without_a_key_that_asks_too_often_waits(service, path):
    service.store.keys.new("read")
    service.keys.keys = service.store.keys.all()
    with opened(service, keys=True, rate=0.5) as client:
        statuses = [client.get(path).status_code for _ in range(3)]
        assert statuses[1:] == [429] * 2


def test_an_address_cannot_guess_keys_as_fast_as_it_likes(service):
    key = service.store.keys.new("read")
    service.keys.keys = service.store.keys.all()
    with opened(service, keys=True, rate=0.5) as client:

        def status(key: str, path: str = "/v1/models") -> int:
            return client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code

        assert [status(f"segue-admin-{guess}") for guess in range(3)] == [401, 429, 429]
        assert status(key) == 200  # the guesses of others at the same address do not lock a client out
        assert status("", "/healthz") == 200


def test_the_description_and_its_page_are_made_once(service, monkeypatch):
    app = create_app(service, Limits())
    made, make = [], app_module.describe_checks
    monkeypatch.setattr(app_module, "describe_checks", lambda *args, **given: made.append(1) or make(*args, **given))
    pages, page = [], docs_page.docs_page
    monkeypatch.setattr(docs_page, "docs_page", lambda schema: pages.append(1) or page(schema))
    with TestClient(app) as client:
        for path in ("/docs", "/openapi.json", "/v1/models") * 2:
            assert client.get(path).status_code == 200
    assert (made, pages) == ([1], [1])


def test_a_client_that_asks_too_often_waits(service):
    with opened(service, rate=0.5) as client:
        assert client.get("/v1/models").status_code == 200
        refused = client.get("/v1/recommend?user=u1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert "0.5 requests a second" in refused.json()["detail"]


def test_each_key_has_a_rate_of_its_own(service):
    keys = [service.store.keys.new("read") for _ in range(2)]
    service.keys.keys = service.store.keys.all()
    with opened(service, keys=True, rate=0.01) as client:
        for key in keys:
            headers = {"Authorization": f"Bearer {key}"}
            assert [client.get("/v1/models", headers=headers).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("keys", [True, False])
def test_other_clients_of_an_address_do_not_switch_off_the_health_checks(service, keys):
    with opened(service, keys=keys, rate=0.5) as client:
        assert [client.get("/").status_code for _ in range(3)] == [200, 429, 429]
        for path in ("/healthz", "/readyz"):
            assert [client.get(path).status_code for _ in range(5)] == [200] * 5


def test_requests_that_a_key_may_not_make_count_for_its_rate(service):
    headers = {"Authorization": f"Bearer {service.store.keys.new('read')}"}
    service.keys.keys = service.store.keys.all()
    with opened(service, keys=True, rate=0.5) as client:
        assert [client.post("/v1/rules/try", json={}, headers=headers).status_code for _ in range(3)] == [403, 429, 429]
        assert client.get("/v1/models", headers=headers).status_code == 429


def test_requests_of_pages_of_other_sites_count_for_the_rate(service):
    with opened(service, hosts=LOCAL, rate=0.5) as client:
        foreign = [client.get("/v1/models", headers={"Host": "attacker.example"}).status_code for _ in range(3)]
        assert foreign == [403, 429, 429]


def test_a_bucket_gives_its_rate_in_the_long_run():
    buckets = TokenBuckets(rate=10.0, max_clients=2)
    passed = sum(buckets.wait("a", step / 100) == 0.0 for step in range(10_000))
    assert passed == pytest.approx(20 + 10 * 100, abs=2)
    for client in "bcd":
        buckets.wait(client, 0.0)
    assert len(buckets._buckets) == 2


def test_large_bodies_are_refused_before_they_are_read(service):
    with opened(service, body=100) as client:
        fits = b'{"user": "u1", "item": "i1"}'.ljust(100)
        assert client.post("/v1/events", content=fits).status_code == 201
        for content in (fits + b" ", iter([fits, b" "])):
            answer = client.post("/v1/events", content=content)
            assert (answer.status_code, answer.headers["connection"]) == (413, "close")
            assert "100 bytes" in answer.json()["detail"]


def test_every_body_is_read_strictly_and_within_the_limits(service):
    with opened(service, body=100) as client:
        paths = client.get("/openapi.json").json()["paths"]
        takers = [(method, path) for path, all in paths.items() for method, one in all.items() if "requestBody" in one]
        assert ("post", "/v1/events") in takers
        for method, path in takers:
            answers = [client.request(method, path, content=body) for body in (b'{"a": 1, "a": 2}', b" " * 101)]
            assert [answer.status_code for answer in answers] == [422, 413], path
            assert "the key 'a' is there twice" in answers[0].json()["detail"]


def test_a_body_that_does_not_arrive_is_given_up(service):
    app = create_app(service, Limits(body_seconds=0.01))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/events",
        "query_string": b"",
        "headers": [(b"content-length", b"9")],
    }
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408


def test_answers_say_what_browsers_may_do(client):
    for path in ("/v1/recommend?user=u1", "/v1/models", "/v1/nothing", "/healthz", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert (headers.get("cache-control") == "no-store") == path.startswith("/v1/")


def test_html_in_names_is_text(client):
    name = "<script>alert(1)</script>"
    client.post("/v1/events", json={"user": name, "item": name})
    answer = client.get("/v1/recommend", params={"user": name})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["user"] == name
    unknown = client.get("/v1/recommend", params={"user": "u1", "model": name})
    assert (unknown.status_code, unknown.headers["content-type"]) == (422, "application/problem+json")


SECRET = "secret-user-4711"


def test_the_log_holds_nothing_of_a_user(client, service, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.WARNING)

    async def failing(*args, **options):
        raise KeyError(SECRET)

    for _ in range(2):
        client.post("/v1/events", json={"user": SECRET, "item": SECRET, "value": 3})
        client.post("/v1/events", json={"user": SECRET, "items": SECRET})
        client.post("/v1/events", content=f"{{{SECRET}")
        client.get("/v1/recommend", params={"user": SECRET})
        client.get("/v1/recommend", params={"user": SECRET, SECRET: SECRET})
        client.get(f"/v1/{SECRET}")
        client.get("/v1/models", headers={"Authorization": f"Bearer {SECRET}"})
        client.post("/v1/recommend", json={"history": [SECRET], "model": SECRET})
        monkeypatch.setattr(service, "history", failing)  # from now on each recommendation fails
    answer = client.get("/v1/recommend", params={"user": SECRET})
    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert "KeyError" in caplog.text
    assert "recommend.py" in caplog.text
    written = [record for record in caplog.records if not record.name.startswith("httpx")]
    everything = "".join(record.getMessage() + (record.exc_text or "") for record in written)
    assert SECRET not in everything
    assert SECRET not in "".join(capfd.readouterr())


def test_errors_of_the_store_hold_nothing_of_a_user(client, service, caplog):
    with service.store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO hidden")
    answer = client.post("/v1/events", json={"user": SECRET, "item": "i1"})
    assert answer.status_code == 503
    assert SECRET not in answer.text + caplog.text


def test_the_page_of_all_routes_loads_nothing(client):
    answer = client.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "https://" not in answer.text
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in answer.text


def test_requests_that_fail_do_not_fill_the_log(client, service, monkeypatch, caplog):
    """Neither those of users, nor those to a shadow model."""
    times = [0.0]
    limit, logger = LogLimit(clock=lambda: times[0]), logging.getLogger("segue.service")

    async def failing(*args, **options):
        raise RuntimeError("out of order")

    logger.addFilter(limit)
    try:
        client.post("/v1/models/activate", json={"model": "hgn", "shadow": ["item-knn"]})
        monkeypatch.setattr(service.deployment.models["item-knn"], "ask", failing)
        for path in ("/v1/recommend?user=u1", "/v1/users/u1"):
            if path == "/v1/users/u1":
                monkeypatch.setattr(service, "read", failing)
            for times[0] in (0.0, 59.0, 60.0):
                client.get(path)
                service.metrics.text()
    finally:
        logger.removeFilter(limit)
    lines = [record.getMessage().splitlines() for record in caplog.records if record.name == "segue.service"]
    for begin in ("the shadow model", "a request failed"):
        found = [line for line in lines if line[0].startswith(begin)]
        assert ["(1 more since the last such line)" in line[-1] for line in found] == [False, True], begin
