"""HGN against numbers of its equations, computed in plain Python loops.

Item ids in the arrays start at 0, in segue at 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.models.base.model import Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.models.sequential.hgn import HGN
from segue.nn.convolution import WindowConvolutions
from segue.nn.losses import bpr, l2_penalty

Arrays = dict[str, np.ndarray]

SCORES: dict[str, dict[str, Any]] = {
    "r_hat": {},
    "r_hat_max": {"pooling": "max"},
    "r_hat_author": {"pooling": "gate_avg", "item_bias": True},
    "r_F_avg": {"instance_gate": False, "item_item_product": False},
    "r_F_max": {"instance_gate": False, "item_item_product": False, "pooling": "max"},
    "r_I_avg": {"feature_gate": False, "item_item_product": False},
    "r_I_max": {"feature_gate": False, "item_item_product": False, "pooling": "max"},
    "r_FI_avg": {"item_item_product": False},
    "r_FI_max": {"item_item_product": False, "pooling": "max"},
    "r_bpr": {"window_encoder": "none", "item_item_product": False},
    "r_gru": {"window_encoder": "gru", "item_item_product": False},
    "r_cnn": {"window_encoder": "cnn", "item_item_product": False},
}
POOLED: dict[str, dict[str, Any]] = {
    "s_avg": {},
    "s_max": {"pooling": "max"},
    "s_wavg": {"pooling": "gate_avg"},
    "s_gru": {"window_encoder": "gru"},
    "s_cnn": {"window_encoder": "cnn"},
}


@pytest.fixture
def z(golden) -> Arrays:
    return golden("hgn")


def build(z: Arrays, **settings: Any) -> HGN:
    """HGN with the weights of the arrays, in double precision."""
    dim, items = z["E"].shape
    sizes = Sizes(num_users=z["U"].shape[1], num_items=items)
    model = (
        HGN(HGN.configure({"embedding_dim": dim, "window": z["W_g4"].shape[1], **settings}, "paper"), sizes)
        .double()
        .eval()
    )
    given = {name: torch.from_numpy(z[name]) for name in z if z[name].ndim}
    if model.config.window_encoder == "cnn":  # the arrays have other numbers of filters than the default
        vertical, horizontal = len(z["cnn_v_b"]), len(z["cnn_h_b1"])
        model.window_encoder = (
            WindowConvolutions(dim, model.window, num_vertical_filters=vertical, num_horizontal_filters=horizontal)
            .double()
            .eval()
        )
    with torch.no_grad():
        model.user_embedding[1:] = given["U"].T
        if model.config.reads_history:
            model.input_embedding[1:] = given["E"].T
        model.output_embedding[1:, :dim] = given["Q"].T
        if model.config.item_bias:
            model.output_embedding[1:, dim] = given["b_item"]
        if model.config.window_encoder in ("gru", "cnn"):
            for name, weight in group_weights(z, model.config.window_encoder).items():
                model.window_encoder.get_parameter(name).copy_(torch.from_numpy(weight))
        elif model.config.window_encoder == "gates" and model.config.feature_gate:
            model.feature_gate_item.weight.copy_(given["W_g1"])
            model.feature_gate_user.weight.copy_(given["W_g2"])
            model.feature_gate_user.bias.copy_(given["b_g"])
        if model.config.window_encoder == "gates" and model.config.instance_gate:
            model.instance_gate_item.copy_(given["w_g3"].view_as(model.instance_gate_item))
            model.instance_gate_user.copy_(given["W_g4"])
    return model


def group_weights(z: Arrays, group: str) -> dict[str, np.ndarray]:
    """The weights of a GRU or of convolutions, by the names of the parameters in segue."""
    if group == "gru":
        return {
            "cell.weight_ih": z["gru_W_ih"],
            "cell.weight_hh": z["gru_W_hh"],
            "cell.bias_ih": z["gru_b_ih"],
            "cell.bias_hh": z["gru_b_hh"],
        }
    weights = {"vertical.weight": z["cnn_v_W"], "vertical.bias": z["cnn_v_b"]}
    for height in range(1, z["cnn_v_W"].shape[1] + 1):
        weights[f"horizontal.{height - 1}.weight"] = z[f"cnn_h_W{height}"].transpose(0, 2, 1)  # torch: n_h d h
        weights[f"horizontal.{height - 1}.bias"] = z[f"cnn_h_b{height}"]
    return {**weights, "dense.weight": z["fc_W"], "dense.bias": z["fc_b"]}


def scored_batch(z: Arrays) -> Batch:
    return Batch(torch.from_numpy(z["users"]) + 1, torch.from_numpy(z["seqs"]) + 1)


def training_batch(z: Arrays) -> SequenceBatch:
    target, negative = (torch.from_numpy(z[name])[:, None] + 1 for name in ("pos", "neg"))
    batch = scored_batch(z)
    return SequenceBatch(batch.user, batch.history, target, target > 0, negative[..., None, None])


def short_term(model: HGN, batch: Batch) -> Tensor:
    """(B, d) the part of the query that comes from the history."""
    return model.query(batch) - model.user_embedding[batch.user]


def assert_close(actual: Tensor | float, golden: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(actual), golden, rtol=0, atol=1e-10)


@torch.inference_mode()
@pytest.mark.parametrize("name", SCORES)
def test_scores_of_each_ablation(z: Arrays, name: str) -> None:
    scores = build(z, **SCORES[name]).score(scored_batch(z))
    assert_close(scores[:, 1:], z[name])
    assert (scores[:, 0] == -torch.inf).all()


@torch.inference_mode()
@pytest.mark.parametrize("name", POOLED)
def test_pooling_of_equations_3_and_4(z: Arrays, name: str) -> None:
    assert_close(short_term(build(z, item_item_product=False, **POOLED[name]), scored_batch(z)), z[name])


@torch.inference_mode()
def test_feature_gate_of_equation_1(z: Arrays) -> None:
    model = build(z, instance_gate=False, item_item_product=False)
    batch = scored_batch(z)
    for position in range(model.window):
        history = torch.zeros_like(batch.history)
        history[:, -1] = batch.history[:, position]  # the mean over one item is that item
        gated = short_term(model, Batch(batch.user, history))
        assert_close(gated, z["S_F"][:, :, position])
        assert_close(gated.numpy() / z["S"][:, :, position], z["gate_F"][:, :, position])


@torch.inference_mode()
def test_instance_gate_of_equation_2(z: Arrays) -> None:
    """A padded position adds nothing to the pooled sum, so differences of these sums isolate each position."""
    model = build(z, item_item_product=False)
    batch = scored_batch(z)
    later = torch.zeros(z["s_avg"].shape, dtype=torch.double)
    for position in reversed(range(model.window)):
        history = batch.history.clone()
        history[:, :position] = 0
        total = short_term(model, Batch(batch.user, history)) * (model.window - position)
        gated = (total - later).numpy()
        assert_close(gated, z["S_I"][:, :, position])
        gate_input = z["S_F"][:, :, position]
        assert_close((gated * gate_input).sum(1) / (gate_input * gate_input).sum(1), z["gate_I"][:, position])
        later = total


@torch.inference_mode()
def test_item_item_products(z: Arrays) -> None:
    with_products, without = (build(z, item_item_product=on).score(scored_batch(z))[:, 1:] for on in (True, False))
    assert_close(with_products - without, z["item_item"])


@torch.inference_mode()
def test_bpr_row_of_table_4_equals_bprmf(z: Arrays) -> None:
    model = BPRMF(
        BPRMF.configure({"embedding_dim": z["E"].shape[0], "item_bias": False}), Sizes(z["U"].shape[1], z["E"].shape[1])
    )
    model.double()
    model.user_embedding[1:], model.item_embedding[1:] = torch.from_numpy(z["U"].T), torch.from_numpy(z["Q"].T)
    assert_close(model.score(scored_batch(z))[:, 1:], z["r_bpr"])


def test_objective_of_equation_6(z: Arrays) -> None:
    model, batch = build(z), training_batch(z)
    with torch.no_grad():
        scores = model.score(batch)
        row = torch.arange(len(batch))
        terms = bpr(scores[row, batch.target.flatten()] - scores[row, batch.negatives.flatten()])
        penalty = l2_penalty(model.parameters(), float(z["lam"]))
    assert_close(terms, z["bpr_terms"])
    assert_close(penalty, z["reg"])
    assert_close(terms.sum() + penalty, z["objective"])
    assert_close(model(batch).item(), z["bpr_terms"].sum())


def test_loss_of_each_training_example(z: Arrays) -> None:
    model, batch = build(z), training_batch(z)
    for row, term in enumerate(z["bpr_terms"]):
        assert_close(model(batch.shard(row, len(batch))).item(), term)


@pytest.mark.parametrize(("group", "weights"), [("gates", 5350), ("gru", 15300), ("cnn", 26154), ("none", 0)])
def test_parameter_counts_of_window_encoders_equal_the_paper(z: Arrays, group: str, weights: int) -> None:
    model = HGN(HGN.configure({"embedding_dim": 50, "window": 5, "window_encoder": group}), Sizes(3, 7))
    tables = {model.user_embedding, model.input_embedding, model.output_embedding}
    assert sum(weight.numel() for weight in model.parameters() if weight not in tables) == weights
    golden = {"gates": "gating"}.get(group, group)
    assert group == "none" or int(z[f"n_params_{golden}"]) == weights


def test_parameter_counts_of_the_gates_equal_the_paper(z: Arrays) -> None:
    dim, window = 50, 5
    model = HGN(HGN.configure({"embedding_dim": dim, "window": window}), Sizes(3, 7))
    tables = {model.user_embedding, model.input_embedding, model.output_embedding}
    gates = sum(weight.numel() for weight in model.parameters() if weight not in tables)
    assert gates == int(z["n_params_gating"]) == 2 * dim**2 + 2 * dim + dim * window == 5350
    # the authors' program writes b of (1) as the sum of two biases, and leaves W4 and w3 unregistered
    assert gates + dim == 5400
    assert gates + dim - dim * (window + 1) == 5100
