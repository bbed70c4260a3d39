"""Mean, bias and matrix factorisation models of ratings: the closed forms and the minimum of the objective."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from segue.batches.batch import PairBatch
from segue.batches.rated_events import RatedEvents
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.ratings.biases import Biases, GlobalMean, ItemMean, UserMean
from segue.models.ratings.mf import MF

RNG = np.random.default_rng(3)
SMALL = replace(
    synthetic.from_sequences([[1, 2, 3], [2, 3], [], [1]], num_items=4),
    rating=np.array([5, 3, 4, 1, 2, 3], np.float32),
)


def random_log() -> Log:
    log = synthetic.random(30, 12, 8, seed=1)
    return replace(log, rating=RNG.integers(1, 6, len(log)).astype(np.float32))


def test_predictions_of_mean_models() -> None:
    expected = {
        GlobalMean: {(1, 1): 3, (3, 4): 3},
        UserMean: {(1, 1): 4, (2, 1): 1.5, (3, 1): 3, (0, 2): 3},
        ItemMean: {(1, 1): 4, (3, 2): 2, (2, 3): 3, (1, 4): 3},
    }
    for model_class, ratings in expected.items():
        model = model_class(model_class.configure(), Sizes(4, 4)).double()
        model.fit(SMALL)
        user, item = np.array(list(ratings)).T
        batch = PairBatch(torch.from_numpy(user), torch.zeros(len(user), 0, dtype=torch.long), torch.from_numpy(item))
        assert model.predict(batch).tolist() == pytest.approx(list(ratings.values()))
        assert model.score(batch)[:, 0].tolist() == [-torch.inf] * len(user)


def test_biases_are_the_least_squares_solution() -> None:
    log = random_log()
    model = Biases(Biases.configure({"l2_user": 2, "l2_item": 3}), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    events = RatedEvents.from_log(log)
    residual = events.rating - events.rating.astype(np.float64).mean()
    design = np.zeros((len(events), log.num_users + log.num_items))
    design[np.arange(len(events)), events.user - 1] = 1
    design[np.arange(len(events)), log.num_users + events.item - 1] = 1
    penalty = np.diag([2.0] * log.num_users + [3.0] * log.num_items)
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ residual)
    np.testing.assert_allclose(np.concatenate([model.user_bias[1:], model.item_bias[1:]]), expected, atol=1e-6)


def objective(model: MF, log: Log) -> float:
    """The squared errors on the log plus the L2 penalties, as in the docstring of `mf`."""
    events, config = RatedEvents.from_log(log), model.config
    error = model.predict(events.batch(np.arange(len(events)))) - torch.from_numpy(events.rating)
    norms = [float(t[:, :-1].square().sum()) for t in (model.user_embedding, model.item_embedding)]
    bias_norms = [float(t[:, -1].square().sum()) for t in (model.user_embedding, model.item_embedding)]
    return float(error.square().sum()) + config.l2 * sum(norms) + config.l2_bias * sum(bias_norms)


@pytest.mark.parametrize("bias", [True, False])
def test_iterations_of_mf_converge_to_a_minimum_of_the_objective(bias: bool) -> None:
    log = random_log()
    objectives = []
    for iterations in (1, 2, 5, 400):
        torch.manual_seed(0)
        settings = {"embedding_dim": 3, "l2": 0.5, "l2_bias": 0.7, "iterations": iterations, "bias": bias}
        model = MF(MF.configure(settings), Sizes(log.num_users, log.num_items)).double()
        model.fit(log)
        objectives.append(objective(model, log))
    assert objectives == sorted(objectives, reverse=True)
    for table in (model.user_embedding, model.item_embedding):
        for index in ((1, 0), (2, 1)) + (((3, 3),) if bias else ()):
            value = float(table[index])
            for step in (1e-3, -1e-3):
                table[index] = value + step
                assert objective(model, log) > objectives[-1] - 1e-9
            table[index] = value
    if not bias:
        assert float(model.mean) == 0
        assert not model.user_embedding[:, -1].any()


def test_settings_out_of_range_are_refused() -> None:
    for model_class, settings, message in (
        (Biases, {"l2_user": -1}, "l2_user=-1: must be at least 0"),
        (MF, {"l2": 0}, "l2=0: must be above 0"),
        (MF, {"l2_bias": 0}, "l2_bias=0: must be above 0"),
        (MF, {"embedding_dim": 0}, "embedding_dim=0: must be at least 1"),
        (MF, {"iterations": 0}, "iterations=0: must be at least 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            model_class.configure(settings)
