"""A model that is swapped in costs the requests after it nothing, and a model that is gone leaves nothing."""

from __future__ import annotations

import gc

import polars as pl
import pytest
from fastapi.testclient import TestClient

from segue.data.readers.ingest import read_log
from segue.evaluation.protocol import Protocol
from segue.event_store.item_table import Item
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.items import catalogue as catalogue_module
from segue.service.items import metadata as metadata_module
from segue.service.items.catalogue import Catalogue
from segue.service.models.loaded_model import LoadedModel
from segue.service.start import start_service
from segue.serving.saved_model import save

ITEMS = 30


@pytest.fixture(scope="module")
def save_with(tmp_path_factory):
    """Saves item-knn with metadata in which all items have one colour."""
    rows = [(f"u{user}", f"i{(user + step) % ITEMS}", 1_600_000_000 + step) for user in range(40) for step in range(12)]
    frame = pl.DataFrame(rows, ["user", "item", "time"], orient="row")

    def save_it(folder, colour):
        table = pl.DataFrame({"item": [f"i{number}" for number in range(ITEMS)], "colour": [colour] * ITEMS})
        log = read_log(frame, items=table)
        outcome = Experiment(model="item-knn", protocol=Protocol.named("leave-one-out"), settings={}).run(log)
        return save(outcome.model, log, folder, **outcome.about(), note=colour)

    return save_it


def test_no_request_adds_a_model_and_models_that_are_gone_leave_the_catalogue(save_with, tmp_path, monkeypatch):
    service = start_service(save_with(tmp_path / "knn", "red"), f"sqlite:///{tmp_path / 'events.db'}")
    with TestClient(create_app(service, Limits())) as client:
        for number in range(4):
            save_with(tmp_path / "knn", f"colour {number}")
            assert client.post("/v1/models/activate", json={"model": "knn"}).status_code == 200
            with monkeypatch.context() as patch:
                patch.setattr(Catalogue, "adding", lambda *args: pytest.fail("a request adds a model"))
                shown = client.get("/v1/recommend", params={"user": "u1", "where": f"colour:colour {number}"})
                assert len(shown.json()["items"]) == 10
        gc.collect()
        assert len(service.shop.catalogue._models) <= 2  # the one before may still be in use


def test_a_catalogue_that_is_asked_and_changed_between_the_steps_is_as_one_that_is_made_at_once(
    save_with, tmp_path, monkeypatch, service
):
    monkeypatch.setattr(catalogue_module, "STEP", 7)
    monkeypatch.setattr(metadata_module, "STEP", 7)
    table = service.store.items
    old, new = (LoadedModel.load(save_with(tmp_path / colour, colour)) for colour in ("red", "blue"))
    table.put([Item("i1", "One", {"colour": "green"}), Item("i2", "Two", {"size": 3})])
    catalogue = Catalogue(table)
    catalogue.follow(catalogue.metadata_of([old]))
    assert catalogue.column("colour").values() == ["green", "red"]
    for step, _ in enumerate(catalogue.adding(new)):
        catalogue.column("size")
        if step == 1:
            catalogue.apply(table.put([Item("i3", "Three", {"colour": "black"})]).items, 0)
    metadata = catalogue.metadata_of([new])
    for step, _ in enumerate(metadata.reading(catalogue.columns_in_use)):
        assert "red" in catalogue.column("colour").values()
        if step == 3:
            catalogue.apply(table.put([Item("i4", None, {"colour": "white"}), Item("i1", None, {})]).items, 0)
    catalogue.follow(metadata)
    fresh = Catalogue(table)
    fresh.follow(fresh.metadata_of([new]))
    for name in ("colour", "size"):
        assert catalogue.column(name).values() == fresh.column(name).values()
    for number, name in enumerate(catalogue.names[1:], 1):
        other = fresh.find(name)
        assert other is not None
        assert catalogue.title(number) == fresh.title(other)
        assert catalogue.values(number) == fresh.values(other)
    assert catalogue.column("colour").values() == ["black", "blue", "white"]
