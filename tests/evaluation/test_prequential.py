"""Test-then-train: what is learnt before each instance and forgotten afterwards, and when models are trained anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import Ranks
from segue.experiments.blend import blend
from segue.experiments.experiment import Experiment
from segue.experiments.newer_events import newer_protocol
from segue.experiments.rerank import rerank
from segue.models.base.model import Sizes
from segue.models.hybrid.model import Hybrid
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.neighbours.learnt_counts import LearntCounts
from segue.models.popularity.pop import Pop
from segue.serving.saved_model import load, save

PREQUENTIAL = Protocol.named("prequential").with_cut_offs((5,))
HOUR = 3600


def timed_log(seed: int = 0) -> Log:
    """20 users with 3 to 9 events over three days, many at the same time, each user in order."""
    rng = np.random.default_rng(seed)
    log = synthetic.from_sequences([rng.integers(1, 7, rng.integers(3, 10)).tolist() for _ in range(20)], num_items=6)
    time = np.concatenate([np.sort(rng.integers(0, 24, n)) * 3 * HOUR for n in log.lengths[1:]])
    return replace(log, time=time.astype(np.int64) + 1_400_000_000 // (24 * HOUR) * 24 * HOUR)


def fitted(log: Log, kind: type[Pop] = Pop) -> Pop:
    model = kind(kind.configure(), Sizes.of(log))
    model.fit(log)
    return model


class Recorder(Pop):
    """Popularity that notes what it learns and what it is asked."""

    name = "recorder"
    learnt: ClassVar[list[int]] = []
    earlier: ClassVar[list[int]] = []
    asked: ClassVar[list[tuple[int, int]]] = []

    def update(self, histories: Sequence[Sequence[int]], items: Sequence[int], *, count: int = 1) -> None:
        super().update(histories, items, count=count)
        self.learnt.extend(items)
        self.earlier.extend(histories[0])

    def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
        self.asked.append((int(batch.user[0]), len(self.learnt)))
        return super().score(batch, items)


def test_each_row_is_learnt_after_it_was_asked_for_and_before_the_next_one() -> None:
    log = timed_log()
    split = PREQUENTIAL.split(log)
    model = fitted(split.train, Recorder)
    before = model.count.clone()
    Recorder.learnt.clear()
    Recorder.asked.clear()
    ranks = PREQUENTIAL.evaluate(model, split, "test")
    assert torch.equal(model.count, before)

    user, _ = log.events()
    test = [int(row) for row in log.rows() if row >= split.test[user[row]]]
    in_order = sorted(test, key=lambda row: (log.known_times[row], row))
    asked = [(int(user[row]), place) for place, row in enumerate(in_order) if row > log.start[user[row]]]
    assert Recorder.asked == asked
    assert Recorder.learnt == log.item[in_order[: asked[-1][1]]].tolist()
    assert isinstance(ranks, Ranks)
    assert ranks.user.tolist() == [owner for owner, _ in asked]


def test_figures_are_those_of_a_count_of_all_rows_before_each_instance() -> None:
    log = timed_log(3)
    split = PREQUENTIAL.split(log)
    ranks = PREQUENTIAL.evaluate(fitted(split.train), split, "test")
    assert isinstance(ranks, Ranks)
    assert ranks.row is not None
    user, _ = log.events()
    rows, time = log.rows(), log.known_times
    is_learnt = (rows < split.valid[user]) | (rows >= split.test[user])
    for rank, row in zip(ranks.rank, ranks.row, strict=True):
        is_before = np.array([(time[other], other) < (time[row], row) for other in rows])
        assert rank == rank_of(log, rows[is_learnt & is_before], row)


def rank_of(log: Log, rows: np.ndarray, target_row: int) -> int:
    """The rank of the item of a row among the items by their number of events in other rows."""
    count, target = np.bincount(log.item[rows], minlength=7), log.item[target_row]
    return min(1 + int((np.delete(count[1:], target - 1) >= count[target]).sum()), 21)


def test_rows_of_cold_items_are_never_learnt() -> None:
    log = timed_log(5)
    protocol = PREQUENTIAL.with_settings({"cold_items": 0.5, "arguments": {"valid": 0.2, "test": 0.5}})
    split = protocol.split(log)
    assert split.cold is not None
    cold = np.flatnonzero(split.cold)
    Recorder.learnt.clear()
    Recorder.earlier.clear()
    protocol.evaluate(fitted(split.train, Recorder), split, "test")
    assert Recorder.learnt
    assert not np.isin([*Recorder.learnt, *Recorder.earlier], cold).any()

    retrained = protocol.with_settings({"retrain": "hourly"})
    ranks = Experiment(model="pop", protocol=retrained).run(log).result.predictions
    assert isinstance(ranks, Ranks)
    assert ranks.row is not None
    is_cold = np.isin(log.item[ranks.row], cold)
    assert is_cold.any()
    assert (ranks.rank[is_cold] > 3).all()  # behind the three others, all of which have events


def test_a_model_whose_events_count_by_their_types_is_not_updated() -> None:
    """The test goes by without its learning, which could not tell the types of the new events."""
    log = timed_log()
    log = replace(log, event_type=np.arange(len(log.item), dtype=np.int8) % 2 + 1, event_types=("view", "buy"))
    for kind in (Pop, LearntCounts, Hybrid):
        config = kind.configure({"event_weights": "view=0,buy=1"})
        model = kind(config, Sizes.of(log, config))
        assert not model.can_update
        assert kind(kind.configure(), Sizes.of(log)).can_update
    model = Pop(Pop.configure({"event_weights": "view=0,buy=1"}), Sizes.of(log))
    split = PREQUENTIAL.split(log)
    model.fit(split.train)
    ranks = PREQUENTIAL.rank(model, split, "test")
    learns_nothing = PREQUENTIAL.with_settings({"update": False}).rank(model, split, "test")
    assert ranks.row is not None
    assert np.array_equal(ranks.rank[np.argsort(ranks.row)], learns_nothing.rank)
    with pytest.raises(ConfigError, match="pop: cannot learn single events"):
        model.update([[1]], [2])


def test_the_validation_and_other_protocols_learn_nothing() -> None:
    log = timed_log()
    split = PREQUENTIAL.split(log)
    model = fitted(split.train, Recorder)
    Recorder.learnt.clear()
    PREQUENTIAL.evaluate(model, split, "valid")
    PREQUENTIAL.with_settings({"update": False}).evaluate(model, split, "test")
    assert not Recorder.learnt


def test_the_model_is_as_before_even_after_an_error() -> None:
    class Broken(Pop):
        name = "broken"
        limit: ClassVar[int] = 0

        def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
            if int(self.count.sum()) > self.limit:
                raise DataError("stop")
            return super().score(batch, items)

    log = timed_log()
    split = PREQUENTIAL.split(log)
    model = fitted(split.train, Broken)
    before = model.count.clone()
    Broken.limit = int(before.sum()) + 2
    with pytest.raises(DataError, match="stop"):
        PREQUENTIAL.evaluate(model, split, "test")
    assert torch.equal(model.count, before)


@pytest.mark.parametrize(("retrain", "seconds"), [("hourly", HOUR), ("nightly", 24 * HOUR)])
def test_models_are_trained_anew_on_all_rows_before_each_later_period(retrain: str, seconds: int) -> None:
    log = timed_log(5)
    protocol = PREQUENTIAL.with_settings(
        {"retrain": retrain, "update": False, "arguments": {"valid": 0.2, "test": 0.5}}
    )
    outcome = Experiment(model="pop", protocol=protocol).run(log)
    ranks = outcome.result.predictions
    assert isinstance(ranks, Ranks)
    assert ranks.row is not None
    assert ranks.dropped == outcome.split.instances("test").dropped
    rows, time = log.rows(), log.known_times
    first = time[ranks.row].min() // seconds
    assert len({int(moment) // seconds for moment in time[ranks.row]}) > 1
    for rank, row in zip(ranks.rank, ranks.row, strict=True):
        known = rows[time[rows] < time[row] // seconds * seconds]
        assert rank == rank_of(log, outcome.split.train.rows() if time[row] // seconds == first else known, row)
    assert (np.diff(time[ranks.row]) >= 0).all()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("leave-one-out", {"update": True}, "update=true: models learn the test part while it goes by"),
        ("session", {"retrain": "nightly"}, "retrain=nightly: models learn the test part"),
        ("prequential", {"horizon": 2}, "update=true"),
        ("prequential", {"targets": ("buy",)}, "no targets; or set update=false \\(--no-update\\)"),
        ("prequential", {"leak": "drop"}, "update=true: .*leak=keep"),
        ("prequential", {"retrain": "daily"}, "'daily'.*nightly"),
        ("global-time", {"update": "yes"}, "must be true or false"),
    ],
)
def test_settings_that_do_not_fit_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Protocol.named(name).with_settings(settings)


def test_a_trained_model_cannot_be_trained_anew_by_its_evaluation() -> None:
    log = timed_log()
    protocol = PREQUENTIAL.with_settings({"retrain": "nightly"})
    split = protocol.split(log)
    with pytest.raises(ConfigError, match="retrain=nightly: a model that is trained already cannot be trained anew"):
        protocol.evaluate(fitted(split.train), split, "test")


def test_two_models_cannot_be_trained_anew_together() -> None:
    log, protocol = timed_log(), PREQUENTIAL.with_settings({"retrain": "nightly"})
    one, two = (Experiment(model=name, protocol=protocol, monitor="ndcg@5") for name in ("pop", "item-knn"))
    with pytest.raises(ConfigError, match="retrain=nightly: a blend cannot be trained anew"):
        blend(one, two, log)
    with pytest.raises(ConfigError, match="retrain=nightly: a model of two stages cannot be trained anew"):
        rerank(one, two, log)


def test_a_saved_model_is_not_trained_anew_on_newer_events(tmp_path: Path) -> None:
    log, protocol = timed_log(), PREQUENTIAL.with_settings({"retrain": "nightly"})
    outcome = Experiment(model="pop", protocol=protocol, monitor="ndcg@5").run(log)
    saved = load(save(outcome.model, log, tmp_path / "model", **outcome.about()))
    newer = newer_protocol(saved, after=int(log.known_times.max()))
    assert (newer.update, newer.retrain) == (True, "never")


def test_a_model_that_cannot_learn_single_events_says_so() -> None:
    log = timed_log()
    model = ItemKNN(ItemKNN.configure(), Sizes.of(log))
    assert not model.can_update
    with pytest.raises(ConfigError, match="item-knn: cannot learn single events; train it anew"):
        model.update([[1]], [2])


def test_global_time_is_prequential_without_updates() -> None:
    plain = Protocol.named("global-time").with_cut_offs((5,))
    assert PREQUENTIAL.with_settings({"update": False}).fingerprint == plain.fingerprint
    assert PREQUENTIAL.fingerprint != plain.fingerprint


@pytest.mark.parametrize("kind", [Pop, LearntCounts])
@pytest.mark.parametrize(
    ("histories", "items"),
    [([[1]], [0]), ([[1]], [-1]), ([[99]], [1]), ([[-1, 2]], [1]), ([[1]], [99])],
)
def test_ids_of_no_items_are_not_learnt(kind: Any, histories: Any, items: Any) -> None:
    log = timed_log()
    model = fitted(log, kind)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(
        ConfigError, match=r"an event to learn, .*needs ids of items from 1 to 6; `log.items.ids\(names\)`"
    ):
        model.update([[1, 2], *histories], [2, *items])
    with pytest.raises(ConfigError, match="2 histories of the events of 1 items"):
        model.update([[1], [2]], [1])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
