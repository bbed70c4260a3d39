"""Means are means; biases and factors are where the objective is smallest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

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


def everybody(log: Log) -> torch.Tensor:
    return torch.arange(log.num_users + 1)


def test_means() -> None:
    expected = {
        GlobalMean: {(1, 1): 3, (3, 4): 3},
        UserMean: {(1, 1): 4, (2, 1): 1.5, (3, 1): 3, (0, 2): 3},
        ItemMean: {(1, 1): 4, (3, 2): 2, (2, 3): 3, (1, 4): 3},
    }
    for kind, told in expected.items():
        model = kind(kind.configure(), Sizes(4, 4)).double()
        model.fit(SMALL)
        pairs = RatedEvents.at_rows(SMALL, np.array([u for u, _ in told]), np.zeros(len(told), np.int64))
        batch = replace(pairs, item=np.array([i for _, i in told])).batch(np.arange(len(told)))
        assert model.predict(batch).tolist() == pytest.approx(list(told.values()))
        assert model.score(batch)[:, 0].tolist() == [-torch.inf] * len(told)


def test_biases_are_the_least_squares_solution() -> None:
    log = random_log()
    model = Biases(Biases.configure({"l2_user": 2, "l2_item": 3}), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    pairs = RatedEvents.from_log(log)
    left = pairs.rating - pairs.rating.astype(np.float64).mean()
    design = np.zeros((len(pairs), log.num_users + log.num_items))
    design[np.arange(len(pairs)), pairs.user - 1] = 1
    design[np.arange(len(pairs)), log.num_users + pairs.item - 1] = 1
    penalty = np.diag([2.0] * log.num_users + [3.0] * log.num_items)
    solved = np.linalg.solve(design.T @ design + penalty, design.T @ left)
    np.testing.assert_allclose(np.concatenate([model.user[1:], model.item[1:]]), solved, atol=1e-6)


def objective(model: MF, log: Log) -> float:
    pairs, config = RatedEvents.from_log(log), model.config
    error = model.predict(pairs.batch(np.arange(len(pairs)))) - torch.from_numpy(pairs.rating)
    sizes = [float(t[:, :-1].square().sum()) for t in (model.user, model.item)]
    biases = [float(t[:, -1].square().sum()) for t in (model.user, model.item)]
    return float(error.square().sum()) + config.l2 * sum(sizes) + config.l2_bias * sum(biases)


@pytest.mark.parametrize("bias", [True, False])
def test_each_sweep_lowers_the_objective_to_a_point_where_it_is_flat(bias: bool) -> None:
    log = random_log()
    course = []
    for iterations in (1, 2, 5, 400):
        torch.manual_seed(0)
        settings = {"embedding_dim": 3, "l2": 0.5, "l2_bias": 0.7, "iterations": iterations, "bias": bias}
        model = MF(MF.configure(settings), Sizes(log.num_users, log.num_items)).double()
        model.fit(log)
        course.append(objective(model, log))
    assert course == sorted(course, reverse=True)
    for table in (model.user, model.item):
        for at in ((1, 0), (2, 1)) + (((3, 3),) if bias else ()):
            kept = float(table[at])
            for step in (1e-3, -1e-3):
                table[at] = kept + step
                assert objective(model, log) > course[-1] - 1e-9
            table[at] = kept
    if not bias:
        assert float(model.mean) == 0
        assert not model.user[:, -1].any()


def test_settings_out_of_range() -> None:
    for kind, settings, said in (
        (Biases, {"l2_user": -1}, "l2_user=-1: must be at least 0"),
        (MF, {"l2": 0}, "l2=0: must be above 0"),
        (MF, {"l2_bias": 0}, "l2_bias=0: must be above 0"),
        (MF, {"embedding_dim": 0}, "embedding_dim=0: must be at least 1"),
        (MF, {"iterations": 0}, "iterations=0: must be at least 1"),
    ):
        with pytest.raises(ConfigError, match=said):
            kind.configure(settings)
