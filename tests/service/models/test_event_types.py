"""A service gives a model the types of a user's events, as the store has them."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segue import testing
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import DataError
from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.models.registry import MODELS
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.histories import Histories
from segue.service.users.history import History
from segue.service.users.history_import import import_histories
from segue.serving.recommend import recommend
from segue.serving.saved_model import load, save
from segue.serving.vocabulary_adapter import VocabularyAdapter
from segue.testing.subject import evaluation_batch


@pytest.fixture(scope="module")
def log() -> Log:
    log = synthetic.markov(30, 9, 8, seed=1)
    types = 1 + np.random.default_rng(2).integers(0, 2, len(log.item)).astype(np.int8)
    return replace(log, event_type=types, event_types=("view", "buy"))


@pytest.fixture(scope="module")
def model(log: Log) -> Any:
    return testing.subject(MODELS["sasrec"], event_types=True).train(log)


@pytest.fixture
def folder(model: Any, log: Log, tmp_path: Path) -> Path:
    return save(model, log, tmp_path / "model")


def test_types_of_a_service_are_those_of_recommend(model: Any, log: Log, folder: Path, tmp_path: Path) -> None:
    loaded = LoadedModel.load(folder)
    happened = [("3", "view"), ("unknown", "buy"), ("5", "buy"), ("4", "share"), ("2", "view")]
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        histories = Histories(store)
        for place, (item, kind) in enumerate(happened[::2]):
            store.events.append([Event("u", item, 10**15 + 2 * place, kind)])
        read = histories.get("u")
        late = [Event("u", item, 10**15 + 2 * place + 1, kind) for place, (item, kind) in enumerate(happened[1::2])]
        histories.apply(store.events.append(late).changes)  # a late event takes its place in time, with its type
        history = histories.get("u")
        assert list(zip(read.items, read.types, strict=True)) == happened[::2]
        assert list(zip(history.items, history.types, strict=True)) == happened
    answer = asyncio.run(loaded.ask(None, history, k=4))
    query = loaded.query(None, history)
    assert query.types is not None
    assert query.types.tolist() == [1, 2, 0, 1], "of the known items; 0 for a type that the model does not know"
    two = recommend(model, log, history=["3", "5"], types=["view", "buy"], k=4)
    asked = asyncio.run(loaded.ask(None, replace_history(history, [0, 2]), k=4))
    assert asked.scores == pytest.approx([one.score for one in two], abs=1e-5)
    other = recommend(model, log, history=["3", "5"], types=["buy", "buy"], k=4)
    assert answer.scores != asked.scores
    assert [one.score for one in other] != pytest.approx(asked.scores, abs=1e-5), "the types change the scores"
    brought = asyncio.run(loaded.ask(None, History(items=["3", "5"]), k=4))
    assert brought.scores == pytest.approx([one.score for one in recommend(model, log, history=["3", "5"], k=4)])


def replace_history(history: History, places: list[int]) -> History:
    return History(items=[history.items[p] for p in places], types=[history.types[p] for p in places])


def test_imported_events_have_their_types(log: Log, folder: Path, tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        imported = import_histories(store, load(folder), wanted=True)
        assert imported is not None
        assert imported.events == len(log)
        assert not store.imports.has_events(), "none has the type of events that had none"
        history = Histories(store).get("7")
    rows = slice(log.start[7], log.stop[7])
    assert list(history.items) == [str(item) for item in log.item[rows]]
    assert list(history.types) == [log.event_types[kind - 1] for kind in log.known_event_types[rows]]


def test_types_of_another_vocabulary_are_matched_by_name(model: Any, log: Log) -> None:
    batch = evaluation_batch(log, model)
    other = VocabularyAdapter(model, log, log.users, log.items, event_types=("buy", "gift", "view")).eval()
    assert batch.types is not None
    renamed = replace(batch, types=(4 - batch.types) % 4 - (batch.types == 2).long())  # view 1 -> 3, buy 2 -> 1
    assert renamed.types is not None
    assert set(renamed.types[batch.types == 1].tolist()) == {3}
    assert set(renamed.types[batch.types == 2].tolist()) == {1}
    np.testing.assert_allclose(other.score(renamed).detach(), model.score(batch).detach(), atol=1e-6)
    gifts = replace(batch, types=2 * (batch.types > 0))
    np.testing.assert_allclose(
        other.score(gifts).detach(), model.score(replace(batch, types=0 * batch.types)).detach(), atol=1e-6
    )


def test_wrong_types_of_a_history_are_refused(model: Any, log: Log) -> None:
    with pytest.raises(DataError, match=r"unknown type of event 'by', did you mean 'buy'.* has: view, buy"):
        recommend(model, log, history=["3"], types=["by"])
    with pytest.raises(DataError, match="2 types for 1 items of the history"):
        recommend(model, log, history=["3"], types=["buy", "buy"])
    with pytest.raises(DataError, match=r"has no types of events; read it with their column.*--event-col"):
        testing.subject(MODELS["sasrec"], event_types=True).build(replace(log, event_type=None, event_types=()))
