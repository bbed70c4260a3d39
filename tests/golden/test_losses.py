"""Losses against numbers of their formulas, computed in plain Python loops."""

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


def assert_close(actual: Any, golden: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(actual), golden, rtol=0, atol=1e-10)


def test_bpr_with_in_batch_negatives(z: Arrays) -> None:
    scores = torch.from_numpy(z["R"])
    rows, columns = scores.shape
    is_negative = ~torch.eye(rows, columns, dtype=torch.bool)
    terms = bpr(scores.diagonal()[:, None] - scores)
    assert_close((terms * is_negative).sum(1) / (columns - 1), z["bpr"])
    assert_close(terms.sum(1), z["bpr_code"])


def test_cross_entropy(z: Arrays) -> None:
    scores = torch.from_numpy(z["R"])  # the positive of row b is column b, which is item b + 1
    assert_close(cross_entropy(scores, torch.arange(len(scores)) + 1), z["xe"])


def in_batch_scores(scores: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(positive, negative, mask): the positive of row b is column b, all other columns are its negatives."""
    matrix = torch.from_numpy(scores)
    return matrix.diagonal().clone(), matrix.clone(), ~torch.eye(*matrix.shape, dtype=torch.bool)


def diagonal_index(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(row, column) of the entries that are no negatives."""
    return torch.arange(rows), torch.arange(rows)


def test_top1_and_top1_max(z: Arrays) -> None:
    loss, columns = losses.top1(*in_batch_scores(z["R"])), z["R"].shape[1]
    assert_close(loss, z["top1"])
    assert_close(loss * (columns - 1) / columns + 1 / (2 * columns), z["top1_code"])
    assert_close(losses.top1_max(*in_batch_scores(z["R"])), z["top1_max"])


def test_mean_bpr_is_a_scaled_sum_in_the_authors_program(z: Arrays) -> None:
    loss, columns = losses.mean_bpr(*in_batch_scores(z["R"])), z["R"].shape[1]
    assert_close(loss, z["bpr"])
    assert_close(loss * (columns - 1) + np.log(2), z["bpr_code"])


@pytest.mark.parametrize("bpreg", ["0", "1", "1.95"])
def test_bpr_max(z: Arrays, bpreg: str) -> None:
    positive, negative, mask = in_batch_scores(z["R"])
    assert_close(losses.bpr_max(positive, negative, mask, float(bpreg)), z[f"bpr_max_{bpreg}"])
    loss, _, _ = losses.bpr_max_with_grad(positive, negative, diagonal_index(len(positive)), float(bpreg))
    assert_close(loss, z[f"bpr_max_{bpreg}"])


def test_bpr_max_with_elu_scores(z: Arrays) -> None:
    model = GRU4RecPlus(GRU4RecPlus.configure({"embedding_dim": 2}), Sizes(1, 2))
    scores = model.activate(torch.from_numpy(z["R"])).numpy()
    assert_close(scores, z["R_elu05"])
    assert_close(losses.bpr_max(*in_batch_scores(scores)), z["bpr_max_elu05_1"])


def test_softmax_over_the_negatives(z: Arrays) -> None:
    _, negative, mask = in_batch_scores(z["R"])
    assert_close(losses.negatives_softmax(negative, mask), z["softmax_neg"])


def test_bpr_max_gradient(z: Arrays) -> None:
    """The expected gradient is a finite difference, accurate to eight digits."""
    positive, negative, _ = in_batch_scores(z["R"])
    _, positive_grad, negative_grad = losses.bpr_max_with_grad(positive, negative, diagonal_index(len(positive)))
    negative_grad.diagonal().add_(positive_grad)
    np.testing.assert_allclose(negative_grad, z["bpr_max_1_grad"], rtol=0, atol=1e-8)


def test_cross_entropy_with_in_batch_negatives(z: Arrays) -> None:
    positive, negative, mask = in_batch_scores(z["R"])
    assert_close(losses.sampled_cross_entropy(positive, negative, mask), z["xe"])
    loss, _, _ = losses.sampled_cross_entropy_with_grad(positive, negative, diagonal_index(len(positive)))
    assert_close(loss, z["xe"])


@pytest.mark.parametrize("alpha", ["0", "0.5", "0.75", "1"])
def test_popularity_sampling_distribution(z: Arrays, alpha: str) -> None:
    log = synthetic.from_sequences([np.repeat(np.arange(1, len(z["supp"]) + 1), z["supp"]).tolist()])
    assert_close(
        np.exp(PopularityNegatives(log.counts(), float(alpha)).log_expected_count(1)[1:]), z[f"p_alpha_{alpha}"]
    )


def bprmf(z: Arrays, regularised: bool) -> tuple[BPRMF, SequenceBatch]:
    """A model with the weights of the arrays, and a batch of one user, positive item 1 and negative item 2."""
    settings = {"embedding_dim": len(z["bprmf_p"]), "item_bias": False, "l2": float(z["bprmf_lam"]) * regularised}
    model = BPRMF(BPRMF.configure(settings), Sizes(1, 2)).double()
    with torch.no_grad():
        model.user_embedding[1] = torch.from_numpy(z["bprmf_p"])
        model.item_embedding[1], model.item_embedding[2] = (
            torch.from_numpy(z["bprmf_qi"]),
            torch.from_numpy(z["bprmf_qj"]),
        )
    user, history, target = torch.tensor([1]), torch.empty(1, 0, dtype=torch.long), torch.tensor([[1]])
    return model, SequenceBatch(user, history, target, target > 0, negatives=torch.tensor([[[[2]]]]))


def test_bprmf_loss_objective_and_gradient(z: Arrays) -> None:
    model, batch = bprmf(z, regularised=False)
    assert_close(model(batch).item(), z["bprmf_loss"])
    model, batch = bprmf(z, regularised=True)
    objective = model(batch)
    objective.backward()
    assert_close(objective.item(), z["bprmf_obj"])
    assert_close(model.user_embedding.grad[1], z["bprmf_grad_p"])
    assert not model.user_embedding.grad[0].any()
