"""HCRNN against numbers of its equations, computed in plain Python loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.batches.batch import SequenceBatch
from segue.models.base.model import Sizes
from segue.models.sequential.hcrnn.cell import Contexts, cell_activations
from segue.models.sequential.hcrnn.model import HCRNN
from segue.models.sequential.hcrnn.ragged_attention import AttentionPairs
from segue.models.sequential.hcrnn.topic_posterior import bags

Arrays = dict[str, np.ndarray]
VARIANTS = pytest.mark.parametrize("variant", [1, 2, 3])


@pytest.fixture
def z(golden) -> Arrays:
    return golden("hcrnn")


def fill(weight: Tensor, *arrays: np.ndarray) -> None:
    """Copy arrays, concatenated along the last axis, into a weight."""
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.concatenate(arrays, -1)))


def assert_close(actual: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), golden, rtol=0, atol=1e-10)


def hcrnn(z: Arrays, **settings: Any) -> HCRNN:
    """An HCRNN with the weights of the arrays; items 1..7 are the items 0..6 of the arrays."""
    (count, dim), hidden = z["M_global"].shape, len(z["v_theta"])
    config = HCRNN.configure(
        {"embedding_dim": dim, "hidden_dim": hidden, "num_contexts": count, "dropout": 0, **settings}
    )
    model = HCRNN(config, Sizes(1, len(z["W_emb"]))).double().eval()
    variant, bi = config.variant, config.attention == "bi"
    fill(model.item_embedding, np.concatenate([np.zeros((1, dim)), z["W_emb"]]))
    for layer, name in (
        (model.topic_posterior.code, "e"),
        (model.topic_posterior.mean, "q1"),
        (model.topic_posterior.deviation, "q2"),
    ):
        fill(layer.weight, z[f"W_{name}"].T)
        fill(layer.bias, z[f"b_{name}"])
    fill(model.global_contexts, z["M_global"])
    fill(model.theta_weight, z["W_theta_alpha"])
    fill(model.context_attention, z["v_theta"])
    fill(model.input_weight, *(z[f"W_x{gate}"] for gate in "lzrh"))
    fill(model.input_bias, *(z[f"b_{gate}"] for gate in "lzrh"))
    fill(model.state_weight, z["W_h_alpha"], *(z[f"W_h{gate}"] for gate in "lzr"))
    fill(model.local_weight, z["W_cl"])
    fill(model.update_weight, z["W_cz"])
    fill(model.reset_weight, z["W_cr"] if variant == 1 else z["W_d"])
    fill(model.new_weight, z["W_hh"])
    if variant == 3:
        fill(model.drift_bias, z["b_d"])
    fill(model.attention_query, z["W_ha1"])
    fill(model.attention_key, z["W_ha2"])
    fill(model.attention_vector, z["v_h"])
    if bi:
        fill(model.local_query, z["W_ca1"])
        fill(model.local_key, z["W_ca2"])
    fill(model.decoder, z["W_B" if bi else "W_B2"].T)
    return model


@VARIANTS
@pytest.mark.parametrize("theta_per_step", [False, True])
def test_cell_activations(z: Arrays, variant: int, theta_per_step: bool) -> None:
    """theta is given once for the row, or the same theta for each step."""
    model = hcrnn(z, variant=variant)
    item, theta = torch.from_numpy(z["x"]), torch.from_numpy(z["theta"])[None]
    if theta_per_step:
        theta = theta.expand(len(item), -1)
    activations = cell_activations(
        [1] * len(item),
        item,
        model._project_inputs(item),
        theta=theta,
        weights=model._weights,
        reset_input=model._reset_input,
    )
    golden = {key.removeprefix(f"v{variant}_"): value for key, value in z.items() if key.startswith(f"v{variant}_")}
    assert_close(activations.alpha, golden["alpha"])
    assert_close(activations.candidate, golden["c_tilde"])
    assert_close(activations.gates, np.concatenate([golden["G_c"], golden["z"], golden["r"]], 1))
    assert_close(activations.drift, golden.get("G_d", np.ones_like(golden["h"])))
    assert_close(activations.new, np.tanh(golden["h_tilde"]))
    assert_close(activations.local, golden["c"])
    assert_close(activations.state, golden["h"])


def test_cell_activations_of_the_authors_program(z: Arrays) -> None:
    model = hcrnn(z, variant=1, reset_context="previous")
    item, theta = torch.from_numpy(z["x"]), torch.from_numpy(z["theta"])[None]
    activations = cell_activations(
        [1] * len(item),
        item,
        model._project_inputs(item),
        theta=theta,
        weights=model._weights,
        reset_input=model._reset_input,
    )
    assert_close(activations.state, z["v1code_h"])
    assert_close(activations.local, z["v1code_c"])
    assert_close(activations.gates[:, -len(z["v_theta"]) :], z["v1code_r"])


def test_projection_weights_are_initialised_non_negative(z: Arrays) -> None:
    np.testing.assert_array_equal(np.maximum(z["W_d_raw"], 0), z["W_d"])
    for variant in (2, 3):
        assert HCRNN(HCRNN.configure({"variant": variant}), Sizes(1, 5)).reset_weight.min() == 0


def test_topic_posterior(z: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers after the code f; the ELU before them is replaced by a function that returns f."""
    model = hcrnn(z)
    code = torch.from_numpy(z["f_x"])[None]
    monkeypatch.setattr(torch.nn.functional, "elu", lambda _: code)
    mean, deviation, divergence = posterior = model.topic_posterior.posterior(torch.zeros_like(code))
    assert_close(mean[0], z["mu"])
    assert_close(deviation[0].log(), z["log_sigma"])
    assert_close(divergence[0], z["kl"])
    assert_close(model.topic_posterior.sample(posterior)[0], z["theta_eval"])
    monkeypatch.setattr(torch, "randn_like", lambda _: torch.from_numpy(z["eps"])[None])
    assert_close(model.train().topic_posterior.sample(posterior)[0], z["theta"])
    assert_close(mean[0] + deviation[0] * torch.from_numpy(z["eps"]), z["theta_tilde"])


def test_topic_posterior_of_the_authors_program(z: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hcrnn(z, sigma_parametrization="softplus")
    history = torch.from_numpy(z["prefix"])[None] + 1
    bag = bags(history, model.item_embedding[history])[:, -1]
    assert_close(bag[0], z["bag_code"])
    assert_close(torch.nn.functional.elu(model.topic_posterior.code(bag))[0], z["f_code"])
    mean, deviation, divergence = posterior = model.topic_posterior.posterior(bag)
    assert_close(mean[0], z["mu_code"])
    assert_close(deviation[0], z["std_code"])
    assert_close(divergence[0], z["kl_code"])
    assert_close(model.topic_posterior.sample(posterior)[0], z["theta_code_eval"])
    monkeypatch.setattr(torch, "randn_like", lambda _: torch.from_numpy(z["eps"])[None])
    assert_close(model.train().topic_posterior.sample(posterior)[0], z["theta_code"])


def queries_at_every_step(z: Arrays) -> tuple[Contexts, AttentionPairs]:
    """The states of HCRNN-3, and one query after each step, which attends to all steps up to it."""
    states = Contexts(torch.from_numpy(z["v3_h"]), torch.from_numpy(z["v3_c"]))
    query, step = torch.ones(len(z["x"]), len(z["x"])).tril().nonzero().T
    return states, AttentionPairs(query, step, step)


def test_bi_channel_attention_scores_and_loss(z: Arrays) -> None:
    model = hcrnn(z)
    states, attention_pairs = queries_at_every_step(z)
    features, weights = model._attend(states, states, attention_pairs)
    assert_close(weights["local_attention"], z["alpha_c"])
    assert_close(weights["attention"], z["alpha_h"])
    assert_close(features, np.concatenate([z["v3_h"], z["h_c"], z["h_h"]], 1))
    logits = model._decode(features) @ model.item_embedding[1:].T
    assert_close(logits, z["logits"])
    assert_close(logits.softmax(1), z["y_hat"])
    loss = torch.nn.functional.cross_entropy(logits[-1:], torch.tensor([int(z["target"])]))
    assert_close(loss, z["nll_last"])
    batch = SequenceBatch(
        torch.tensor([1]),
        torch.tensor([[1]]),
        torch.tensor([[int(z["target"]) + 1]]),
        target_mask=torch.tensor([[True]]),
    )
    assert_close(model.ranking_loss(model._decode(features)[-1:, None], batch), z["nll_last"])


def test_bi_channel_attention_of_the_authors_program(z: Arrays) -> None:
    model = hcrnn(z, attention_scale="embedding_dim")
    states, attention_pairs = queries_at_every_step(z)
    features, weights = model._attend(states, states, attention_pairs)
    assert_close(weights["local_attention"][-1], z["alpha_c_code"])
    assert_close(model._decode(features)[-1] @ model.item_embedding[1:].T, z["logits_code_last"])


def test_single_channel_attention_scores(z: Arrays) -> None:
    model = hcrnn(z, attention="single")
    states, attention_pairs = queries_at_every_step(z)
    assert_close(
        model._decode(model._attend(states, states, attention_pairs)[0])[-1] @ model.item_embedding[1:].T,
        z["logits_single"],
    )


@VARIANTS
def test_parameter_counts(variant: int) -> None:
    """The numbers of parameters with the settings of the paper, calculated by hand from the equations."""
    decoders = {"bi": 70_100, "single": 40_100}
    for attention, decoder in decoders.items():
        model = HCRNN(HCRNN.configure({"variant": variant, "attention": attention}), Sizes(1, 7))
        sizes = {name: weight.numel() for name, weight in model.named_parameters()}
        inference = {name: size for name, size in sizes.items() if name.startswith("topic_posterior.")}
        outside = {"item_embedding", "decoder", "attention_vector"} | {
            name for name in sizes if name in ("attention_query", "attention_key", "local_query", "local_key")
        }
        cell = {name: size for name, size in sizes.items() if name not in outside | set(inference)}
        assert sum(inference.values()) == 20_200
        assert sum(cell.values()) == (135_600 if variant == 3 else 135_500)
        assert sum(sizes[name] for name in outside - {"item_embedding"}) == decoder
