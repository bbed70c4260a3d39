"""Every parameter and every field of every route, with values that it cannot have.

Each is refused with a 4xx whose sentence names the parameter or the field. What there is to try is read from the
OpenAPI document, so that a new route is tested as soon as it is described; a new body needs a good example here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

GOOD: dict[tuple[str, str], dict[str, Any]] = {  # bodies that are accepted
    ("POST", "/v1/events"): {
        "user": "u1",
        "item": "i1",
        "time": "2026-01-01T00:00:00Z",
        "type": "view",
        "value": 1.0,
        "features": {"device": "phone", "price": 1.5, "member": True, "city": None},
        "id": "x",
    },
    ("POST", "/v1/recommend"): {
        "k": 3,
        "exclude_seen": True,
        "exclude": ["i1"],
        "where": ["kind:a"],
        "available": True,
        "rules": True,
        "explain": False,
        "model": "hgn",
        "history": ["i1"],
        "candidates": ["i2"],
    },
    ("PUT", "/v1/items"): {"item": "i1", "title": "A", "columns": {"kind": "a"}, "available": True, "expires": None},
    ("POST", "/v1/items"): {"item": "i1", "title": "A", "columns": {"kind": "a"}, "available": True, "expires": None},
    ("POST", "/v1/sessions/{session}/join"): {"user": "u1"},
    ("POST", "/v1/rules/try"): {"rules": {}, "k": 5, "users": 10, "model": "hgn"},
    ("PUT", "/v1/rules/{name}"): {"kind": "boost", "description": "", "where": {}, "items": ["i1"], "by": 0.5},
    ("POST", "/v1/models/activate"): {"model": "hgn", "shadow": [], "salt": ""},
    ("POST", "/v1/models/load"): {"folder": "item-knn"},
}
PYTHON = ("function-", "functools", "<function", "tagged-union", "constrained-", "0x7")  # no words for a client
MANY = 100_001  # more than any list may have
DEEP = json.loads("[" * 500 + "]" * 500)


NUMBERS = [math.nan, math.inf, 10**400]
TEXTS = ["a\0b", "\ud800", "x" * 1_001]
BAD_FIELDS: dict[str, list[Any]] = {
    "string": [1, True, [], {}, DEEP, *TEXTS],
    "integer": ["5", "x", 1.5, True, [], {}, -1, 10**30, DEEP, *NUMBERS],
    "number": ["x", True, [], {}, DEEP, *NUMBERS],
    "boolean": ["yes", 1, 0, [], {}, DEEP],
    "array": ["x", 1, True, {}, [None], [1], ["a\0b"], ["\ud800"], ["x" * 1_001], ["x"] * MANY, DEEP],
    "object": [
        "x",
        1,
        True,
        [],
        DEEP,
        {"a\0b": []},
        {"a": DEEP},
        {"a": {}},
        *({"a": [bad]} for bad in (None, {}, "a\0b")),
    ],
}
BAD_QUERIES = {
    "string": ["", "%00", "%FF", "%ED%A0%80", "%", "x" * 1_001],
    "integer": ["", "x", "1.5", "-1", "1e3", "NaN", "9" * 30, "%00", "%FF"],
    "number": ["", "x", "-1", "NaN", "Infinity", "1e999", "9" * 400, "%00"],
    "boolean": ["", "perhaps", "2", "%00", "null"],
    "array": ["", "%00", "%FF", "x" * 1_001],
}


def kinds(schema: dict[str, Any]) -> set[str]:
    """The types that a value may have."""
    if "anyOf" in schema:
        return set().union(*(kinds(one) for one in schema["anyOf"]))
    return {schema.get("type", "object")}


def bad_queries(path: str, operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name of each parameter, and an address with a bad value for it."""
    parameters = operation.get("parameters", [])
    names = {one["name"]: quote(str(one.get("example", "u1"))) for one in parameters if one["in"] == "path"}
    needed = "&".join(f"{one['name']}=u1" for one in parameters if one["in"] == "query" and one.get("required"))
    for one in parameters:
        (kind, *_) = kinds(one["schema"]) - {"null"}
        if one["in"] == "path":
            for value in ("%00", "%FF", "%ED%A0%80", "%20", "100%", "x" * 1_001):
                yield "path", path.format(**{**names, one["name"]: value})
        else:
            others = "" if one.get("required") else f"&{needed}"
            for value in BAD_QUERIES[kind]:
                yield one["name"], f"{path.format(**names)}?{one['name']}={value}{others}"


def bad_bodies(good: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Name of each field, and a body with a bad value for it."""
    for name in good:
        allowed = kinds(schema["properties"].get(name, {}))
        (kind, *_) = allowed - {"null"}
        bad = [*BAD_FIELDS[kind], *([] if "null" in allowed else [None])]
        for value in bad:
            yield name, json.dumps({**good, name: value}).encode("utf-8")
    first = next(iter(good))
    yield first, json.dumps(good)[:-1].encode() + f', "{first}": 1}}'.encode()  # given twice
    yield "unknown", json.dumps({**good, "unknown": 1}).encode()
    yield "body", json.dumps([good]).encode()
    yield "body", b"1"


def cases(document: dict[str, Any]) -> Iterator[tuple[str, str, str, bytes]]:
    """Method, address, name of what is wrong, and body."""
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for name, address in bad_queries(path, operation):
                yield method.upper(), address, name, b""
            if "requestBody" in operation:
                good = GOOD[method.upper(), path]
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                for name, body in bad_bodies(good, merged(schema, schemas, good)):
                    yield method.upper(), path.format(session="s1", name="one"), name, body


def merged(schema: dict[str, Any], schemas: dict[str, Any], good: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these fields, among the alternatives of a schema."""
    if "$ref" in schema:
        return schemas[schema["$ref"].rpartition("/")[2]]
    alternatives = [merged(one, schemas, good) for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    return next(one for one in alternatives if set(good) <= set(one["properties"]))


@pytest.fixture
def document(client) -> dict[str, Any]:
    client.put("/v1/items", json={"item": "i1", "columns": {"kind": "a"}})
    return client.get("/openapi.json").json()


def test_good_bodies_are_accepted(client, document):
    for (method, path), body in GOOD.items():
        answer = client.request(method, path.format(session="s1", name="one"), json=body)
        assert answer.status_code in (200, 201), (method, path, answer.text)


def test_bad_values_are_refused_by_name(client, document):
    faults, count = [], 0
    for method, address, name, body in cases(document):
        answer = client.request(method, address, content=body or None)
        count += 1
        is_right = 400 <= answer.status_code < 500 and answer.headers["content-type"] == "application/problem+json"
        detail = answer.json()["detail"] if is_right else ""
        is_named = name in detail or detail.startswith(("query: ", "body: "))  # these are said of the whole
        if not is_named or any(inside in answer.text for inside in PYTHON):
            faults.append((method, address[:80], name, body[:80], answer.status_code, answer.text[:200]))
    assert faults == []
    assert count > 500
