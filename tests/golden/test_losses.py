"""Losses against numbers of their formulas, computed once in plain Python loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import SequenceBatch
from segue.batches.negative_sampling import PopularityNegatives
from segue.data import synthetic
from segue.models.base.model import Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.models.sequential.gru4rec import GRU4RecPlus
from segue.nn import losses
from segue.nn.losses import bpr, cross_entropy

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden) -> Arrays:
    return golden("losses")


def close(ours: Any, golden: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(ours), golden, rtol=0, atol=1e-10)


def test_bpr_of_in_batch_negatives(z: Arrays) -> None:
    scores = torch.from_numpy(z["R"])
    rows, columns = scores.shape
    others = ~torch.eye(rows, columns, dtype=torch.bool)
    terms = bpr(scores.diagonal()[:, None] - scores)
    close((terms * others).sum(1) / (columns - 1), z["bpr"])
    close(terms.sum(1), z["bpr_code"])


def test_cross_entropy(z: Arrays) -> None:
    scores = torch.from_numpy(z["R"])  # the positive of row b is column b, which is item b + 1
    close(cross_entropy(scores, torch.arange(len(scores)) + 1), z["xe"])


def in_batch(scores: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(positive, negative, known): the positive of row b is column b, all the others are its negatives."""
    table = torch.from_numpy(scores)
    return table.diagonal().clone(), table.clone(), ~torch.eye(*table.shape, dtype=torch.bool)


def own_columns(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(rows), torch.arange(rows)


def test_top1(z: Arrays) -> None:
    value, columns = losses.top1(*in_batch(z["R"])), z["R"].shape[1]
    close(value, z["top1"])
    close(value * (columns - 1) / columns + 1 / (2 * columns), z["top1_code"])
    close(losses.top1_max(*in_batch(z["R"])), z["top1_max"])


def test_bpr_of_the_program_is_a_sum(z: Arrays) -> None:
    value, columns = losses.mean_bpr(*in_batch(z["R"])), z["R"].shape[1]
    close(value, z["bpr"])
    close(value * (columns - 1) + np.log(2), z["bpr_code"])


@pytest.mark.parametrize("penalty", ["0", "1", "1.95"])
def test_bpr_max(z: Arrays, penalty: str) -> None:
    positive, negative, known = in_batch(z["R"])
    close(losses.bpr_max(positive, negative, known, float(penalty)), z[f"bpr_max_{penalty}"])
    loss, _, _ = losses.bpr_max_with_grad(positive, negative, own_columns(len(positive)), float(penalty))
    close(loss, z[f"bpr_max_{penalty}"])


def test_bpr_max_of_activated_scores(z: Arrays) -> None:
    model = GRU4RecPlus(GRU4RecPlus.configure({"embedding_dim": 2}), Sizes(1, 2))
    scores = model._activated(torch.from_numpy(z["R"])).numpy()
    close(scores, z["R_elu05"])
    close(losses.bpr_max(*in_batch(scores)), z["bpr_max_elu05_1"])


def test_softmax_of_negatives_alone(z: Arrays) -> None:
    _, negative, known = in_batch(z["R"])
    close(losses.negatives_softmax(negative, known), z["softmax_neg"])


def test_gradient_of_bpr_max(z: Arrays) -> None:
    """The golden one was found by differences: it is good to eight digits."""
    positive, negative, _ = in_batch(z["R"])
    _, by_positive, by_negative = losses.bpr_max_with_grad(positive, negative, own_columns(len(positive)))
    by_negative.diagonal().add_(by_positive)
    np.testing.assert_allclose(by_negative, z["bpr_max_1_grad"], rtol=0, atol=1e-8)


def test_cross_entropy_among_the_batch(z: Arrays) -> None:
    positive, negative, known = in_batch(z["R"])
    close(losses.sampled_cross_entropy(positive, negative, known), z["xe"])
    loss, _, _ = losses.sampled_cross_entropy_with_grad(positive, negative, own_columns(len(positive)))
    close(loss, z["xe"])


@pytest.mark.parametrize("alpha", ["0", "0.5", "0.75", "1"])
def test_popular_items(z: Arrays, alpha: str) -> None:
    log = synthetic.from_sequences([np.repeat(np.arange(1, len(z["supp"]) + 1), z["supp"]).tolist()])
    close(np.exp(PopularityNegatives(log.counts(), float(alpha)).log_expected_count(1)[1:]), z[f"p_alpha_{alpha}"])


def bprmf(z: Arrays, regularised: bool) -> tuple[BPRMF, SequenceBatch]:
    """One user, a positive item 1 and a negative item 2."""
    settings = {"embedding_dim": len(z["bprmf_p"]), "item_bias": False, "l2": float(z["bprmf_lam"]) * regularised}
    model = BPRMF(BPRMF.configure(settings), Sizes(1, 2)).double()
    with torch.no_grad():
        model.user[1] = torch.from_numpy(z["bprmf_p"])
        model.item[1], model.item[2] = torch.from_numpy(z["bprmf_qi"]), torch.from_numpy(z["bprmf_qj"])
    one = torch.ones(1, 1, dtype=torch.long)
    return model, SequenceBatch(
        one.flatten(), torch.empty(1, 0, dtype=torch.long), one, one > 0, 2 * one[..., None, None]
    )


def test_bprmf(z: Arrays) -> None:
    model, batch = bprmf(z, regularised=False)
    close(model(batch).item(), z["bprmf_loss"])
    model, batch = bprmf(z, regularised=True)
    objective = model(batch)
    objective.backward()
    close(objective.item(), z["bprmf_obj"])
    close(model.user.grad[1], z["bprmf_grad_p"])
    assert not model.user.grad[0].any()
