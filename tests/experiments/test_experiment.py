"""Experiments: validation chooses the epoch, the test set is evaluated once, all settings are recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.experiments.outcome import Outcome, about_training
from segue.models.base.model import Model
from segue.serving.saved_model import load, save
from segue.training.loop import fit
from segue.training.state import Epoch, Training

LOG = synthetic.markov(60, 15, 12, seed=1, shortest=4)
LAST = Protocol.named("leave-one-out")


def experiment(model: str = "bprmf", **changes: Any) -> Experiment:
    small = {"embedding_dim": 4, "epochs": 6, "batch_size": 64, "lr": 0.05} if model in ("hgn", "bprmf") else {}
    return Experiment(**{"model": model, "protocol": LAST, "settings": small, **changes})


def assert_same(one: Model, two: Model) -> None:
    for key, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[key]), key


def changed(log: Log, first: np.ndarray) -> Log:
    """The same log with every row from `first` (U + 1,) on replaced by other items."""
    item = log.item.copy()
    for user in range(1, log.num_users + 1):
        rows = slice(first[user], log.stop[user])
        item[rows] = log.num_items + 1 - item[rows]
    return replace(log, item=item)


# ---------------------------------------------------------------------------------------- run


@pytest.mark.parametrize("model", ["pop", "item-knn", "bprmf", "hgn"])
@pytest.mark.parametrize("refit", [False, True])
def test_any_model_runs(model: str, refit: bool) -> None:
    outcome = experiment(model, refit=refit, baseline=True).run(LOG)
    assert isinstance(outcome, Outcome)
    result = outcome.result
    assert (result.model, result.log, result.items, result.baseline) == (model, LOG.fingerprint, LOG.num_items, True)
    assert 0 < measure(result.predictions, "ndcg@10").mean() < 1
    assert len(result.predictions) + sum(result.predictions.dropped.values()) >= LOG.num_users
    assert (result.seconds, result.cpu_seconds) == (outcome.training.seconds, outcome.training.cpu_seconds)
    assert result.test_cpu_seconds is not None
    assert result.test_cpu_seconds > 0
    assert result.peak_mb is None or result.peak_mb >= (outcome.training.peak_mb or 0) > 0


@pytest.mark.parametrize("refit", [False, True])
def test_popularity_is_counted_on_the_rows_that_the_model_was_trained_on(refit: bool) -> None:
    split = LAST.split(LOG)
    outcome = experiment("pop", refit=refit).run(LOG)
    expected = (split.train_valid if refit else split.train).counts()
    assert np.array_equal(outcome.result.counts, expected)
    assert outcome.model.count.tolist() == expected.tolist()


def test_the_best_epoch_on_validation_is_tested() -> None:
    one = experiment()
    outcome = one.run(LOG)
    training = outcome.training
    split = LAST.split(LOG)
    assert training.metric == max(epoch.metric for epoch in training.epochs if epoch.metric is not None)
    again = measure(LAST.rank(outcome.model, split, "valid"), "ndcg@10").mean()
    assert training.metric == pytest.approx(again, abs=1e-12)
    by_hand = one.build(LOG, epochs=training.best)
    fit(by_hand, split.train, seed=one.seed)
    assert_same(outcome.model, by_hand)


def test_monitor_every_and_patience_reach_the_training() -> None:
    outcome = experiment(monitor="recall@5", eval_every=2, patience=1).run(LOG)
    evaluated = [epoch.epoch for epoch in outcome.training.epochs if epoch.metric is not None]
    assert all(epoch % 2 == 0 for epoch in evaluated)
    ranks = LAST.rank(outcome.model, LAST.split(LOG), "valid")
    assert outcome.training.metric == pytest.approx(measure(ranks, "recall@5").mean(), abs=1e-12)


def test_the_test_set_is_evaluated_once_and_used_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[str] = []
    rank = RankingProtocol.rank

    def watched(self: Protocol, model: Model, split: Any, part: Any, **options: Any) -> Any:
        evaluated.append(part)
        return rank(self, model, split, part, **options)

    monkeypatch.setattr(RankingProtocol, "rank", watched)
    outcome = experiment(refit=True).run(LOG)
    assert evaluated == ["valid"] * len(outcome.training.epochs) + ["test"]


@pytest.mark.parametrize("refit", [False, True])
def test_the_test_rows_change_nothing_before_the_test(refit: bool) -> None:
    split = LAST.split(LOG)
    other = changed(LOG, split.test)
    one, two = (experiment(refit=refit).run(log) for log in (LOG, other))
    assert_same(one.model, two.model)
    assert [e.loss for e in one.training.epochs] == [e.loss for e in two.training.epochs]
    assert one.result.log != two.result.log


def test_refit_trains_on_train_and_validation_for_the_chosen_epochs() -> None:
    one = experiment(refit=True)
    outcome = one.run(LOG)
    chosen = replace(one, refit=False).run(LOG)
    assert outcome.training.best == chosen.training.best
    assert outcome.training.metric == chosen.training.metric
    by_hand = one.build(LOG, epochs=chosen.training.best)
    fit(by_hand, LAST.split(LOG).train_valid, seed=one.seed)
    assert_same(outcome.model, by_hand)
    assert outcome.model.config.epochs == chosen.training.best


def test_refit_counts_the_time_of_both_trainings() -> None:
    outcome = experiment(refit=True).run(LOG)
    assert outcome.training.seconds > sum(epoch.seconds for epoch in outcome.training.epochs)


def test_refit_trains_for_the_chosen_number_of_epochs() -> None:
    outcome = experiment(seed=5).run_refit(LOG, 3)
    by_hand = experiment(seed=5).build(LOG, epochs=3)
    fit(by_hand, LAST.split(LOG).train_valid, seed=5)
    assert_same(outcome.model, by_hand)
    assert (outcome.training.best, outcome.training.metric) == (3, None)


def test_choose_without_validation_runs_all_epochs() -> None:
    protocol = RankingProtocol(name="no validation", by="leave-last-out", arguments={"valid": 0})
    outcome = experiment(protocol=protocol).run(LOG)
    assert [epoch.metric for epoch in outcome.training.epochs] == [None] * 6
    assert outcome.training.best == 6


def test_seeds_decide() -> None:
    one, two, three = (experiment(seed=seed).run(LOG) for seed in (1, 1, 2))
    assert_same(one.model, two.model)
    assert not torch.equal(one.model.item_embedding, three.model.item_embedding)
    assert not torch.equal(experiment(seed=1).build(LOG).item_embedding, experiment(seed=2).build(LOG).item_embedding)


def test_building_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(2)
    torch.manual_seed(5)
    experiment().build(LOG)
    assert torch.equal(torch.randn(2), expected)


def test_an_interrupted_run_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = experiment(refit=True).run(LOG)
    calls = 0
    real = Protocol.validation_metric

    def interrupt(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(Protocol, "validation_metric", interrupt)
    with pytest.raises(KeyboardInterrupt):
        experiment(refit=True).run(LOG, folder=tmp_path)
    outcome = experiment(refit=True).run(LOG, folder=tmp_path)
    assert_same(outcome.model, whole.model)
    assert [e.metric for e in outcome.training.epochs] == [e.metric for e in whole.training.epochs]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refit", "state.safetensors", "training.jsonl"]


# ---------------------------------------------------------------------------------------- what is said


def test_everything_is_said_in_plain_values(tmp_path: Path) -> None:
    outcome = experiment("hgn", preset="author", refit=True, seed=3).run(LOG)
    about = json.loads(json.dumps(outcome.about()))
    assert about["training"]["seed"] == 3
    assert about["training"]["best"] == outcome.training.best
    assert about["training"]["validation"] == {"ndcg@10": outcome.training.metric}
    said = about["experiment"]
    assert said["protocol"]["fingerprint"] == LAST.fingerprint
    again = Protocol.from_dict({key: v for key, v in said.pop("protocol").items() if key != "fingerprint"})
    assert Experiment(**said, protocol=again).as_dict() == outcome.experiment.as_dict()
    saved = load(save(outcome.model, LOG, tmp_path / "model", **outcome.about()))
    assert saved.about["experiment"]["preset"] == "author"
    assert saved.model.config == outcome.model.config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "bprmff"}, "no model 'bprmff', did you mean 'bprmf'"),
        ({"settings": {"embedding_dimm": 4}}, "unknown setting 'embedding_dimm', did you mean 'embedding_dim'"),
        ({"settings": {"embedding_dim": 0}}, "embedding_dim=0: must be at least 1"),
        ({"preset": "paper"}, "bprmf has no preset 'paper'"),
        ({"monitor": "ndgc@10"}, "unknown metric 'ndgc@10', did you mean 'ndcg'"),
        ({"monitor": "ndcg"}, "needs a cut-off"),
        ({"monitor": "ndcg@50"}, "leave-one-out ranks only the first 20 items; use ndcg@20"),
        ({"eval_every": 0}, "eval_every=0: must be at least 1"),
        ({"patience": 0}, "patience=0: must be at least 1"),
        ({"seed": -1}, "seed=-1: must lie between 0"),
    ],
)
def test_an_invalid_experiment_is_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        experiment(**changes)


def test_validation_can_look_at_the_next_of_several_items() -> None:
    several = replace(Protocol.named("whole-users"), horizon=3)
    made = experiment(protocol=several, monitor="mrr@20,1").run(LOG)
    assert 0 < made.training.metric < 1
    assert measure(made.result.predictions, "recall@20,3").shape == measure(made.result.predictions, "recall@20").shape
    with pytest.raises(ConfigError, match=r"monitor recall@20,5: the horizon of whole-users is 3; use horizon=5"):
        experiment(protocol=several, monitor="recall@20,5")
    with pytest.raises(ConfigError, match=r"the horizon of leave-one-out is 1; use horizon=2, or take mrr@5"):
        experiment(monitor="mrr@5,1")


def test_a_log_too_short_for_its_protocol() -> None:
    short = synthetic.from_sequences([[1, 2], [2, 1]], name="short")
    with pytest.raises(DataError, match=r"short: too short for the protocol leave-one-out, no test instance is left"):
        experiment().run(short)
    new = RankingProtocol(name="all new", by="whole-users", arguments={"valid": 0.0, "test": 0.99}, exclude_seen=False)
    with pytest.raises(DataError, match="short: the protocol all new leaves nothing to train on"):
        experiment(protocol=new).run(short)


def test_a_validation_error_is_stored_without_the_minus_sign_of_its_maximisation() -> None:
    rated = Experiment(model="mf", protocol=Protocol.named("ratings"))
    training = Training([Epoch(1, 0.5, -0.9, 1.0, 1.0)], best=1)
    assert about_training(rated, training)["validation"] == {"rmse": 0.9}
