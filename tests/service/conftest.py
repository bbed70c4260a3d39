"""Two small saved models, and a service that answers with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from fastapi.testclient import TestClient

from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.service import Service
from segue.service.start import start_service
from segue.serving.saved_model import save

USERS, ITEMS, EVENTS = 40, 30, 12
START = 1_600_000_000  # seconds since 1970


def events() -> pl.DataFrame:
    """Events of users who walk through the items in steps of one or two."""
    rows = [
        (f"u{user}", f"i{(user + step * (1 + user % 2)) % ITEMS}", START + 86_400 * step + user)
        for user in range(USERS)
        for step in range(EVENTS)
    ]
    return pl.DataFrame(rows, ["user", "item", "time"], orient="row")


@pytest.fixture(scope="session")
def log() -> Log:
    return read_log(events())


@pytest.fixture(scope="session")
def models(log, tmp_path_factory) -> Path:
    """A folder with the saved models hgn and item-knn."""
    folder = tmp_path_factory.mktemp("models")
    settings = {"hgn": {"embedding_dim": 8, "epochs": 2}, "item-knn": {}}
    for model, given in settings.items():
        outcome = Experiment(model=model, protocol=Protocol.named("leave-one-out"), settings=given).run(log)
        save(outcome.model, log, folder / model, **outcome.about())
    return folder


@pytest.fixture
def own_models(models, tmp_path) -> Path:
    """A copy of the models that a test may change."""
    return Path(shutil.copytree(models, tmp_path / "models"))


@pytest.fixture
def service(models, tmp_path) -> Service:
    return start_service(models, f"sqlite:///{tmp_path / 'events.db'}", active="hgn")


@pytest.fixture
def client(service) -> Iterator[TestClient]:
    with TestClient(create_app(service, Limits())) as opened:
        yield opened
