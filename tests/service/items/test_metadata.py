"""Rules, filters and titles follow from the models of the split and their order, whatever else is or was in memory."""

from __future__ import annotations

import itertools

import polars as pl
import pytest
from fastapi.testclient import TestClient

from segue.data.readers.ingest import read_log
from segue.evaluation.protocol import Protocol
from segue.event_store.item_table import Item
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.items.catalogue import Catalogue
from segue.service.items.item_column import ItemColumn
from segue.service.models.loaded_model import LoadedModel
from segue.service.start import start_service
from segue.serving.saved_model import save

ITEMS = [f"i{number}" for number in range(30)]
RULE = {"kind": "exclude", "where": {"kind": ["toys"]}}
TABLES = {
    "full": {"title": [f"Item {item}" for item in ITEMS], "kind": ["toys", "food"] * 15},
    "half": {"title": [None, *(f"Other {item}" for item in ITEMS[1:])], "kind": [None, *["wine"] * 29]},
    "list": {"kind": [["toys", "new"]] * 30, "size": [7.0] * 30},
    "bare": {},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The models full, half, list and bare of the same events, each with its table of items."""
    folder = tmp_path_factory.mktemp("models")
    rows = [(f"u{user}", ITEMS[(user + step) % 30], 1_600_000_000 + step) for user in range(40) for step in range(12)]
    frame = pl.DataFrame(rows, ["user", "item", "time"], orient="row")
    for name, columns in TABLES.items():
        log = read_log(frame, items=pl.DataFrame({"item": ITEMS, **columns}) if columns else None)
        outcome = Experiment(model="item-knn", protocol=Protocol.named("leave-one-out"), settings={}).run(log)
        save(outcome.model, log, folder / name, **outcome.about(), note=name)
    return folder


@pytest.fixture(scope="module")
def loaded(folder) -> dict[str, LoadedModel]:
    return {name: LoadedModel.load(folder / name) for name in TABLES}


@pytest.fixture
def client(folder, tmp_path):
    """Full answers alone, with a rule; no other model is in memory."""
    service = start_service(folder / "full", f"sqlite:///{tmp_path / 'events.db'}")
    service.folders.path = folder
    with TestClient(create_app(service, Limits())) as opened:
        assert opened.put("/v1/rules/r", json=RULE).status_code == 200
        yield opened


def answers(client) -> list:
    """What depends on rules, columns and titles."""
    paths = (
        "recommend?user=u1",
        "recommend?user=nobody",
        "popular?k=30",
        "similar?item=i7",
        "popular?where=kind:food",
    )
    found = [client.get(f"/v1/{path}").json()["items"] for path in paths]
    assert all(one["title"] == f"Item {one['item']}" for items in found for one in items)
    assert all(int(one["item"][1:]) % 2 for items in found for one in items)  # the others are toys
    shown = [client.get(f"/v1/items/{item}").json() for item in ITEMS]
    return [*found, [(one["title"], one["columns"]) for one in shown]]


@pytest.mark.parametrize("name", ["half", "list", "bare"])
def test_a_model_that_answers_nobody_changes_no_rule_no_filter_and_no_title(client, name):
    before = answers(client)
    assert client.post("/v1/models/load", json={"folder": name}).status_code == 200
    assert answers(client) == before
    assert client.get("/v1/popular", params={"where": "size:7"}).status_code == 422


@pytest.mark.parametrize("place", [{"shadow": ["half"]}, {"shadow": ["bare"]}, {"shadow": ["list"]}])
def test_a_model_that_runs_along_fills_only_what_the_others_leave_empty(client, place):
    before = answers(client)
    body = {"arms": [{"model": "full"}], **place}
    assert client.post("/v1/models/activate", json=body).status_code == 200
    *lists, shown = answers(client)
    assert lists == before[:-1]
    assert [columns["kind"] for _, columns in shown] == [columns["kind"] for _, columns in before[-1]]
    assert all(("size" in columns) == (place["shadow"] == ["list"]) for _, columns in shown)


def test_what_a_replaced_model_said_is_gone(client):
    for name, kinds in (("half", ["wine"]), ("list", ["toys", "new"]), ("bare", None), ("full", ["food"])):
        assert client.post("/v1/models/activate", json={"model": name}).status_code == 200
        assert client.get("/v1/items/i1").json()["columns"].get("kind") == kinds


def test_a_restart_says_the_same_as_the_service_before(client, folder, tmp_path):
    body = {"arms": [{"model": "half", "weight": 0.01}, {"model": "list"}], "shadow": ["full"]}
    assert client.post("/v1/models/activate", json=body).status_code == 200
    paths = ("popular?k=30", "recommend?user=u1", *(f"items/{item}" for item in ITEMS))
    before = [client.get(f"/v1/{path}").json() for path in paths]
    again = start_service(folder, f"sqlite:///{tmp_path / 'events.db'}")
    with TestClient(create_app(again, Limits())) as opened:
        for path, expected in zip(paths, before, strict=True):
            found = opened.get(f"/v1/{path}").json()
            assert {**found, "models": None} == {**expected, "models": None}


@pytest.mark.parametrize("order", list(itertools.permutations(TABLES, 3)))
def test_the_first_model_with_a_value_counts_whatever_was_in_use_before(loaded, service, order):
    service.store.items.put([Item("i2", "Two", {"kind": "mine"}), Item("i3", None, {"kind": []})])
    catalogue = Catalogue(service.store.items)
    catalogue.follow(catalogue.metadata_of([loaded[name] for name in reversed(order)]))
    catalogue.column("kind"), catalogue.column("size")
    catalogue.follow(catalogue.metadata_of([loaded[name] for name in order]))
    for place, item in enumerate(ITEMS):
        number = catalogue.find(item)
        for column in ("kind", "size"):
            values = [TABLES[name].get(column, [None] * 30)[place] for name in order]
            expected = next((value for value in values if value is not None), None)
            expected = {("i2", "kind"): "mine", ("i3", "kind"): []}.get((item, column), expected)
            known = ItemColumn()
            known.set(number, expected)
            assert catalogue.column(column).of(number) == known.of(number)
            for text in ("toys", "food", "wine", "new", "mine", "7"):
                has = catalogue.column(column).mask([text], len(catalogue.names))[number]
                assert has == (text in known.of(number))
        titles = [TABLES[name].get("title", [None] * 30)[place] for name in order]
        title = next((one for one in titles if one is not None), item)
        assert catalogue.title(number) == ("Two" if item == "i2" else title)


def test_what_the_table_says_counts_also_where_it_says_that_there_is_nothing(loaded, service):
    catalogue = Catalogue(service.store.items)
    catalogue.follow(catalogue.metadata_of([loaded["full"]]))
    number = catalogue.find("i1")
    for item, kinds, title in (
        (Item("i1", "One", {"kind": "mine"}), ("mine",), "One"),
        (Item("i1", None, {"kind": ""}), (), "Item i1"),
        (Item("i1"), ("food",), "Item i1"),
        (Item("i1", "", {"kind": None}), (), "i1"),
        (Item("i1", complete=True), (), "i1"),
        (Item("i1", "Mine", {"kind": "mine"}, complete=True), ("mine",), "Mine"),
    ):
        catalogue.apply(service.store.items.put([item]).items, 0)
        assert (catalogue.column("kind").of(number), catalogue.title(number)) == (kinds, title)
        has = {text: bool(catalogue.matching("kind", [text], strict=False)[number]) for text in ("mine", "food")}
        assert has == {"mine": "mine" in kinds, "food": "food" in kinds}
        assert catalogue.column("title").of(number) == ((title,) if title != "i1" else ())
    assert catalogue.column("kind").values() == ["food", "mine", "toys"]
