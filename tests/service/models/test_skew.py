"""What is served is what was measured: the test replayed event by event through HTTP gives the ranks of evaluation."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from segue.data.datasets.catalog import load_log
from segue.data.log import Log
from segue.data.splits import Split
from segue.data.synthetic import from_sequences
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.experiments.experiment import Experiment
from segue.models.base.model import Model
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.start import start_service
from segue.serving.saved_model import save
from segue.serving.top_items import EQUAL_SCORES

LIST = 100  # long enough for ties behind the depth of the ranks
NO_HISTORY = "the history is empty"
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS: Mapping[str, dict[str, Any]] = {  # a counting, a recurrent and an attention model
    "item-knn": {},
    "gru": {"embedding_dim": 16, "epochs": 1, "window": 8},
    "sasrec": {"embedding_dim": 16, "epochs": 1, "window": 8},
}


def trained(model: str, log: Log, protocol: Protocol) -> tuple[Model, Split, Mapping[str, Any]]:
    outcome = Experiment(model=model, protocol=protocol, settings=KINDS[model]).run(log)
    return outcome.model, outcome.split, outcome.about()


@contextmanager
def served(model: Model, split: Split, about: Mapping[str, Any], folder: Path) -> Iterator[TestClient]:
    """A service whose store begins with the events before the test."""
    save(model, split.train_valid, folder / "model", **about)
    service = start_service(folder / "model", f"sqlite:///{folder / 'events.db'}")
    with TestClient(create_app(service, Limits())) as client:
        yield client


def replay(client: TestClient, split: Split, protocol: RankingProtocol, model: Model, most: int) -> tuple[int, int]:
    """Ask before each event of the test, then send it; all lists of the model must be those measured.

    Returns the number of lists, and of those among them that are the model's. The others are of popular items, because
    the user had no events yet or because the model gives all items the same score.

    The rank of every target must be the measured one. The lists may differ in items whose scores are equal but for
    rounding, because a product of matrices rounds differently for one row and for a block of rows.
    """
    log, ranks = split.log, protocol.rank(model, split, "test")
    assert ranks.row is not None
    instances = {int(row): number for number, row in enumerate(ranks.row)}
    known = split.train_valid.lengths
    asked, compared, users = 0, 0, np.unique(ranks.user)
    for user in users[: max(1, most)]:
        name = str(log.users.names([user])[0])
        rows = range(log.start[user] + known[user], log.stop[user])
        for row in rows:
            number = instances.get(row)
            item = str(log.items.names([log.item[row]])[0])
            if number is not None:
                asked += 1
                answer = client.get("/v1/recommend", params={"user": name, "k": LIST}).json()
                top = ranks.top[number]
                measured = [str(token) for token in log.items.names(top[top > 0])]
                if answer["fallback"] is None:
                    check_list(answer["items"], measured)
                    assert ranks.offsets[number + 1] == ranks.offsets[number] + 1
                    assert rank_of(item, answer["items"], protocol.depth) == ranks.rank[ranks.offsets[number]]
                    compared += 1
                else:
                    assert answer["fallback"] == (NO_HISTORY if row == log.start[user] else EQUAL_SCORES)
            time = (START + timedelta(seconds=int(row))).isoformat()
            sent = client.post("/v1/events", json={"user": name, "item": item, "time": time, "id": f"row {row}"})
            assert sent.json() == {"stored": 1, "duplicates": 0}
    return asked, compared


def rank_of(target: str, items: list[dict[str, Any]], depth: int) -> int:
    """The rank of a target in a served list, behind all items of the same score; depth + 1 below."""
    score = next((one["score"] for one in items if one["item"] == target), math.inf)
    return min(sum(one["score"] >= score for one in items) or depth + 1, depth + 1)


def check_list(items: list[dict[str, Any]], measured: list[str]) -> None:
    scores = {one["item"]: one["score"] for one in items}
    for one, other in zip(items, measured, strict=False):
        if one["item"] != other:
            assert math.isclose(one["score"], scores[other], rel_tol=1e-5, abs_tol=1e-6), (one, other)
    assert len(items) >= len(measured)


def protocol_of(name: str) -> RankingProtocol:
    return RankingProtocol.named(name)


@pytest.fixture(scope="module")
def sessions() -> Log:
    rng = np.random.default_rng(5)
    walks = [rng.integers(0, 40) + np.cumsum(rng.integers(0, 3, rng.integers(4, 25))) for _ in range(60)]
    times = [np.arange(len(walk)) + 1_000 * number for number, walk in enumerate(walks)]
    return from_sequences([(walk % 40 + 1).tolist() for walk in walks], times=[time.tolist() for time in times])


@pytest.mark.parametrize("name", ["leave-one-out", "whole-users"])
@pytest.mark.parametrize("model", KINDS)
def test_served_lists_are_the_measured_ones(model, name, sessions, tmp_path):
    protocol = protocol_of(name)
    fitted, split, about = trained(model, sessions, protocol)
    with served(fitted, split, about, tmp_path) as client:
        asked, compared = replay(client, split, protocol, fitted, most=1_000)
        assert asked == compared == len(protocol.rank(fitted, split, "test").user) > 40


@pytest.mark.slow
@pytest.mark.parametrize(("data", "name"), [("ml-100k", "leave-one-out"), ("yoochoose-64", "given")])
@pytest.mark.parametrize("model", KINDS)
def test_served_lists_are_the_measured_ones_on_real_logs(model, data, name, tmp_path):
    if not os.environ.get("SEGUE_DATA"):
        pytest.skip("SEGUE_DATA names no folder with the logs")
    protocol = protocol_of(name)
    fitted, split, about = trained(model, load_log(data), protocol)
    with served(fitted, split, about, tmp_path) as client:
        asked, compared = replay(client, split, protocol, fitted, most=int(os.environ.get("SEGUE_REPLAY", "2000")))
        assert asked > 500
        assert compared >= 0.9 * asked
