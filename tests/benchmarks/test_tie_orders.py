"""The trial that trains a model anew for each order of the events with the same time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.tie_orders import of_orders

from segue.data import synthetic
from segue.data.log import Log
from segue.errors import DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import mean_metric
from segue.experiments.experiment import Experiment

EXPERIMENT = Experiment(model="seq-knn", protocol=Protocol.named("leave-one-out"))


def random_log(seconds: int) -> Log:
    """A log whose events of a user have the same time for so many events."""
    log = synthetic.random(num_users=40, num_items=12, length=7, seed=1)
    return replace(log, time=np.arange(len(log.item)) // seconds)


def test_a_log_without_ties_has_the_figures_of_its_own_order_each_time() -> None:
    log = random_log(1)
    found = of_orders(EXPERIMENT, log, 2)
    result = EXPERIMENT.train_and_test(log).result
    for metric, figure in found["metrics"].items():
        assert figure["runs"] == [mean_metric(result.predictions, metric)] * 2
    assert found["instances"] == len(result.predictions)


def test_orders_of_tied_events_have_figures_of_their_own_and_a_mean() -> None:
    figure = of_orders(EXPERIMENT, random_log(7), 4)["metrics"]["ndcg@10"]
    assert len(set(figure["runs"])) > 1
    assert figure["mean"] == pytest.approx(np.mean(figure["runs"]))


def test_a_log_without_times_has_no_ties() -> None:
    with pytest.raises(DataError, match="need times"):
        of_orders(EXPERIMENT, replace(random_log(1), time=None), 2)
