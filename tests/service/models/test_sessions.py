"""A service, lists of many users and an evaluation on newer events tell sessions apart as the training did."""

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
from segue.data.sessions import SessionRule
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.experiments.experiment import Experiment
from segue.experiments.newer_events import evaluate_newer
from segue.models.base.score_buffer import instance_batch
from segue.models.registry import MODELS
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.histories import Histories
from segue.service.users.history import History
from segue.serving.export import export_model
from segue.serving.query import make_batch, user_query
from segue.serving.recommend import recommend
from segue.serving.saved_model import load, save

LOG = synthetic.markov(30, 9, 8, seed=1)  # its times are seconds since 1970, up to a day apart
GAP = 40_000
READS = {"sessions": "positions", "session_gap": GAP}


@pytest.fixture(scope="module")
def model() -> Any:
    return testing.subject(MODELS["sasrec"], **READS).train(LOG)


def test_sessions_of_a_service_are_those_of_recommend(model: Any, tmp_path: Path) -> None:
    loaded = LoadedModel.load(save(model, LOG, tmp_path / "model"))
    assert load(tmp_path / "model").model.session_rule == SessionRule(GAP)
    times = [0, 100, GAP + 101, GAP + 300, 4 * GAP]
    happened = list(zip(["3", "unknown", "5", "4", "2"], times, strict=True))
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        store.events.append([Event("u", item, 10**15 + 10**6 * time) for item, time in happened])
        history = Histories(store).get("u")
    query = loaded.query(None, history)
    batch = make_batch(loaded.model, loaded.saved.log, [query], 6)
    assert batch.sessions is not None
    assert batch.sessions.tolist() == [[0, 0, 1, 2, 2, 3]]
    answer = asyncio.run(loaded.ask(None, history, k=4))
    known = {"history": ["3", "5", "4", "2"], "k": 4}
    asked = recommend(model, LOG, times=[10**9 + times[place] for place in (0, 2, 3, 4)], **known)
    assert answer.scores == pytest.approx([one.score for one in asked], abs=1e-5)
    unknown = recommend(model, LOG, **known)
    assert [one.score for one in unknown] != pytest.approx(answer.scores, abs=1e-5), "sessions change the scores"
    brought = asyncio.run(loaded.ask(None, History(items=["3", "5", "4", "2"]), k=4))
    assert brought.scores == pytest.approx([one.score for one in unknown], abs=1e-5)


@pytest.mark.parametrize("gap", [GAP, None])
def test_a_user_of_the_log_has_the_sessions_of_the_evaluation(gap: int | None) -> None:
    log = replace(LOG, session=SessionRule(GAP).numbers(LOG))
    model = testing.subject(MODELS["sasrec"], sessions="starts", session_gap=gap).train(log)
    instances = Protocol.named("leave-one-out").split(log).instances("test")
    expected = instance_batch(model, instances)
    for user, row, sessions in zip(instances.user, instances.row, expected.sessions, strict=True):
        past = log.until(np.where(np.arange(log.num_users + 1) == user, row, log.stop))
        batch = make_batch(model, past, [user_query(past, int(user))], 50)
        assert batch.sessions[0].tolist() == sessions.tolist()


def test_a_history_without_times_has_no_sessions(model: Any) -> None:
    query = replace(user_query(LOG, 3), times=None)
    assert not make_batch(model, LOG, [query], 5).sessions.any()


def test_sessions_that_a_log_names_are_not_those_of_another_source(tmp_path: Path) -> None:
    log = replace(LOG, session=SessionRule(GAP).numbers(LOG))
    protocol = Protocol.named("leave-one-out")
    settings = {"sessions": "starts", "epochs": 1, "embedding_dim": 4}
    outcome = Experiment(model="sasrec", protocol=protocol, settings=settings).run(log)
    save(outcome.model, log, tmp_path / "model", **outcome.about())
    with pytest.raises(ConfigError, match="sasrec reads the sessions that its log names, and a service does not know"):
        LoadedModel.load(tmp_path / "model")
    later = replace(log, name="later", time=log.known_times + 10**8)
    with pytest.raises(ConfigError, match="reads the sessions that its log names, and those of two logs cannot be mat"):
        evaluate_newer([load(tmp_path / "model")], later)


def test_newer_events_continue_the_sessions(tmp_path: Path) -> None:
    first = LOG.until(np.maximum(LOG.start, LOG.stop - 2))
    outcome = Experiment(model="sasrec", protocol=Protocol.named("leave-one-out"), settings={**READS, "epochs": 1}).run(
        first
    )
    save(outcome.model, first, tmp_path / "model", **outcome.about())
    found = evaluate_newer([load(tmp_path / "model")], LOG)
    merged = found.split.log
    assert (merged.num_users, found.results[0].items) == (LOG.num_users, LOG.num_items)
    np.testing.assert_array_equal(SessionRule(GAP).numbers(merged), SessionRule(GAP).numbers(LOG))


def test_an_exported_network_has_no_sessions(model: Any, tmp_path: Path) -> None:
    save(model, LOG, tmp_path / "model")
    exported = export_model(load(tmp_path / "model"), tmp_path / "exported")
    assert exported.why_not == "sasrec reads sessions, and an exported network takes items alone"
