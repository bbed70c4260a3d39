"""Estimates know what would be done and how often, and leave nothing behind."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.left_out_rows import LeftOutBatch
from segue.data import synthetic
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.experiments.estimate import Estimate, PartOfRun, estimate, estimate_fit
from segue.experiments.experiment import Experiment
from segue.experiments.measured_work import measure_evaluation, measure_training
from segue.experiments.samples import Sample, Time
from segue.models.base.model import GradientModel
from segue.models.neighbours.learnt_counts import LearntCounts
from segue.models.registry import MODELS
from segue.resource_usage import PeakMemory

LOG = synthetic.markov(80, 20, 12, seed=1, shortest=5)
RATED = synthetic.with_ratings(LOG)
SMALL = {"embedding_dim": 4, "epochs": 20, "batch_size": 32}
PREPARATION = ("loading code", "split, checks")


def experiment(model: str = "bprmf", **changes: Any) -> Experiment:
    settings = SMALL if MODELS[model].trained_by_gradient else {}
    protocol = Protocol.named("ratings" if MODELS[model].task == "rating" else "leave-one-out")
    return Experiment(**{"model": model, "protocol": protocol, "settings": settings, **changes})


def times(found: Estimate) -> dict[str, tuple[int, int]]:
    return {part.name: (part.least, part.most) for part in found.parts if part.name not in PREPARATION}


def test_epochs_are_between_the_first_stop_and_all_of_them() -> None:
    assert times(estimate(experiment(patience=3, eval_every=2), LOG)) == {
        "epoch": (8, 20),
        "validation": (4, 10),
        "test": (1, 1),
    }
    assert times(estimate(experiment(patience=50), LOG))["epoch"] == (20, 20)


def test_refit_and_final_train_for_the_number_of_the_best_epoch_on_more_rows() -> None:
    found = estimate(experiment(refit=True, final=True, patience=3), LOG)
    assert times(found) == {
        "epoch": (4, 20),
        "validation": (4, 20),
        "refit": (1, 20),
        "test": (1, 1),
        "fit on the whole log": (1, 20),
    }
    cost = {part.name: part.time.cpu_seconds for part in found.parts}
    split = experiment().split(LOG)
    assert cost["refit"] == pytest.approx(cost["epoch"] * len(split.train_valid) / len(split.train))
    assert cost["fit on the whole log"] == pytest.approx(cost["epoch"] * len(LOG) / len(split.train))


def test_each_later_day_of_the_test_trains_on_the_rows_before_it() -> None:
    days = np.array([0, 0, 0, 0, 1, 2, 2, 4])  # the test begins on day 1
    time = 1_400_025_600 + days * 86_400 + 60 * np.arange(8)
    log = synthetic.from_sequences([[1, 2, 3, 1, 2, 3, 1, 2]] * 5, times=[(time + u).tolist() for u in range(5)])
    nightly = Protocol.named("prequential").with_settings(
        {"retrain": "nightly", "arguments": {"valid": 0.1, "test": 0.5}}
    )
    found = estimate(experiment(protocol=nightly, patience=3), log)
    assert times(found)["training anew in the test"] == (2 * 1, 2 * 20)
    cost = {part.name: part.time.cpu_seconds for part in found.parts}
    split = nightly.split(log)
    assert cost["training anew in the test"] == pytest.approx(cost["epoch"] * (25 + 35) / 2 / len(split.train))
    one_day = nightly.with_settings({"arguments": {"valid": 0.1, "test": 0.1}})
    assert "training anew in the test" not in times(estimate(experiment("pop", protocol=one_day), log))


def test_several_seeds_share_what_a_run_does_once() -> None:
    found = estimate(experiment(refit=True, final=True, patience=3), LOG).repeated(3)
    assert {part.name: (part.least, part.most) for part in found.parts} == {
        "loading code": (1, 1),
        "split, checks": (3, 3),
        "epoch": (12, 60),
        "validation": (12, 60),
        "refit": (3, 60),
        "test": (3, 3),
        "fit on the whole log": (1, 20),
    }


def test_the_instances_of_a_ranking_are_drawn_once_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one, drawn = experiment("pop"), []
    split = one.split(LOG)
    instances, enter = RankingProtocol.instances, PeakMemory.__enter__
    monkeypatch.setattr(RankingProtocol, "instances", lambda *args: (drawn.append("drawn"), instances(*args))[1])
    monkeypatch.setattr(PeakMemory, "__enter__", lambda self: (drawn.append("begin"), enter(self))[1])
    leave = PeakMemory.__exit__
    monkeypatch.setattr(PeakMemory, "__exit__", lambda self, *args: (leave(self, *args), drawn.append("end"))[0])
    model = one.build(LOG)
    model.fit(split.train)
    measure_evaluation(one, model, split, "test", 1.0)
    timed = " ".join(drawn).split("begin")[1:]
    assert timed
    assert all(block.split("end")[0].count("drawn") == 1 for block in timed)


def test_a_model_that_counts_is_fitted_once_and_not_validated() -> None:
    assert times(estimate(experiment("seq-knn"), LOG)) == {"fit": (1, 1), "test": (1, 1)}
    assert times(estimate_fit(experiment("seq-knn"), LOG)) == {"fit": (1, 1)}
    assert times(estimate_fit(experiment("bprmf"), LOG)) == {"epoch": (20, 20)}


def test_a_model_that_learns_after_it_has_counted_learns_from_some_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = []

    def loss(model: LearntCounts, batch: LeftOutBatch) -> torch.Tensor:
        examples.append(len(batch.target))
        clock[0] += 0.01 * examples[-1]
        return model.kappa * 0

    clock = [0.0]
    monkeypatch.setattr(LearntCounts, "loss", loss)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    measured = measure_training(experiment("learnt-counts").build(LOG), LOG, 0, limit=1.0)
    every = 6 * (len(LOG) - LOG.num_users)
    assert sum(examples) < every / 2
    assert measured.time.cpu_seconds == pytest.approx(0.01 * every)


def test_an_epoch_is_extrapolated_by_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def step(model: GradientModel, optimizer: Any, batch: Any, device: torch.device) -> torch.Tensor:
        steps.append(int(batch.num_targets))
        clock[0] += 0.01 * steps[-1]
        return torch.zeros(())

    clock = [0.0]
    monkeypatch.setattr("segue.training.loop.train_batch", step)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    found = estimate(experiment(), LOG, limit=1.0)
    targets = len(experiment().split(LOG).train)
    assert sum(steps) < targets / 2  # a few batches are trained on, all are made
    epoch = next(part for part in found.parts if part.name == "epoch")
    assert epoch.time.cpu_seconds == pytest.approx(0.01 * targets)


def test_the_steps_of_an_epoch_are_added_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    class Counted(Sample):
        def __getattribute__(self, name: str) -> Any:
            read.append(name)
            return super().__getattribute__(name)

    monkeypatch.setattr("segue.experiments.measured_work.Sample", Counted)
    one = experiment(settings={**SMALL, "batch_size": 2})
    measure_training(one.build(LOG), LOG, 0, limit=1e9)
    batches = len(LOG) // 2
    assert batches > 100
    assert read.count("time") < 10 * batches


def test_a_model_with_its_own_loop_makes_no_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("segue.training.loop.train_batch")
    found = estimate_fit(experiment(settings={**SMALL, "optimizer": "sgd"}), LOG)
    assert times(found) == {"epoch": (20, 20)}


def test_the_ends_of_an_estimate_are_sums_of_its_parts() -> None:
    found = Estimate((PartOfRun("a", Time(1.0, 2.0)), PartOfRun("b", Time(0.5, 0.5), 2, 6)), 500)
    assert (found.least, found.most, found.dominant.name) == (Time(2.0, 3.0), Time(4.0, 5.0), "b")
    assert found.repeated(3).most == Time(12.0, 15.0)
    longer = found.followed_by(found.as_one_part("again"), peak_mb=700)
    assert (longer.most, longer.peak_mb) == (Time(8.0, 10.0), 700)
    assert longer.as_dict()["most"] == {"cpu_seconds": 8.0, "seconds": 10.0}


@pytest.mark.parametrize("model", ["pop", "item-knn", "bprmf", "hgn", "sasrec", "mf", "biases"])
def test_nothing_lasts(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = RATED if MODELS[model].task == "rating" else LOG
    rows, random_state = log.item.copy(), torch.get_rng_state()
    settings = {**SMALL, "epochs": 2} if MODELS[model].trained_by_gradient else {}
    short = experiment(model, settings=settings)
    before = short.run(log).model.state_dict()
    estimate(replace(short, refit=True), log)
    estimate_fit(short, log)
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), random_state)
    assert (log.item == rows).all()
    after = short.run(log).model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("neighbours", [None, "vs-knn"])
def test_the_estimate_of_a_hybrid_has_the_fits_of_its_parts_and_its_pool(neighbours: str | None) -> None:
    log = synthetic.markov(60, 15, 12, seed=1, shortest=3)
    settings = {"epochs": 3, "held_out_share": 0.2, "neighbours": neighbours}
    found = times(estimate(experiment("hybrid", settings=settings, refit=True), log))
    assert found["fit of learnt-counts"] == (2, 2)
    assert found["learning after an epoch"] == found["epoch"] == (3, 3)
    assert ("fit of vs-knn" in found) == (neighbours is not None)
    assert {"fit of learnt-counts", "learning after an epoch"} <= set(times(estimate_fit(experiment("hybrid"), log)))
