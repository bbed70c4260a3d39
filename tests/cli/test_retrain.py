"""`segue retrain` trains a served model anew, and lets it answer only if it is no worse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

from segue.cli import status
from segue.data.readers.ingest import read_log
from segue.data.readers.store_items import read_store_items
from segue.evaluation.protocol import Protocol
from segue.event_store.documents import Documents
from segue.event_store.event import Event
from segue.event_store.item_table import Item
from segue.event_store.store import open_store
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.deployment.activation import ACTIVE
from segue.service.http.limits import Limits
from segue.service.models.deployments import StoredDeployment
from segue.service.retraining.retrain import (
    Comparison,
    num_missing,
    retraining_experiment,
    trained_rows,
    with_old_metadata,
)
from segue.service.start import start_service
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import load, read_facts, save

USERS, START, DAY = 110, 1_600_000_000, 86_400


def walk(first: int, last: int, step: int) -> list[tuple[str, str, int]]:
    return [
        (f"u{user}", f"i{(user + step * number) % 20}", START + DAY * number + user)
        for user in range(USERS)
        for number in range(first, last)
    ]


@pytest.fixture
def served(tmp_path):
    """A saved item-knn with titles, and a store that a service has used."""
    log = read_log(
        pl.DataFrame(walk(0, 8, 1), ["user", "item", "time"], orient="row").with_columns(rating=pl.lit(4.0)),
        items=pl.DataFrame({"item": [f"i{n}" for n in range(20)], "title": [f"Item {n}" for n in range(20)]}),
    )
    experiment = Experiment(model="item-knn", protocol=Protocol.named("leave-one-out"), settings={"window": 2})
    outcome = experiment.run(log)
    folder = save(outcome.model, log, tmp_path / "models" / "knn", **outcome.about())
    url = f"sqlite:///{tmp_path / 'events.db'}"
    start_service(folder, url).store.close()
    return folder, url


def fit_to_all(folder: Path) -> None:
    """Save the model anew, trained on its whole log."""
    log = load(folder).log
    outcome = Experiment(model="item-knn", protocol=Protocol.named("leave-one-out"), final=True).run(log)
    save(outcome.model, log, folder, **outcome.about())


def test_a_note_in_a_folder_that_is_replaced_is_not_lost(served, capsys):
    folder, url = served
    for ending in ("", ".previous", ".rejected"):
        note = folder.with_name(f"knn{ending}") / "notes.txt"
        note.parent.mkdir(exist_ok=True)
        note.with_name("model.json").touch()
        note.write_text("do not lose")
        assert status(["retrain", str(folder), "--store", url]) == 2
        assert f"knn{ending}: holds notes.txt, no part of a saved model" in capsys.readouterr().err
        assert note.read_text() == "do not lose"
        note.unlink()


def add(url: str, rows: list[tuple[str, str, int]], items: Sequence[Item] = ()) -> None:
    with closing(open_store(url)) as store:
        store.events.append([Event(user, item, time * 1_000_000) for user, item, time in rows])
        store.items.put(items)


def active(url: str) -> dict:
    with closing(open_store(url)) as store:
        return store.deployments.all()[ACTIVE]


def test_a_model_that_is_no_worse_answers(served, tmp_path, capsys):
    """Users have a new habit and there are new items: the new model knows them, the old one does not."""
    folder, url = served
    before = load(folder)
    new = [(user, f"new{(number + number // 6) % 6}", time) for number, (user, _, time) in enumerate(walk(8, 14, 3))]
    add(url, new, [Item("new0", "A new one", {"colour": "red"})])
    figures = tmp_path / "figures.json"
    assert status(["retrain", str(folder), "--store", url, "--json", str(figures)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "instances that neither has seen" in said
    assert "which the services of the store load now" in said
    after = load(folder)
    assert len(after.log) == len(before.log) + len(new)
    assert after.about["store"]["newest_seq"] == len(after.log)
    assert after.about["experiment"]["settings"] == {"window": 2}
    assert after.about["experiment"]["protocol"]["fingerprint"] == before.about["experiment"]["protocol"]["fingerprint"]
    titles = dict(zip(after.log.items.tokens, after.log.item_metadata["title"], strict=True))
    assert (titles["new0"], titles["new1"], titles["i3"]) == ("A new one", "new1", "Item 3")
    previous = load(folder.with_name("knn.previous"))
    assert previous.about == before.about
    content = json.loads(figures.read_text())
    assert content["live"]
    assert content["comparison"]["new"] > content["comparison"]["old"]
    service = start_service(folder, url)
    assert active(url)["fingerprints"] == {"knn": service.deployment.models["knn"].fingerprint}
    service.store.close()


def test_a_new_store_gets_the_histories_of_a_retrained_model(served, tmp_path):
    """The store that it was trained on has them, and so has a copy of it."""
    folder, url = served
    add(url, walk(8, 10, 1))
    assert status(["retrain", str(folder), "--store", url, "--always"]) == 0
    copy, new = (f"sqlite:///{tmp_path / name}" for name in ("copy.db", "new.db"))
    assert status(["store", "copy", url, copy]) == 0
    for store in (url, copy, new):
        with closing(start_service(folder, store).store) as opened:
            assert len(opened.events) == len(load(folder).log)
            assert len(opened.events.history("u1")) == 10


def test_an_activation_during_a_retraining_is_kept(served, monkeypatch):
    folder, url = served
    add(url, walk(8, 10, 1))
    shutil.copytree(folder, folder.with_name("other"))
    put, times = Documents.put, []

    def activated_before(self, name, content, *, after=None):
        times.append(after)
        if len(times) == 1:  # somebody adds a shadow model
            old = self.all()[ACTIVE]
            put(self, name, {**old, "split": {**old["split"], "shadow": ["other"]}})
        return put(self, name, content, after=after)

    monkeypatch.setattr(Documents, "put", activated_before)
    assert status(["retrain", str(folder), "--store", url, "--always"]) == 0
    assert len(times) == 2
    stored = StoredDeployment.read(active(url))
    assert stored.split.shadow == ("other",)
    assert stored.fingerprints["knn"] == fingerprint_of(read_facts(folder))


@pytest.mark.parametrize(
    ("instances", "users", "old", "new", "low", "is_accepted", "verdict"),
    [
        (100, 20, 0.2, 0.2, -0.05, True, "at least as good"),
        (100, 20, 0.2, 0.25, -0.01, True, "at least as good"),
        (100, 20, 0.2, 0.195, -0.0099, True, "at most 5% worse"),
        (100, 20, 0.2, 0.195, -0.0101, False, "perhaps more than 5% worse"),
        (100, 20, 0.2, 0.19, -0.05, False, "perhaps more than 5% worse"),  # the interval may reach far above 0
        (99, 99, 0.2, 0.9, 0.5, False, "too few to tell"),
        (1000, 19, 0.2, 0.9, 0.5, False, "too few to tell"),
        (4, 4, 0.75, 0.25, -1.0, False, "too few to tell"),
        (100, 20, 0.0, 0.0, 0.0, True, "at least as good"),
    ],
)
def test_which_models_are_accepted(instances, users, old, new, low, is_accepted, verdict):
    comparison = Comparison("recall@10", instances, users, old, new, low, 0.5)
    assert comparison.is_no_worse == is_accepted
    assert f": {verdict}" in comparison.describe()


def test_few_new_instances_are_not_enough_until_there_are_more(served, capsys):
    folder, url = served
    fit_to_all(folder)
    fingerprint = fingerprint_of(read_facts(folder))
    for first, last, code in ((0, 60, 1), (60, 110, 0)):
        add(url, [row for row in walk(8, 12, 1) if first <= int(row[0][1:]) < last])
        assert status(["retrain", str(folder), "--store", url]) == code
        assert ("too few to tell" in " ".join(capsys.readouterr().err.split())) == bool(code)
        assert (fingerprint_of(read_facts(folder)) == fingerprint) == bool(code)


def test_events_that_were_imported_stay_when_events_are_selected_by_type(served, capsys):
    folder, url = served
    new = walk(8, 12, 1)
    with closing(open_store(url)) as store:
        store.events.append([Event(user, item, time * 1_000_000, "purchase") for user, item, time in new])
        store.events.append([Event(user, item, time * 1_000_000 + 5, "view") for user, item, time in new])
        old = len(load(folder).log)
        assert len(store.events) == old + 2 * len(new)
    assert status(["retrain", str(folder), "--store", url, "--where", "event=purchase"]) == 0
    assert len(load(folder).log) == old + len(new)
    assert "are not among them" not in capsys.readouterr().err
    assert status(["retrain", str(folder), "--store", url, "--min-rating", "4.5"]) == 2  # purchases have no rating
    with closing(open_store(url)) as store:
        store.events.append([Event(user, item, time * 1_000_000 + 9, "like", 5) for user, item, time in new])
        with store.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM events WHERE type = 'imported' OR value IS NULL")
    assert status(["retrain", str(folder), "--store", url, "--where", "event=like"]) in (0, 1)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{old + len(new):,} of the {old + len(new):,} events that {folder} was saved with" in said


def test_events_that_were_imported_stay_when_types_are_read(served, capsys):
    """The next training has them, too; and a type that no event has is an error, as in a file."""
    folder, url = served
    assert status(["retrain", str(folder), "--store", url, "--events", "purchase"]) == 2
    assert "column 'event' never has the value 'purchase'; it has 'imported'" in " ".join(
        capsys.readouterr().err.split()
    )
    new, old = walk(8, 12, 1), len(load(folder).log)
    with closing(open_store(url)) as store:
        store.events.append([Event(user, item, time * 1_000_000, "purchase") for user, item, time in new])
        store.events.append([Event(user, item, time * 1_000_000 + 5, "view") for user, item, time in new])
    for options in (["purchase"], ["purchase"], ["purchase", "--where", "event=purchase"], ["purchase", "imported"]):
        assert status(["retrain", str(folder), "--store", url, "--always", "--events", *options]) == 0
        log = load(folder).log
        assert log.event_types == ("purchase", "imported")
        assert np.bincount(log.column(log.event_type), minlength=3).tolist() == [0, len(new), old]
        assert "are not among them" not in capsys.readouterr().err


def test_events_without_a_value_do_not_keep_a_model_of_likes_from_being_trained_anew(served, capsys):
    folder, url = served
    add(url, [("u1", "i5", START + 30 * DAY)])
    with closing(open_store(url)) as store:
        store.events.append([Event("u2", "i7", (START + 31 * DAY) * 1_000_000, value=5.0)])
    before = len(load(folder).log)
    assert status(["retrain", str(folder), "--store", url, "--min-rating", "4", "--always"]) == 0
    assert f"1 of {before + 2:,} events have no value" in " ".join(capsys.readouterr().err.split())
    assert len(load(folder).log) == before + 1
    assert status(["retrain", str(folder), "--store", url, "--where", "event=purchase"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "column 'event' never has the value 'purchase'; it has '', 'imported'" in said


def test_a_model_that_was_trained_on_the_store_brings_nothing_twice(served, tmp_path):
    """Events have types and ids of their own, and a session was joined; another store gets all of them."""
    _, url = served
    with closing(open_store(url)) as store:
        store.events.append([Event("u1", "i1", 10**15, "view", id="x"), Event("s", "i2", 10**15, "buy", id="y")])
        before = len(store.events)
    again = tmp_path / "models" / "again"
    assert status(["run", "pop", url, "-o", str(again)]) == 0
    with closing(open_store(url)) as store:
        store.sessions.join("s", "u1")
    start_service(again, url, active="again").store.close()
    with closing(open_store(url)) as store:
        assert len(store.events) == before
    new = f"sqlite:///{tmp_path / 'new.db'}"
    with closing(start_service(again, new).store) as store:
        assert len(store.events) == before


def test_a_worse_model_does_not_answer(served, capsys, monkeypatch):
    folder, url = served
    add(url, walk(8, 10, 1))
    add(url, [("u1", "i1", START), ("u2", "i2", START)])
    before, answering = load(folder).about, active(url)
    monkeypatch.setattr(Experiment, "build", _forgetful(Experiment.build))
    assert status(["retrain", str(folder), "--store", url]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "stays" in said
    assert "--always" in said
    assert load(folder).about == before
    assert active(url) == answering
    assert load(folder.with_name("knn.rejected")).about["store"]["newest_seq"] > 0
    assert status(["retrain", str(folder), "--store", url, "--always"]) == 0
    assert load(folder).about != before


def _forgetful(build):
    """Makes models whose `fit` sees random items."""

    def forgetful(self, log, **settings):
        model = build(self, log, **settings)
        fit = model.fit

        def fit_noise(rows):
            noise = np.random.default_rng(0).permutation(rows.item)
            fit(replace(rows, item=noise))

        model.fit = fit_noise
        return model

    return forgetful


def test_a_test_that_the_old_model_was_trained_on_is_no_comparison(served, tmp_path, capsys):
    folder, url = served
    fit_to_all(folder)
    assert status(["retrain", str(folder), "--store", url]) == 1
    assert "the two cannot be compared" in " ".join(capsys.readouterr().err.split())


def test_rows_of_the_training_are_found_in_the_store(served):
    folder, url = served
    saved = load(folder)
    add(url, [("u0", "i0", START + 100 * DAY), ("somebody", "i0", START)])
    log = read_log(url)
    mask = trained_rows(saved, log, {})
    assert mask.sum() == len(saved.trained_rows()) == USERS * 6
    assert len(mask) == len(log)
    user, _ = log.events()
    rows_of_u0 = mask[user == log.users.ids(["u0"])[0]]
    assert rows_of_u0.tolist() == [True] * 6 + [False] * 3


def test_events_of_sessions_that_were_joined_since_are_not_new(served, capsys):
    """One session belongs to a new user, two to one user, and one to a user whom the old model knows."""
    folder, url = served
    fit_to_all(folder)
    saved = load(folder)
    with closing(open_store(url)) as store:
        for session, user in (("u0", "anna"), ("u1", "ben"), ("u2", "ben"), ("u3", "u4")):
            store.sessions.join(session, user)
        joined = store.sessions.joined()
    assert joined == {"u0": "anna", "u1": "ben", "u2": "ben", "u3": "u4"}
    log = read_log(url)
    assert trained_rows(saved, log, joined).sum() == len(saved.trained_rows())
    assert num_missing(saved, log, joined) == 0
    assert status(["retrain", str(folder), "--store", url]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the two cannot be compared" in said
    assert "are not among them" not in said


def test_a_user_keeps_the_metadata_of_the_old_log_and_of_a_joined_session():
    people = pl.DataFrame({"user": ["s1", "s2", "s3", "u"], "country": ["FR", "DE", "IT", "ES"]})
    rows = pl.DataFrame({"item": ["i", "j"], "time": [1, 2]})
    old = read_log(people.select("user").join(rows, how="cross"), users=people)
    new = read_log(pl.DataFrame({"user": ["anna", "u", "new"]}).join(rows, how="cross"))
    log = with_old_metadata(new, old, {"s1": "anna", "s2": "anna", "s3": "u"}, {})
    countries = dict(zip(log.users.tokens, log.user_metadata["country"], strict=True))
    assert countries == {"anna": "FR", "u": "ES", "new": None}


def test_what_a_shop_says_of_an_item_is_kept_whatever_its_type(served):
    """The old log has lists and whole numbers; the shop writes texts into both."""
    _, url = served
    tables = {"item": ["i0", "i1", "i2"], "genres": [["Drama", "War"], ["Crime"], None], "year": [1999, 2001, 2003]}
    log = read_log(url)
    old = read_log(pl.DataFrame(walk(0, 2, 1), ["user", "item", "time"], orient="row"), items=pl.DataFrame(tables))
    add(url, [], [Item("i0", columns={"genres": "Comedy", "year": "n/a"}), Item("i4", columns={"genres": ["A", "B"]})])
    merged = with_old_metadata(read_log(url), old, {}, read_store_items(url))
    rows = merged.item_metadata.select("genres", "year").rows()
    found = {name: row for name, row in zip(log.items.tokens, rows, strict=True) if row != (None, None)}
    assert found == {
        "i0": (["Comedy"], "n/a"),
        "i1": (["Crime"], "2001"),
        "i2": (None, "2003"),
        "i4": (["A", "B"], None),
    }


def shown(folder: Path) -> dict[str, tuple]:
    """Title and category of the items of a model."""
    items = load(folder).log.items.tokens
    table = load(folder).log.item_metadata.select("title", "category")
    return dict(zip(items, table.rows(), strict=True))


def test_what_a_shop_took_away_from_an_item_does_not_come_back(served):
    """Neither from the metadata of the model that learned it, nor with the training after the next one."""
    folder, url = served
    mine = {f"i{n}": {"title": f"Mine {n}", "columns": {"category": "alcohol"}} for n in range(5)}
    rule = {"kind": "exclude", "where": {"category": ["alcohol"]}}
    for again in range(3):
        assert status(["retrain", str(folder), "--store", url, "--always"]) == 0
        with TestClient(create_app(start_service(folder, url), Limits())) as client:
            if not again:  # the next model learns what the shop says now
                client.post("/v1/items", json={"items": [{"item": item, **said} for item, said in mine.items()]})
                client.put("/v1/rules/no-alcohol", json=rule)
                continue
            assert again == 2 or shown(folder)["i1"] == ("Mine 1", "alcohol")
            client.post("/v1/items", json={"item": "i1", "columns": {"category": None}})
            client.post("/v1/items", json={"item": "i2", "title": None})
            client.put("/v1/items", json={"item": "i3"})
            client.post("/v1/items", json={"item": "i4", "available": True})
            found = [client.get(f"/v1/items/i{n}").json() for n in range(1, 6)]
            titles = ["Mine 1", "i2", "i3", "Mine 4", "Item 5"]
            kinds = [{}, {"category": ["alcohol"]}, {}, {"category": ["alcohol"]}, {}]
            assert [one["title"] for one in found] == titles
            assert [one["columns"] for one in found] == kinds
            path = "/v1/popular?k=100&rules=false&where=category:alcohol"
            assert {one["item"] for one in client.get(path).json()["items"]} == {"i0", "i2", "i4"}
            popular = {one["item"] for one in client.get("/v1/popular?k=100").json()["items"]}
            assert popular == {f"i{n}" for n in range(20)} - {"i0", "i2", "i4"}
    assert status(["retrain", str(folder), "--store", url, "--always"]) == 0
    wanted = {"i0": ("Mine 0", "alcohol"), "i1": ("Mine 1", None), "i2": ("i2", "alcohol"), "i3": ("i3", None)}
    assert {item: row for item, row in shown(folder).items() if item in wanted} == wanted


def test_items_of_a_store_are_read_as_they_are_there(served):
    """No column is taken for the name, the year or the title of the items. A model keeps all of them."""
    folder, url = served
    said = {"item_id": "i5", "movie_id": "i6", "name": "N", "name_": "M", "year": "x", "split": "train"}
    add(url, [], [Item("i0", "Bond", said), Item("i1", None, {"item_id": "i0", "year": 7})])
    assert status(["retrain", str(folder), "--store", url, "--always"]) == 0
    log = read_log(url)
    assert load(folder).log.item_metadata.drop("title").equals(log.item_metadata.drop("title"))
    table = dict(zip(log.items.tokens, log.item_metadata.rows(named=True), strict=True))
    assert table["i0"] == {"title": "Bond", **said}
    assert table["i1"] == {"title": "i1", **dict.fromkeys(said), "item_id": "i0", "year": "7"}
    assert set(table["i2"].values()) == {"i2", None}


def test_dates_of_a_protocol_are_moved_to_the_unit_of_the_store(served):
    folder, url = served
    saved = load(folder)
    protocol = Protocol.from_dict({"name": "by-date", "by": "date", "arguments": {"date": START, "valid": 0.1}})
    experiment = Experiment(model="item-knn", protocol=protocol)
    saved.about["experiment"] = experiment.as_dict()
    assert retraining_experiment(saved, read_log(url)).protocol.arguments["date"] == START * 1_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": None}, "does not say how it was trained"),
        ({"by": "given"}, "a store does not"),
    ],
)
def test_what_cannot_be_trained_anew_is_said(served, change, message):
    from segue.errors import ConfigError

    folder, url = served
    saved = load(folder)
    if "by" in change:
        saved.about["experiment"]["protocol"] |= {"by": "given", "arguments": {"valid": 0.1}}
    else:
        del saved.about["experiment"]
    with pytest.raises(ConfigError, match=message):
        retraining_experiment(saved, read_log(url))


def test_a_store_that_is_not_there_is_an_error(served, tmp_path, capsys):
    folder, _ = served
    assert status(["retrain", str(folder), "--store", f"sqlite:///{tmp_path / 'nothing.db'}"]) == 2
    assert "there is no such file" in " ".join(capsys.readouterr().err.split())
