"""Item2Vec, Meta-Prod2Vec and NeuMF against numbers of plain Python loops.

Item ids in the arrays start at 0, in segue at 1.
"""

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
    """A log with one user per session; -1 is padding in the array."""
    rows = [[int(item) + 1 for item in row if item >= 0] for row in z["sessions"]]
    return synthetic.from_sequences(rows, num_items=len(z["pop_supp"]))


def pair_batch(token: np.ndarray, context: np.ndarray, negative: np.ndarray) -> SequenceBatch:
    """One (token, context) pair per row; the negatives (B, G) are 0 where there is none."""
    history, target = (torch.from_numpy(np.asarray(ids)[:, None]) for ids in (token, context))  # (B, 1)
    negatives = torch.from_numpy(np.asarray(negative)[:, None, None])  # (B, 1, 1, G)
    target_mask = torch.ones(len(history), 1, dtype=torch.bool)
    return SequenceBatch(torch.zeros(len(history), dtype=torch.long), history, target, target_mask, negatives)


def fill(weight: torch.Tensor, value: np.ndarray) -> None:
    weight.copy_(torch.from_numpy(np.asarray(value)).reshape(weight.shape))


def test_item2vec_loss(z: Arrays) -> None:
    items, dim = z["i2v_u"].shape
    model = Item2Vec(Item2Vec.configure({"embedding_dim": dim}), Sizes(1, items)).double().requires_grad_(False)
    fill(model.token_embedding[1:], z["i2v_u"])
    fill(model.context_embedding[1:], z["i2v_v"])
    item, partner = z["i2v_pairs"].T + 1
    loss = float(model(pair_batch(item, partner, np.tile(z["i2v_neg"] + 1, (len(item), 1)))))
    assert loss == pytest.approx(float(z["i2v_loss"]), abs=1e-10)


def test_item2vec_sampling_distributions(z: Arrays) -> None:
    log = sessions(z)
    probability = np.exp(PopularityNegatives(log.counts(), 0.75).log_expected_count(1)[1:])
    np.testing.assert_allclose(probability, z["i2v_p_neg"], rtol=0, atol=1e-10)
    keep_probability = CooccurrencePairs(log, float(z["i2v_rho"])).keep_probability[1:]
    np.testing.assert_allclose(1 - keep_probability, z["i2v_discard"], rtol=0, atol=1e-10)


def test_item2vec_pairs_are_all_pairs_of_a_session(z: Arrays) -> None:
    log = synthetic.from_sequences([[int(item) + 1 for item in z["i2v_set"]]], num_items=6)
    drawn = np.concatenate([np.stack(two, 1) for two in CooccurrencePairs(log).pairs(100, 2, np.random.default_rng(0))])
    assert {*map(tuple, drawn.tolist())} == {*map(tuple, (z["i2v_pairs"] + 1).tolist())}


def test_mp2vec_loss_and_its_terms(z: Arrays) -> None:
    """All five terms of one pair of items, and their weighted sum."""
    items, dim = z["i2v_u"].shape
    settings = {
        "embedding_dim": dim,
        "feature_column": "kind",
        "max_features_per_item": 1,
        "feature_weight": float(z["mp2v_lam"]),
    }
    model = MP2Vec(MP2Vec.configure(settings), Sizes(1, items, num_features=3)).double().requires_grad_(False)
    fill(model.token_embedding[1:], np.concatenate([z["i2v_u"], z["mp2v_um"]]))
    fill(model.context_embedding[1:], np.concatenate([z["i2v_v"], z["mp2v_vm"]]))
    meta = np.concatenate([[0], z["mp2v_meta"] + 1])[:, None]
    model.features.set_features(meta, ["a", "b", "c"])
    i, j = z["mp2v_pair"] + 1
    token, context = model.token_pairs(np.array([i]), np.array([j]))
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
    batch = pair_batch(token, context, negative)
    pair_loss = model.pair_loss(batch).numpy()
    actual = {(int(a), int(b)): float(s) for a, b, s in zip(token, context, pair_loss, strict=True)}
    assert actual == pytest.approx(golden, abs=1e-10)
    assert float(model(batch)) == pytest.approx(float(z["mp2v_loss"]), abs=1e-10)


def test_neumf_logit_and_loss(z: Arrays) -> None:
    """The logit of one user and one item: computed for the pair, as a score, and within the loss."""
    half = len(z["neumf_p_M"])
    tower = (len(z["neumf_b1"]), len(z["neumf_b2"]))
    settings = {
        "embedding_dim": len(z["neumf_p_G"]),
        "mlp_embedding_dim": half,
        "mlp_hidden_dims": tower,
        "pretrain_epochs": 0,
    }
    model = NeuMF(NeuMF.configure(settings), Sizes(1, 2)).double().requires_grad_(False)
    for table, name in (
        (model.user_embedding, "p_G"),
        (model.item_embedding, "q_G"),
        (model.mlp_user_embedding, "p_M"),
        (model.mlp_item_embedding, "q_M"),
    ):
        fill(table[1], z[f"neumf_{name}"])
    for layer, number in zip(model.mlp, "12", strict=True):
        fill(layer.weight, z[f"neumf_W{number}"])  # type: ignore[arg-type]
        fill(layer.bias, z[f"neumf_b{number}"])  # type: ignore[arg-type]
    dim = len(z["neumf_p_G"])
    fill(model.gmf_logit.weight, z["neumf_h"][:dim])
    fill(model.mlp_logit.weight, z["neumf_h"][dim:])
    fill(model.mlp_logit.bias, z["neumf_hb"])
    logit = float(z["neumf_logit"])
    user = torch.tensor([1])
    scored = Batch(user, torch.zeros(1, 0, dtype=torch.long))
    assert float(model.score(scored)[0, 1]) == pytest.approx(logit, abs=1e-10)
    assert float(sum(model.logits(user, torch.tensor([[1]])))) == pytest.approx(logit, abs=1e-10)
    negative, positive = z["neumf_bce"]
    target_mask, negatives = torch.ones(1, 1).bool(), torch.tensor([[[[1, 0]]]])
    batch = SequenceBatch(user, scored.history, torch.tensor([[1]]), target_mask, negatives)
    assert float(model(batch)) == pytest.approx(float(positive + negative), abs=1e-10)
