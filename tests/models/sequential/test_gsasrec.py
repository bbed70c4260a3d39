"""gSASRec: its loss against the equations of the paper, and the network of SASRec underneath."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from small_sequences import with_large_weights

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.models.base.model import Sizes
from segue.models.sequential.gsasrec import GSASRec
from segue.models.sequential.sasrec import SASRec
from segue.training.loop import fit

LOG = synthetic.markov(30, 12, 12, seed=1, shortest=3)
SIZES = Sizes(LOG.num_users, LOG.num_items)


def build(seed: int = 0, **chosen: Any) -> GSASRec:
    """A small model with large weights."""
    model: GSASRec = with_large_weights(GSASRec, SIZES, seed=seed, **{"dropout": 0.0, **chosen})
    return model


def gbce(positive: float, negatives: list[float], t: float, rate: float) -> float:
    """The loss of a target, as the paper writes it: sigma(r)^beta is the probability of the target."""
    beta = rate * (t * (1 - 1 / rate) + 1 / rate)
    sigma = [1 / (1 + math.exp(-score)) for score in (positive, *negatives)]
    return -math.log(sigma[0] ** beta) - sum(math.log(1 - each) for each in sigma[1:])


@pytest.mark.parametrize("t", [0.0, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("num_negatives", [1, 5, 11])
def test_loss_of_the_paper_with_shared_negatives(t: float, num_negatives: int) -> None:
    model = build(gbce_t=t, num_negatives=num_negatives, negative_sampling="shared")
    batch = next(iter(model.batches(LOG, np.random.default_rng(0))))
    assert batch.shared_negatives is not None
    assert len(batch.shared_negatives) == num_negatives
    queries, expected = model.queries(batch).detach(), 0.0
    for row, position in batch.target_mask.nonzero().tolist():
        target = int(batch.target[row, position])
        others = [item for item in batch.shared_negatives.tolist() if item != target]
        scores = (model.item_embedding[[target, *others]] @ queries[row, position]).tolist()
        expected += gbce(scores[0], scores[1:], t, num_negatives / (LOG.num_items - 1))
    assert model(batch).item() == pytest.approx(expected, rel=1e-10)


def test_loss_of_the_paper() -> None:
    model = build(num_negatives=3)
    batch = next(iter(model.batches(LOG, np.random.default_rng(0))))
    queries, expected = model.queries(batch).detach(), 0.0
    for row, position in batch.target_mask.nonzero().tolist():
        ids = [int(batch.target[row, position]), *batch.negatives[row, position, 0].tolist()]
        scores = (model.item_embedding[[item for item in ids if item > 0]] @ queries[row, position]).tolist()
        expected += gbce(scores[0], scores[1:], 0.75, 3 / (LOG.num_items - 1))
    assert model(batch).item() == pytest.approx(expected, rel=1e-9)


def test_full_calibration_weighs_the_target_by_the_sampling_rate() -> None:
    model = build(gbce_t=1.0, num_negatives=4, negative_sampling="shared")
    batch = next(iter(model.batches(LOG, np.random.default_rng(0))))
    loss_with_grad = model._loss_with_grad(batch)
    positive, negative = torch.zeros(1, dtype=torch.double), torch.zeros(1, 4, dtype=torch.double)
    loss, grad_positive, grad_negative = loss_with_grad(positive, negative, (torch.tensor([0]), torch.tensor([2])))
    assert loss.item() == pytest.approx((4 / 11 + 3) * math.log(2), rel=1e-12)
    assert grad_positive.item() == pytest.approx(-4 / 11 / 2, rel=1e-12)
    assert grad_negative.tolist() == [[0.5, 0.5, 0.0, 0.5]]


def test_the_network_is_that_of_sasrec() -> None:
    one = build(num_blocks=2, num_heads=2)
    two = SASRec(SASRec.configure({"embedding_dim": 4, "window": 6, "num_blocks": 2, "num_heads": 2}), SIZES)
    two = two.double().eval()
    two.load_state_dict(one.state_dict())
    batch = Batch(torch.tensor([1, 2]), torch.tensor([[0, 0, 3, 4], [1, 5, 6, 2]]))
    assert torch.equal(one.score(batch), two.score(batch))


def test_a_catalogue_smaller_than_the_sample() -> None:
    """As many negatives as there are other items, so that the sampling rate is 1 at most."""
    model = build(num_negatives=256)
    assert model.config.num_negatives == LOG.num_items - 1
    assert model._beta == pytest.approx(1.0)


def test_training_reduces_the_loss() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chosen = {"embedding_dim": 8, "window": 6, "epochs": 6, "lr": 0.01, "batch_size": 8}
        model = GSASRec(GSASRec.configure(chosen), SIZES)
    losses = [epoch.loss for epoch in fit(model, LOG).epochs]
    assert losses[-1] < losses[0] - 0.1
