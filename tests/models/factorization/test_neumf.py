"""NeuMF: number of weights, loss, pre-training of the two halves, and scores of all items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.factorization import neumf
from segue.models.factorization.neumf import NeuMF
from segue.training.loop import fit

LOG = synthetic.markov(20, 9, 8, seed=4)


def build(**settings: Any) -> NeuMF:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = NeuMF(
            NeuMF.configure({"embedding_dim": 3, "mlp_embedding_dim": 4, "mlp_hidden_dims": (5, 2), **settings}),
            Sizes(20, 9),
        )
        for weight in model.parameters():
            torch.nn.init.normal_(weight)
    return model.double()


def batch_of(model: NeuMF) -> Batch:
    return next(iter(model.batches(LOG, np.random.default_rng(0))))


def test_number_of_weights() -> None:
    """d (U + I + 2) and d' (U + I + 2) in the embeddings, the MLP, and two sets of output weights with one bias."""
    model = NeuMF(NeuMF.configure(), Sizes(10, 20))
    mlp = (64 * 32 + 32) + (32 * 16 + 16) + (16 * 8 + 8)
    assert sum(weight.numel() for weight in model.parameters()) == (8 + 32) * 32 + mlp + 8 + 8 + 1
    recbole = NeuMF(NeuMF.configure(preset="recbole"), Sizes(10, 20))
    mlp = (128 * 128 + 128) + (128 * 64 + 64)
    assert sum(weight.numel() for weight in recbole.parameters()) == (64 + 64) * 32 + mlp + 64 + 64 + 1


@pytest.mark.parametrize("pretrain", [0, 2])
def test_scores_of_all_items_equal_those_of_pairs(pretrain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neumf, "PAIRS_PER_CHUNK", 12)  # four items at a time
    model = build(pretrain_epochs=pretrain).eval().requires_grad_(False)
    user = torch.tensor([3, 0, 7])
    scores = model.score(Batch(user, torch.zeros(3, 0, dtype=torch.long)))
    gmf, mlp = model.logits(user, torch.arange(10).expand(3, -1))
    joint = gmf + mlp if pretrain == 0 else 0.5 * gmf + 0.5 * mlp
    torch.testing.assert_close(scores[:, 1:], joint[:, 1:], rtol=0, atol=1e-12)
    assert scores[:, 0].eq(-torch.inf).all()


def test_loss_is_the_sum_over_all_instances() -> None:
    model = build(pretrain_epochs=0, num_negatives=3)
    batch = batch_of(model)
    expected = 0.0
    for user, target, negatives in zip(batch.user, batch.target[:, 0], batch.negatives[:, 0, 0], strict=True):
        for item, label in [(target, 1), *((negative, 0) for negative in negatives)]:
            z = sum(model.logits(user[None], item[None, None])).sigmoid()  # type: ignore[union-attr]
            expected -= float(torch.log(z if label else 1 - z).detach())
    assert float(model(batch).detach()) == pytest.approx(expected, rel=1e-10)


def test_halves_are_trained_separately_in_pretraining() -> None:
    """The gradient of the matrix factorisation half depends on the MLP only after pre-training."""
    for epochs, independent in ((0, True), (1, True), (2, False)):
        gradients = []
        for change in (0.0, 1.0):
            model = build(pretrain_epochs=2)
            model.finished_epochs.fill_(epochs)
            with torch.no_grad():
                model.mlp_logit.bias += change
            model(batch_of(model)).backward()
            assert model.gmf_logit.weight.grad is not None
            gradients.append(model.gmf_logit.weight.grad)
        assert torch.equal(*gradients) == independent


def test_pretraining_lasts_pretrain_epochs() -> None:
    model = build(pretrain_epochs=2, epochs=3)
    calls: list[bool] = []
    loss, joint_logit = model.forward, model._joint_logit
    model._joint_logit = lambda *halves: (calls.append(True), joint_logit(*halves))[1]  # type: ignore[method-assign]
    model.forward = lambda batch: (calls.append(False), loss(batch))[1]  # type: ignore[method-assign]
    fit(model, LOG)
    steps = calls.count(False) // 3
    assert calls[: 2 * steps] == [False] * 2 * steps
    assert calls[2 * steps :] == [False, True] * steps
    assert int(model.finished_epochs) == 3


def test_invalid_settings_are_rejected() -> None:
    for settings, message in (
        ({"mlp_hidden_dims": ""}, r"mlp_hidden_dims=''|mlp_hidden_dims=\(''"),
        ({"mlp_hidden_dims": (8, 0)}, r"mlp_hidden_dims=\(8, 0\): must be one size or more, each at least 1"),
        ({"pretrain_epochs": -1}, r"pretrain_epochs=-1: must be at least 0"),
        ({"num_negatives": 0}, r"num_negatives=0: must be at least 1"),
        ({"dropout": 1}, r"dropout=1: must be at least 0 and below 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            NeuMF.configure(settings)
