"""The short way answers as the routes do, and leaves everything that it does not know to them."""

from __future__ import annotations

from unicodedata import normalize
from urllib.parse import urlencode

import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st

from segue.data.log import BLANKS
from segue.errors import ConfigError, DataError
from segue.service.http.route_table import RouteSpec
from segue.service.http.strict_requests import check_query
from segue.service.routes import hot_path, recommend
from segue.service.routes.hot_path import read_query

RIGHT = [
    *(
        "user=u1",
        "user=u1&",
        "user=u1&k=3",
        "k=1000&user=nobody",
        "user=%20u2%20&k=1",
        "user=i%CC%88",
        "user=u1&k=%2B3",
    ),
    *("user=u1&model=item-knn", "user=u1&exclude=i1&exclude=i2", "user=u1&where=shop:uk&where=shop:de", "user=u1&k=07"),
    *("user=u1&exclude_seen=false", "user=u1&explain=true&k=2", "user=u1&available=0&rules=no&measure=off"),
]
WRONG = [
    *("", "user=", "user=u1&k=0", "user=u1&k=1001", "user=u1&k=x", "user=u1&k=³", "user=u1&k=", "user=u1&measure="),
    *("user=u1&user=u2", "user=u1&user=u1", "user=u1&k=1&k=2", "user=u1&model=nobody", "user=%FF", "user=%00"),
    *("user", "k=3", "user=" + "x" * 501, "user=u1&where=shop", "user=u1&exclude=", "user=u1&history=i1"),
]
ODD = "user=u1&model=nobody", "user=u1&where=shop"  # only the answer finds what is wrong


@pytest.mark.parametrize("query", [*RIGHT, *WRONG])
def test_the_answer_is_that_of_the_route(client, query, monkeypatch):
    client.put("/v1/items", json={"item": "i4", "columns": {"shop": ["uk", "de"]}})
    asked = []
    original = hot_path.answer

    async def counted(*args, **options):
        asked.append(args)
        return await original(*args, **options)

    monkeypatch.setattr(hot_path, "answer", counted)
    short = client.get(f"/v1/recommend?{query}")
    assert len(asked) == (query in RIGHT or query in ODD)
    monkeypatch.setattr(hot_path, "read_query", lambda query: None)
    long = client.get(f"/v1/recommend?{query}")
    assert (short.status_code, short.json()) == (long.status_code, long.json())
    assert short.headers["content-type"] == long.headers["content-type"]
    assert (short.status_code == 200) == (query in RIGHT)


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (RuntimeError("of a user"), 500, "an error of the service; its log says where"),
        (DataError("no server"), 503, "no server"),
        (ConfigError("unknown"), 422, "unknown"),
    ],
)
def test_an_error_is_answered_at_once_as_any_other(client, service, monkeypatch, error, status, detail):
    asked = []

    async def failing(user):
        asked.append(user)
        raise error

    monkeypatch.setattr(service, "history", failing)
    answer = client.get("/v1/recommend?user=u1")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)
    assert asked == ["u1"]


def test_a_failed_request_counts_once(client, monkeypatch):
    def failing(*args):
        raise RuntimeError("out of order")

    monkeypatch.setattr(recommend, "explain_items", failing)
    assert client.get("/v1/recommend?user=u1&explain=true").status_code == 500
    figures = client.get("/metrics").text
    assert 'segue_answers_total{arm="hgn",fallback="false",model="hgn"} 1.0' in figures
    assert 'segue_request_seconds_count{method="GET",route="/v1/recommend",status="500"} 1.0' in figures


@given(st.text(max_size=20), st.integers(-5, 2_000))
def test_any_name_is_read_as_it_was_written(user, k):
    rule = RouteSpec("/v1/recommend", "read", {"user": False, "k": False}, has_body=False)
    query = urlencode({"user": user, "k": k}, errors="surrogatepass").encode()
    try:
        found = read_query(check_query(query, rule))
    except HTTPException:
        return
    if found is not None:
        assert found.k == k
        assert found.user == normalize("NFC", user.strip(BLANKS))


def test_a_number_of_very_many_digits_is_passed_on():
    assert read_query([("user", "u1"), ("k", "9" * 5000)]) is None
