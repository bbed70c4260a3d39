"""A service refuses a value of an item that a model cannot read beside the numbers that it knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from segue import testing
from segue.data import synthetic
from segue.data.log import Log
from segue.models.registry import MODELS
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.models.item_numbers import ItemNumbers
from segue.service.start import start_service
from segue.serving.saved_model import save

FEATURES = ("price", "new", "look", "kind", "size:category")


def log_with_features() -> Log:
    log = synthetic.markov(20, 8, 6, seed=1)
    table = {
        "price": [1.5, None, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        "new": [True, False] * 4,
        "look": [[0.5, float(n)] for n in range(8)],
        "kind": ["a", "b"] * 4,
        "size": [1, 2] * 4,
    }
    return replace(log, item_metadata=pl.DataFrame(table))


@pytest.fixture
def client(tmp_path: Path) -> Any:
    log = log_with_features()
    model = testing.subject(MODELS["sasrec"], features=FEATURES, epochs=1).train(log)
    folder = save(model, log, tmp_path / "model")
    with TestClient(create_app(start_service(folder, f"sqlite:///{tmp_path / 'events.db'}"), Limits())) as opened:
        yield opened


def test_the_kinds_of_columns_are_those_of_the_log() -> None:
    log = log_with_features()
    kinds = {name: ItemNumbers.of(log, name) for name in (*FEATURES, "unknown")}
    expected = {"price": ItemNumbers("number"), "new": ItemNumbers("boolean"), "look": ItemNumbers("vector", 2)}
    assert kinds == {**dict.fromkeys([*FEATURES, "unknown"]), **expected}


def test_values_of_another_kind_are_refused(client: Any) -> None:
    wrong = {
        "price": (["cheap", "9.5", True, [9.5], []], "a number"),
        "new": ([1, "yes", [True]], "true or false"),
        "look": ([0.5, "a", ["a", "b"], [True, False], [0.5], []], "a list of 2 numbers"),
    }
    for column, (values, kind) in wrong.items():
        for value in values:
            for method in ("PUT", "POST"):
                one = {"item": "3", "columns": {column: value}}
                for body, place in ((one, ""), ({"items": [{"item": "4"}, one]}, "items 1 ")):
                    answer = client.request(method, "/v1/items", json=body)
                    assert answer.status_code == 422
                    assert answer.json()["detail"] == (
                        f"body {place}columns {column}: {value!r} is not {kind}, which the model model reads; "
                        f"send {kind}, or null"
                    )


def test_other_values_are_taken(client: Any) -> None:
    for columns in (
        {"price": 3, "new": False, "look": [1, 2.5], "kind": 7, "size": "xl", "more": "x"},
        {"price": None, "new": None, "look": None, "kind": ["a", "b"]},
    ):
        assert client.put("/v1/items", json={"item": "3", "columns": columns}).status_code == 200
