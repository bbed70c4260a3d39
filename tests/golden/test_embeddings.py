"""Item2Vec, Meta-Prod2Vec and NeuMF against numbers of plain loops. Golden ids count from 0, ours from 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.cooccurrence import CooccurrencePairs
from segue.batches.negative_sampling import PopularityNegatives
from segue.data import synthetic
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.factorization.item2vec import Item2Vec
from segue.models.factorization.mp2vec import MP2Vec
from segue.models.factorization.neumf import NeuMF

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden: Any) -> Arrays:
    return golden("baselines")


def sessions(z: Arrays) -> Log:
    """One user a session; -1 is padding."""
    rows = [[int(item) + 1 for item in row if item >= 0] for row in z["sessions"]]
    return synthetic.from_sequences(rows, num_items=len(z["pop_supp"]))


def pairs(token: np.ndarray, context: np.ndarray, negative: np.ndarray) -> SequenceBatch:
    """One pair a row; the negatives (B, G) are 0 where there is none."""
    one = torch.from_numpy(np.asarray(token)[:, None]), torch.from_numpy(np.asarray(context)[:, None])
    drawn = torch.from_numpy(np.asarray(negative)[:, None, None])
    mask = torch.ones(len(one[0]), 1, dtype=torch.bool)
    return SequenceBatch(torch.zeros(len(one[0]), dtype=torch.long), *one, mask, drawn)


def put(weight: torch.Tensor, value: np.ndarray) -> None:
    weight.copy_(torch.from_numpy(np.asarray(value)).reshape(weight.shape))


def test_item2vec(z: Arrays) -> None:
    items, dim = z["i2v_u"].shape
    model = Item2Vec(Item2Vec.configure({"embedding_dim": dim}), Sizes(1, items)).double().requires_grad_(False)
    put(model.token[1:], z["i2v_u"])
    put(model.context[1:], z["i2v_v"])
    item, partner = z["i2v_pairs"].T + 1
    loss = float(model(pairs(item, partner, np.tile(z["i2v_neg"] + 1, (len(item), 1)))))
    assert loss == pytest.approx(float(z["i2v_loss"]), abs=1e-10)


def test_item2vec_draws_from_the_golden_distributions(z: Arrays) -> None:
    log = sessions(z)
    chance = np.exp(PopularityNegatives(log.counts(), 0.75).log_expected_count(1)[1:])
    np.testing.assert_allclose(chance, z["i2v_p_neg"], rtol=0, atol=1e-10)
    kept = CooccurrencePairs(log, float(z["i2v_rho"])).keep_probability[1:]
    np.testing.assert_allclose(1 - kept, z["i2v_discard"], rtol=0, atol=1e-10)


def test_item2vec_pairs_are_those_of_a_set(z: Arrays) -> None:
    log = synthetic.from_sequences([[int(item) + 1 for item in z["i2v_set"]]], num_items=6)
    drawn = np.concatenate([np.stack(two, 1) for two in CooccurrencePairs(log).pairs(100, 2, np.random.default_rng(0))])
    assert {*map(tuple, drawn.tolist())} == {*map(tuple, (z["i2v_pairs"] + 1).tolist())}


def test_mp2vec(z: Arrays) -> None:
    """All five terms out of one pair of items, and their weighted sum."""
    items, dim = z["i2v_u"].shape
    settings = {
        "embedding_dim": dim,
        "feature_column": "kind",
        "max_features_per_item": 1,
        "weight": float(z["mp2v_lam"]),
    }
    model = MP2Vec(MP2Vec.configure(settings), Sizes(1, items, num_features=3)).double().requires_grad_(False)
    put(model.token[1:], np.concatenate([z["i2v_u"], z["mp2v_um"]]))
    put(model.context[1:], np.concatenate([z["i2v_v"], z["mp2v_vm"]]))
    meta = np.concatenate([[0], z["mp2v_meta"] + 1])[:, None]
    model.features.set_features(meta, ["a", "b", "c"])
    i, j = z["mp2v_pair"] + 1
    token, context = model.company(np.array([i]), np.array([j]))
    of_item, of_feature = [*(z["mp2v_negI"] + 1)], [*(z["mp2v_negM"] + 1 + items), 0]
    negative = np.array([of_item if one <= items else of_feature for one in context])
    feature = [int(meta[one, 0]) + items for one in (i, j)]
    golden = dict(
        zip(
            [(i, j), (i, feature[1]), (feature[0], j), (feature[0], feature[1]), (feature[0], i)],
            z["mp2v_terms"],
            strict=True,
        )
    )
    batch = pairs(token, context, negative)
    surprise = model.surprise(batch).numpy()
    found = {(int(a), int(b)): float(s) for a, b, s in zip(token, context, surprise, strict=True)}
    assert found == pytest.approx(golden, abs=1e-10)
    assert float(model(batch)) == pytest.approx(float(z["mp2v_loss"]), abs=1e-10)


def test_neumf(z: Arrays) -> None:
    """The logit of one user and one item, asked alone, among all items, and within the loss."""
    half = len(z["neumf_p_M"])
    tower = (len(z["neumf_b1"]), len(z["neumf_b2"]))
    settings = {
        "embedding_dim": len(z["neumf_p_G"]),
        "mlp_embedding_dim": half,
        "mlp_hidden_dims": tower,
        "pretrain_epochs": 0,
    }
    model = NeuMF(NeuMF.configure(settings), Sizes(1, 2)).double().requires_grad_(False)
    for table, name in ((model.user, "p_G"), (model.item, "q_G"), (model.tower_user, "p_M"), (model.tower_item, "q_M")):
        put(table[1], z[f"neumf_{name}"])
    for layer, place in zip(model.layers, "12", strict=True):
        put(layer.weight, z[f"neumf_W{place}"])  # type: ignore[arg-type]
        put(layer.bias, z[f"neumf_b{place}"])  # type: ignore[arg-type]
    dim = len(z["neumf_p_G"])
    put(model.product_logit.weight, z["neumf_h"][:dim])
    put(model.tower_logit.weight, z["neumf_h"][dim:])
    put(model.tower_logit.bias, z["neumf_hb"])
    logit = float(z["neumf_logit"])
    user = torch.tensor([1])
    asked = Batch(user, torch.zeros(1, 0, dtype=torch.long))
    assert float(model.score(asked)[0, 1]) == pytest.approx(logit, abs=1e-10)
    assert float(sum(model.halves(user, torch.tensor([[1]])))) == pytest.approx(logit, abs=1e-10)
    negative, positive = z["neumf_bce"]
    mask, drawn = torch.ones(1, 1).bool(), torch.tensor([[[[1, 0]]]])
    batch = SequenceBatch(user, asked.history, torch.tensor([[1]]), mask, drawn)
    assert float(model(batch)) == pytest.approx(float(positive + negative), abs=1e-10)
