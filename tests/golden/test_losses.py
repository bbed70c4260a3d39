"""Losses against numbers of their formulas, computed once in plain Python loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batch import Batch
from segue.losses import bpr, cross_entropy
from segue.model import Sizes
from segue.models.bprmf import BPRMF

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


def bprmf(z: Arrays, regularised: bool) -> tuple[BPRMF, Batch]:
    """One user, a positive item 1 and a negative item 2."""
    settings = {"dim": len(z["bprmf_p"]), "bias": False, "l2": float(z["bprmf_lam"]) * regularised}
    model = BPRMF(BPRMF.configure(settings), Sizes(1, 2)).double()
    with torch.no_grad():
        model.user[1] = torch.from_numpy(z["bprmf_p"])
        model.item[1], model.item[2] = torch.from_numpy(z["bprmf_qi"]), torch.from_numpy(z["bprmf_qj"])
    one = torch.ones(1, 1, dtype=torch.long)
    return model, Batch(one.flatten(), torch.empty(1, 0, dtype=torch.long), one, 2 * one[..., None, None], one > 0)


def test_bprmf(z: Arrays) -> None:
    model, batch = bprmf(z, regularised=False)
    close(model(batch).item(), z["bprmf_loss"])
    model, batch = bprmf(z, regularised=True)
    objective = model(batch)
    objective.backward()
    close(objective.item(), z["bprmf_obj"])
    close(model.user.grad[1], z["bprmf_grad_p"])
    assert not model.user.grad[0].any()
