"""The hybrid: what each part learns from, what the pool learns from, and its settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch
from segue.cli.saved_model_facts import model_text
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.model import Sizes
from segue.models.base.score_buffer import instance_batch
from segue.models.base.search_space import Choice
from segue.models.hybrid.model import Hybrid
from segue.models.sequential.core import CORE
from segue.service.retraining.retrain import retraining_experiment
from segue.serving.saved_model import load, save
from segue.training.loop import fit
from segue.tuning.comparison import Comparison
from segue.tuning.search import Search

LOG = synthetic.markov(60, 15, 12, seed=1, shortest=3)


def build(log: Log = LOG, **settings: Any) -> Hybrid:
    torch.manual_seed(0)
    config = Hybrid.configure({"epochs": 1, "held_out_share": 0.2, "embedding_dim": 8, **settings})
    return Hybrid(config, Sizes.of(log, config))


def train(log: Log = LOG, *, exclude_seen: bool | None = None, **settings: Any) -> Hybrid:
    model = build(log, **settings)
    model.exclude_seen = exclude_seen
    fit(model, log)
    return model.eval()


def test_the_network_is_the_one_trained_by_itself_without_the_rows_held_out() -> None:
    model = train(epochs=3)
    assert model._held_out is not None
    training = model._held_out.training
    assert 0 < len(LOG) - len(training) <= 0.2 * len(LOG)
    alone = build(epochs=3).network
    fit(alone, training)
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, alone.state_dict()[key]), key


def test_rows_are_held_out_of_the_counts_exactly() -> None:
    """What the counts say of a held-out row is what they say when the log is counted without the user."""
    model = train()
    assert model._held_out is not None
    held_out = model._held_out
    for index in range(0, len(held_out.instances), 5):
        one = held_out.instances.take(np.array([index]))
        stop = LOG.stop.copy()
        stop[one.user] = LOG.start[one.user]
        other = build()
        other.counts.load_state_dict(model.counts.state_dict())
        recounted = build()
        recounted.counts.fit(LOG.until(stop))
        for weight, learnt in zip(recounted.counts.parameters(), other.counts.parameters(), strict=True):
            weight.data.copy_(learnt)
        scores = recounted.counts.score(instance_batch(recounted.counts, one))
        expected = scores[:, 1:].log_softmax(1)
        stored = held_out.fixed[0].log_probabilities[index : index + 1, 1:].float()
        torch.testing.assert_close(stored, expected, atol=0.02, rtol=0.002)  # in half precision


def test_scores_are_those_of_the_pool_of_both_parts() -> None:
    model = train()
    batch = instance_batch(model, _instances(LOG))
    counts = model.counts.score(batch.last_events(50))[:, 1:].log_softmax(1)
    network = model.network.score(model.network.readable(batch))[:, 1:].log_softmax(1)
    scores = model.score(batch)[:, 1:]
    model.pool.weight.copy_(torch.tensor([50.0, 0.0]))
    for weight in (model.pool.weight_of_features, model.pool.log_tau_of_features, model.pool.log_temperature):
        weight.zero_()
    assert torch.equal(model.score(batch)[:, 1:].argsort(1), counts.argsort(1))
    model.pool.weight.copy_(torch.tensor([0.0, 50.0]))
    assert torch.equal(model.score(batch)[:, 1:].argsort(1), network.argsort(1))
    assert not torch.equal(scores.argsort(1), counts.argsort(1))


def test_a_search_is_that_of_the_network() -> None:
    compared = Comparison(models=("hybrid", "core"), protocol=Protocol.named("leave-one-out"), trials=3)
    assert compared.search("hybrid").space == compared.search("core").space == dict(CORE.space)
    experiment = Experiment(model="hybrid", settings={"network": "gru"}, protocol=compared.protocol)
    assert Search(experiment=experiment, space={"dropout": Choice("0.1")}).space == {"dropout": Choice(0.1)}
    with pytest.raises(ConfigError, match="dropout='2': must be"):
        Search(experiment=experiment, space={"dropout": Choice("2")})


def test_neighbours_are_a_third_part() -> None:
    model = train(neighbours="vs-knn")
    assert [part.name for part in model.parts] == ["learnt-counts", "vs-knn", "core"]
    assert model._held_out is not None
    assert len(model._held_out.fixed) == 2
    # they end with all rows, and the pool was learnt while they lacked those held out
    alone = build(neighbours="vs-knn").neighbours
    assert alone is not None
    alone.fit(LOG)
    batch = instance_batch(model, _instances(LOG))
    assert model.neighbours is not None
    assert torch.equal(model.neighbours.score(batch), alone.score(batch))


def test_items_of_the_history_are_no_candidates_where_they_are_excluded() -> None:
    """A pool that never sees a repeated target learns from the other rows alone."""
    cycle = synthetic.from_sequences([[1, 2, 3, 1, 2, 3, 4, 5] for _ in range(40)], num_items=5)
    model = train(cycle, exclude_seen=True)
    assert model._held_out is not None
    values = model._held_out.fixed[0].log_probabilities
    batch = instance_batch(model, model._held_out.instances)
    assert (values.gather(1, batch.history) == -torch.inf).all()
    assert torch.isfinite(model.pool.weight).all()
    assert model.score(batch)[:, 1:].isfinite().all()


def test_settings_of_the_network_are_given_by_their_own_names() -> None:
    model = build(network="gru", embedding_dim=12, dropout="0.25")
    assert model.network.name == "gru"
    assert (model.network.config.embedding_dim, model.network.config.dropout) == (12, 0.25)
    config = model.config
    assert Hybrid.configure(config.as_dict()) == config
    assert config.as_dict()["network_settings"] == {"embedding_dim": 12, "dropout": 0.25}
    other = Hybrid.configure({"network_settings": {"dropout": 0.1}, "embedding_dim": 12})
    assert (other.network_config.dropout, other.network_config.embedding_dim) == (0.1, 12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"dropuot": 0.1},
            r"unknown setting 'dropuot', did you mean 'dropout'\?; known to the hybrid and to core: .*dropout",
        ),
        ({"dropout": 2}, r"dropout=2: must be at least 0 and below 1"),
        ({"network": "pop"}, "network=pop: must be a model that is trained in epochs"),
        ({"network": "iarn"}, "network=iarn: must be a model"),
        ({"network": "cor"}, "no model 'cor'"),
        ({"network_settings": {"epochs": 3}}, "network_settings: epochs is a setting of the hybrid itself"),
        ({"network_settings": '{"epochs": 3}'}, "must be names with values; give each setting of the network by its"),
        ({"neighbours": "gru"}, "neighbours=gru: must be another model that is fitted in one step"),
        ({"neighbours": "learnt-counts"}, "neighbours=learnt-counts: must be another model"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Hybrid.configure(settings)


@pytest.mark.parametrize("neighbours", [None, "vs-knn", "pop"])
def test_a_saved_hybrid_is_one_model_that_is_loaded_and_trained_anew(tmp_path: Path, neighbours: str | None) -> None:
    settings = {"epochs": 1, "embedding_dim": 8, "network": "gru", "neighbours": neighbours}
    outcome = Experiment(model="hybrid", protocol=Protocol.named("leave-one-out"), settings=settings).run(LOG)
    saved = load(save(outcome.model, LOG, tmp_path / "model", **outcome.about()))
    batch = instance_batch(saved.model, _instances(LOG))
    assert torch.equal(saved.model.score(batch), outcome.model.eval().score(batch))
    assert model_text(saved.about) == "hybrid"
    again = retraining_experiment(saved, LOG)
    assert (again.model, again.build(LOG).config) == ("hybrid", outcome.model.config)


def test_a_network_that_learns_from_impressions_needs_them() -> None:
    settings = {"network": "sasrec", "negative_sampling": "impressions", "loss": "bce"}
    assert Hybrid.configure(settings).draws_from_shown
    with pytest.raises(DataError, match="has no impressions; read it with their column"):
        build(**settings)


def test_a_log_of_single_events_has_nothing_to_hold_out() -> None:
    model = build()
    model.end_epoch(synthetic.from_sequences([[1], [2], [3]] * 20, num_items=15))
    assert torch.equal(model.pool.weight, build().pool.weight)
    assert model.score(Batch(torch.tensor([0]), torch.tensor([[1]])))[:, 1:].isfinite().all()


def test_event_weights_are_those_of_all_parts() -> None:
    types = (1 + np.arange(len(LOG.item)) % 2).astype(np.int8)
    log = replace(LOG, event_type=types, event_types=("view", "buy"))
    model = train(log, event_weights="view=0,buy=1")
    assert model.counts.config.event_weights == model.network.config.event_weights == ("view=0", "buy=1")
    assert float(model.counts.target_count.sum()) == int((log.column(types) == 2).sum())


def test_features_of_items_are_those_of_the_network() -> None:
    log = synthetic.with_features(LOG)
    column = next(name for name in log.item_metadata.columns if name not in ("item", "title"))  # type: ignore[union-attr]
    model = train(log, features=column)
    assert isinstance(model.network, CORE)
    assert model.sizes.num_features == model.network.sizes.num_features > 0


def _instances(log: Log) -> Any:
    from segue.data.splits import leave_last_out

    return leave_last_out(log).instances("test")
