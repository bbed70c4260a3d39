"""Several trainings of one model in a table: means of instances, spread, tests by user; and names told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segue.data import synthetic
from segue.errors import ConfigError
from segue.evaluation.breakdown import breakdown
from segue.evaluation.protocol import Protocol
from segue.evaluation.repeated_predictions import RepeatedPredictions
from segue.evaluation.result import Result
from segue.evaluation.significance import t_test
from segue.evaluation.summary import summary
from segue.experiments.experiment import Experiment
from segue.experiments.repeated import mean_result

LOG = synthetic.markov(60, 17, 12, seed=1, shortest=4)
PROTOCOL = Protocol.named("leave-one-out")
SMALL = {"embedding_dim": 2, "epochs": 2}


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """The results of three seeds, then that of a baseline."""
    runs = [Experiment(model="bprmf", protocol=PROTOCOL, settings=SMALL, seed=seed).run(LOG) for seed in range(3)]
    baseline = Experiment(model="pop", protocol=PROTOCOL, baseline=True).run(LOG)
    return [*(run.result for run in runs), baseline.result]


def test_one_row_has_the_mean_the_spread_and_a_test_of_the_means_of_users(results: list[Result]) -> None:
    *runs, baseline = results
    row = summary([baseline, mean_result(runs)], ["recall@5", "ndcg@10"])["models"][1]
    assert row["trainings"] == 3
    for metric, cell in row["metrics"].items():
        values = np.array([run.predictions.values(metric) for run in runs])
        assert cell["mean"] == pytest.approx(values.mean())
        assert cell["runs"] == pytest.approx(values.mean(1))
        assert cell["sd"] == pytest.approx(values.mean(1).std(ddof=1))
        assert cell["against"]["p"] == pytest.approx(t_test(values.mean(0), baseline.predictions.values(metric)))
    assert row["seconds"] == pytest.approx(np.mean([run.seconds for run in runs]))
    alone = summary([baseline, runs[0]])["models"][1]
    assert "trainings" not in alone
    assert "sd" not in alone["metrics"]["ndcg@10"]


def test_equal_trainings_give_the_figures_of_one(results: list[Result]) -> None:
    one, baseline = results[0], results[-1]
    twice = summary([baseline, mean_result([one, one])])["models"][1]
    alone = summary([baseline, one])["models"][1]
    for metric, cell in alone["metrics"].items():
        assert twice["metrics"][metric]["sd"] == 0
        assert {key: twice["metrics"][metric][key] for key in cell} == cell
    assert twice["coverage@10"] == alone["coverage@10"]


def test_groups_have_the_means(results: list[Result]) -> None:
    runs, split = results[:-1], PROTOCOL.split(LOG)
    mean = [row["mean"] for row in breakdown([mean_result(runs)], ["recall@5"], split, by="history")]
    each = [[row["mean"] for row in breakdown([run], ["recall@5"], split, by="history")] for run in runs]
    assert mean == pytest.approx(np.mean(each, axis=0))


def test_trainings_of_other_instances_are_refused(results: list[Result]) -> None:
    other = Experiment(model="pop", protocol=Protocol.named("hgn")).run(LOG).result
    with pytest.raises(ConfigError, match="predict different instances"):
        RepeatedPredictions([results[0].predictions, other.predictions])
    with pytest.raises(ConfigError, match="stored one by one"):
        RepeatedPredictions([results[0].predictions]).arrays()


def test_results_of_one_model_are_named_by_what_differs(results: list[Result]) -> None:
    wide = Experiment(model="bprmf", protocol=PROTOCOL, settings={**SMALL, "embedding_dim": 3}, seed=1).run(LOG).result
    names = [row["model"] for row in summary([results[0], wide, results[-1]])["models"]]
    assert names == ["bprmf (embedding_dim=2 seed=0)", "bprmf (embedding_dim=3 seed=1)", "pop"]
    facts = summary([replace(results[-1], baseline=True), *results[:2]])
    assert [row["model"] for row in facts["models"]] == ["pop", "bprmf (seed=0)", "bprmf (seed=1)"]
    with pytest.raises(ConfigError, match="two results are called 'bprmf'; give each its own name"):
        summary([results[0], results[0]])
