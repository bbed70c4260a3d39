"""STAMP: one pass gives the query of every prefix; variants of the programs; training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.stamp import STAMP
from segue.training.loop import fit

LOG = synthetic.markov(12, 9, 7, seed=3, shortest=2)


def build(**settings: Any) -> STAMP:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = STAMP.configure({"embedding_dim": 4, "window": 6, "batch_size": 5, **settings}, preset="paper")
        model = STAMP(config, Sizes(LOG.num_users, LOG.num_items)).double().eval()
        for weight in model.parameters():  # initial weights are too small for differences to show
            weight.data.mul_(20)
        model.item_embedding.data.mul_(20)
        return model


@pytest.mark.parametrize("settings", [{}, {"add_mean": True, "mlp_bias": False}], ids=str)
def test_one_pass_gives_the_query_of_every_prefix(settings: dict[str, Any]) -> None:
    model = build(**settings)
    for batch in model.batches(LOG, np.random.default_rng(0)):
        together = model.queries(batch)
        for row, history in enumerate(batch.history):
            for position in history.nonzero().flatten():
                prefix = nn.functional.pad(history[: position + 1], (int(5 - position), 0))[None]
                alone = model.query(Batch(batch.user[[row]], prefix))
                torch.testing.assert_close(together[row, position], alone[0], rtol=0, atol=1e-12)


def test_sigmoid_changes_the_loss_but_not_the_scores() -> None:
    batch = next(iter(build().batches(LOG, np.random.default_rng(0))))
    one, two = build(), build(sigmoid_scores=False)
    assert torch.equal(one.score(batch), two.score(batch))
    assert not torch.isclose(one(batch), two(batch))
    scores = one.queries(batch) @ one.item_embedding[1:].T
    mask, target = batch.targets.squeeze(2) > 0, batch.targets.squeeze(2) - 1
    expected = nn.functional.cross_entropy(scores.sigmoid()[mask], target[mask], reduction="sum")
    torch.testing.assert_close(one(batch), expected)


def test_presets_of_the_programs() -> None:
    author, hcrnn = STAMP.configure(preset="author"), STAMP.configure(preset="hcrnn")
    assert (author.add_mean, author.sigmoid_scores, author.mlp_bias, author.lr) == (True, False, False, 3e-3)
    assert (hcrnn.add_mean, hcrnn.sigmoid_scores, hcrnn.mlp_bias, hcrnn.lr) == (False, True, True, 1e-3)
    paper = STAMP.configure(preset="paper")
    assert (paper.add_mean, paper.sigmoid_scores, paper.mlp_bias, paper.dropout) == (False, True, True, 0.0)
    names = {name for name, _ in build(mlp_bias=False).named_parameters()}
    assert not {"session_mlp.bias", "last_mlp.bias"} & names


@pytest.mark.parametrize(
    "settings",
    [
        {"add_mean": True, "sigmoid_scores": False},
        {"dropout": 0.2},
        {"loss": "bpr-max", "negative_sampling": "shared", "num_negatives": 5},
    ],
    ids=str,
)
def test_training_reduces_the_loss(settings: dict[str, Any]) -> None:
    log = synthetic.cycle(12, 9, 6, seed=1)
    config = STAMP.configure({"embedding_dim": 8, "batch_size": 4, "epochs": 20, "lr": 0.02, **settings})
    torch.manual_seed(0)
    losses = [epoch.loss for epoch in fit(STAMP(config, Sizes(12, 9)), log, seed=1).epochs]
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window=0: must be at least 1"),
        ({"dropout": 1}, "dropout=1: must be at least 0 and below 1"),
    ],
)
def test_invalid_settings_are_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        STAMP.configure(settings)
