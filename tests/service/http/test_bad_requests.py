"""Requests that cannot be answered as they were meant: each gets a 4xx that says what to do, and changes nothing."""

from __future__ import annotations

import gzip
import re

import pytest

RECOMMEND, EVENTS, ACTIVATE = "/v1/recommend", "/v1/events", "/v1/models/activate"
JSON = {"Content-Type": "application/json"}
EVENT = b'{"user": "u1", "item": "i1"}'

QUERIES = {  # query of GET /v1/recommend: what the answer says
    "usr=42": r"query usr: unknown, did you mean 'user'\?; the parameters are: ",
    "user=u1&exclud=i1": "query exclud: unknown, did you mean 'exclude'",
    "user=u1&K=5": "query K: unknown, did you mean 'k'",
    "user=u1&user=u2": "query user: given twice",
    "user=u1&k=5&k=6": "query k: given twice",
    "user=u1&model=hgn&model=item-knn": "query model: given twice",
    "user=%FF": "query: not UTF-8",
    "user=u1&exclude=%C3%28": "query: not UTF-8",
    "user=%ED%A0%80": "query: not UTF-8",  # half a surrogate pair
    "user=100%": "write %25 for a percent sign",
    "user=%zz": "write %25 for a percent sign",
    "user=u%00": "must not contain the character 0",
    "user=u1&model=%00": "must not contain the character 0",
    "user=": "query user: ",
    "user": "query user: ",
    "": "query user: Field required",
    "&&": "query user: Field required",
    "=u1": "query : unknown",
    "user=u1;k=5&k=5;": "query k: ",
    "user=u1&k=": "query k: ",
    "user=u1&k=1.5": "query k: ",
    "user=u1&k=NaN": "query k: ",
    "user=u1&k=-1": "query k: .*greater than or equal to 1",
    "user=u1&k=1000000000000000000000000": "query k: ",
    "user=u1&k=1e2": "query k: ",
    "user=u1&exclude_seen=perhaps": "query exclude_seen: ",
    "user=" + "x" * 501: "query user: .*at most 500",
    "user=u1&model=hgm": "unknown model 'hgm', did you mean 'hgn'",
    "user=u1&history=i1": "query history: unknown",
    "user=u1&exclude=": "query exclude",
}

BODIES = {  # body of POST /v1/events: what the answer says
    b"": "body: Field required",
    b" ": "body: not JSON",
    b"{": "body: not JSON",
    b"[]": "body",
    b"null": "body",
    b'"u1"': "body",
    b"17": "body",
    EVENT + EVENT: "body: not JSON",
    b'{"user": "u1", "item": "i1", "item": "i2"}': "body: the key 'item' is there twice",
    b'{"events": [{"user": "u1", "item": "i1", "user": "u2"}]}': "body: the key 'user' is there twice",
    b'{"user": "u1", "item": "i1", "value": NaN}': "body: NaN is not a number of JSON",
    b'{"user": "u1", "item": "i1", "value": -Infinity}': "body: -Infinity is not a number",
    b'{"user": "u1", "item": "i1", "value": 1e999}': "body: the number 1e999 is too large",
    b'{"user": "u1", "item": "i1", "value": ' + b"9" * 5000 + b"}": "body: ",
    b'{"user": "u1", "item": "i1", "value": ' + b"9" * 400 + b"}": "body value: ",
    b"[" * 100_000: "body: ",
    b'{"a":' * 50_000: "body: ",
    b'{"user": "\\u0000", "item": "i1"}': "must not contain the character 0",
    b'{"user": "u1", "item": "i1", "type": "\\ud800"}': "half a surrogate pair",
    b'{"user": "u1", "item": "i1", "\\udfff": 1}': "half a surrogate pair",
    b'{"user": "u1", "item": "i1", "type": "a\\u0000"}': "must not contain the character 0",
    b'{"user": "\xff", "item": "i1"}': "body: not UTF-8",
    EVENT.decode().encode("utf-16"): "body: not UTF-8",
    b"\xef\xbb\xbf" + EVENT: "body: not JSON",
    b'{"user": "a\nb", "item": "i1"}': "body: not JSON",
    b"{'user': 'u1', 'item': 'i1'}": "body: not JSON",
    b'{"user": "u1", "item": "i1",}': "body: not JSON",
    b"user=u1&item=i1": "body: not JSON",
    b'{"user": 1, "item": "i1"}': "body user: ",
    b'{"user": ["u1"], "item": "i1"}': "body user: ",
    b'{"user": "u1", "item": "i1", "time": "yesterday"}': "body time: ",
    b'{"user": "u1", "item": "i1", "time": "2026-13-01T00:00:00Z"}': "body time: ",
    b'{"user": "u1", "item": "i1", "time": "2026-01-01T00:00:00"}': "body time: .*timezone",
    b'{"user": "u1", "item": "i1", "time": 1e300}': "body time: ",
    b'{"user": "u1", "item": "i1", "time": 99999999999999999999}': "body time: ",
    b'{"user": "u1", "item": "i1", "time": "9999-12-31T23:59:59-12:00"}': "body time: ",
    b'{"user": "u1", "item": "i1", "time": "0001-01-01T00:00:00+12:00"}': "body time: ",
    b'{"user": "u1", "item": "i1", "value": "4.5e"}': "body value: ",
    b'{"user": "u1", "item": "i1", "usr": "u2"}': "body usr: ",
    b'{"user": "u1", "item": "i1", "events": []}': "body ",
    b'{"events": {}}': "body events: ",
    b'{"events": [null]}': "body events 0: ",
    b'{"events": [[]]}': "body events 0: ",
}

REQUESTS = [  # method, path, headers, content, status, what the answer says
    ("PUT", EVENTS, JSON, EVENT, 405, "PUT: not for this path, which has POST"),
    ("DELETE", EVENTS, {}, b"", 405, "which has POST"),
    ("GET", EVENTS, {}, b"", 405, "which has POST"),
    ("HEAD", RECOMMEND + "?user=u1", {}, b"", 405, ""),
    ("OPTIONS", RECOMMEND, {}, b"", 405, "which has GET, POST"),
    ("TRACE", RECOMMEND, {}, b"", 405, "which has GET, POST"),
    ("NONSENSE", RECOMMEND, {}, b"", 405, "which has GET, POST"),
    ("GET", "/v1/recommendations?user=u1", {}, b"", 404, "no such route; /docs"),
    ("GET", "/v1/recommend/?user=u1", {}, b"", 404, "no such route"),
    ("GET", "/v1//recommend?user=u1", {}, b"", 404, "no such route"),
    ("GET", "/v1/../v1/nothing", {}, b"", 404, ""),
    ("GET", "/v1/%2e%2e/etc/passwd", {}, b"", 404, "no such route"),
    ("GET", "/v2/recommend?user=u1", {}, b"", 404, ""),
    ("GET", RECOMMEND + "?user=u1", JSON, b'{"k": 3}', 400, "takes no body here"),
    ("GET", "/v1/models?name=hgn", {}, b"", 422, "query name: unknown; the parameters are: none"),
    ("GET", "/healthz?verbose=1", {}, b"", 422, "query verbose: unknown"),
    ("GET", "/metrics?format=json", {}, b"", 422, "query format: unknown"),
    ("POST", EVENTS + "?user=u1", JSON, EVENT, 422, "query user: unknown"),
    ("POST", EVENTS, {"Content-Type": "text/plain"}, EVENT, 415, "Content-Type: application/json"),
    ("POST", EVENTS, {"Content-Type": "multipart/form-data; boundary=x"}, EVENT, 415, "application/json"),
    ("POST", EVENTS, {"Content-Type": "application/json; charset=latin-1"}, EVENT, 415, "in UTF-8"),
    ("POST", EVENTS, {**JSON, "Content-Encoding": "gzip"}, gzip.compress(EVENT), 415, "without compression"),
    (
        "POST",
        EVENTS,
        [*JSON.items(), ("Content-Encoding", "gzip"), ("Content-Encoding", "identity")],
        EVENT,
        415,
        "gzip",
    ),
    ("POST", EVENTS, {**JSON, "Transfer-Encoding": "gzip, chunked"}, EVENT, 415, "Transfer-Encoding gzip, chunked: s"),
    ("POST", EVENTS, [("Content-Type", "text/plain"), *JSON.items()], EVENT, 415, "Content-Type: application/json"),
    ("POST", EVENTS, JSON, gzip.compress(EVENT), 422, "body: not UTF-8"),
    ("POST", EVENTS, JSON, b" " * 1_000_001, 413, "1,000,000 bytes"),
    ("POST", RECOMMEND, JSON, b'{"k": 3}', 422, "give a user or a history"),
    ("POST", RECOMMEND, JSON, b'{"history": ["i1"], "k": 2, "k": 3}', 422, "the key 'k' is there twice"),
    ("POST", RECOMMEND, JSON, b'{"user": "u1", "k": 1.5}', 422, "body k: "),
    ("POST", RECOMMEND, JSON, b'{"user": "u1", "k": true}', 422, "body k: "),
    ("POST", RECOMMEND, JSON, b'{"user": "u1", "exclude_seen": "no"}', 422, "body exclude_seen: "),
    ("POST", RECOMMEND, JSON, b'{"history": "i1"}', 422, "body history: "),
    ("POST", RECOMMEND, JSON, b'{"history": [""]}', 422, "body history 0: "),
    ("POST", RECOMMEND, JSON, b'{"user": "u1", "model": "\\u0000"}', 422, "the character 0"),
    ("POST", ACTIVATE, JSON, b"{}", 422, "give either a model or arms"),
    ("POST", ACTIVATE, JSON, b'{"model": "../../etc"}', 422, "no saved model"),
    ("POST", ACTIVATE, JSON, b'{"model": "hgn", "arms": []}', 422, "body arms: "),
    ("POST", ACTIVATE, JSON, b'{"arms": [{"model": "hgn", "weight": 1e400}]}', 422, "too large"),
    ("POST", ACTIVATE, JSON, b'{"arms": [{"model": "hgn", "weight": 0}]}', 422, "weight: "),
    ("POST", ACTIVATE, JSON, b'{"arms": [{"model": "hgn", "weight": true}]}', 422, "weight: "),
    ("GET", "/v1/users/%FF", {}, b"", 422, "path: not UTF-8"),
    ("GET", "/v1/users/100%", {}, b"", 422, "path: .*write %25"),
    ("GET", "/v1/users/a%00", {}, b"", 422, "path: .*the character 0"),
    ("GET", "/v1/users/%20", {}, b"", 422, "a name must not be empty"),
    ("GET", "/v1/users/u1?limit=1&limit=2", {}, b"", 422, "query limit: given twice"),
    ("GET", "/v1/users/u1?k=1", {}, b"", 422, "query k: unknown; the parameters are: limit"),
    ("GET", "/v1/users/u1?limit=0", {}, b"", 422, "query limit: "),
    ("GET", "/v1/users/", {}, b"", 404, "no such route"),
    ("PATCH", "/v1/users/u1", {}, b"", 405, "which has DELETE, GET"),
    ("DELETE", "/v1/users/u1", JSON, b'{"really": true}', 400, "takes no body here"),
    ("POST", "/v1/sessions/s1/join", JSON, b"{}", 422, "body user: Field required"),
    ("POST", "/v1/sessions/%C0%AF/join", JSON, b'{"user": "u1"}', 422, "path: not UTF-8"),
    ("GET", "/v1/items/nothing", {}, b"", 404, "nothing"),
    ("GET", "/v1/similar?item=i1&k=0", {}, b"", 422, "query k: "),
    ("GET", "/v1/similar?item=i1&where=colour", {}, b"", 422, "where"),
    ("GET", "/v1/similar?item=i1&where=colour:red", {}, b"", 422, "colour"),
    ("GET", "/v1/recommend?user=u1&where=colour:red", {}, b"", 422, "colour"),
    ("GET", "/v1/popular?user=u1", {}, b"", 422, "query user: unknown"),
    ("GET", "/v1/trending?k=1&k=1", {}, b"", 422, "query k: given twice"),
    ("PUT", "/v1/items", JSON, b'{"item": "i1", "available": "no"}', 422, "body available: "),
    ("PUT", "/v1/items", JSON, b'{"item": "i1", "expires": 1764410400}', 422, "body expires: .*ISO 8601"),
    ("PUT", "/v1/items", JSON, b'{"item": "i1", "columns": {"a": 1, "a": 2}}', 422, "the key 'a' is there twice"),
    ("PUT", "/v1/items", JSON, b'{"item": "i1", "columns": {"a": {"b": 1}}}', 422, "body columns a"),
    ("PUT", "/v1/items", JSON, b'{"item": "i1", "columns": {"a": 1e400}}', 422, "too large"),
    ("PUT", "/v1/rules/no%2Ftobacco", JSON, b"{}", 404, ""),
    ("PUT", "/v1/rules/one", JSON, b'{"kind": "forbid"}', 422, "body.*exclude"),
    ("PUT", "/v1/rules/one", JSON, b'{"kind": "exclude"}', 422, "give where, items or both"),
    ("PUT", "/v1/rules/one", JSON, b'{"kind": "boost", "items": ["i1"], "by": "NaN"}', 422, "by: "),
    ("PUT", "/v1/rules/one", JSON, b'{"kind": "cap", "column": "category", "at_most": true}', 422, "at_most: "),
    ("DELETE", "/v1/rules/nothing", {}, b"", 404, "nothing"),
    ("POST", "/v1/rules/try", JSON, b'{"users": 1}', 422, "body users: "),
]

CASES = [
    *(("GET", f"{RECOMMEND}?{query}", {}, b"", 422, said) for query, said in QUERIES.items()),
    *(("POST", EVENTS, JSON, body, 422, said) for body, said in BODIES.items()),
    *REQUESTS,
]


def test_each_is_refused_with_what_to_do(client, service):
    """One test, not a hundred: a service takes longer to start than to refuse them all."""
    before, faults = len(service.store.events), []
    for method, path, headers, content, status, said in CASES:
        answer = client.request(method, path, headers=headers, content=content or None)
        problem = answer.json() if method != "HEAD" else {"detail": "", "status": status}
        is_right = answer.status_code == problem.get("status") == status and re.search(said, problem["detail"])
        is_problem = answer.headers["content-type"] == "application/problem+json"
        if not (is_right and is_problem):
            faults.append((method, path[:60], content[:60], answer.status_code, problem.get("detail", "")[:200]))
        assert status != 405 or answer.headers["allow"]
    assert faults == []
    assert len(CASES) >= 60
    assert len(service.store.events) == before
    assert client.get("/v1/recommend?user=u1").status_code == 200


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "application/json; charset=UTF-8"])
def test_what_curl_sends_is_read_as_json(client, content_type):
    """`curl -d` says that it sends a form."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert client.post(EVENTS, content=EVENT, headers=headers).json() == {"stored": 1, "duplicates": 0}


def test_names_arrive_as_they_were_written(client):
    for query, user in (
        ("user=%E2%82%AC%20%25%2B", "\u20ac %+"),
        ("user=a+b", "a b"),
        ("user=%22%5Cu0000", '"\\u0000'),
    ):
        assert client.get(f"{RECOMMEND}?{query}").json()["user"] == user
    stored = client.post(EVENTS, content=b'{"user": "\\ud83d\\ude00", "item": "i1"}', headers=JSON)
    assert stored.status_code == 201
    assert client.get(RECOMMEND, params={"user": "\N{GRINNING FACE}"}).json()["events"] == 1
