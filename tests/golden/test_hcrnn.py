"""HCRNN against numbers of its equations, computed once in plain Python loops."""

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
    """Put arrays, side by side, into a weight."""
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.concatenate(arrays, -1)))


def close(ours: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), golden, rtol=0, atol=1e-10)


def hcrnn(z: Arrays, **settings: Any) -> HCRNN:
    """The golden weights; items 1..7 are the golden ones 0..6."""
    (count, dim), hidden = z["M_global"].shape, len(z["v_theta"])
    config = HCRNN.configure(
        {"embedding_dim": dim, "hidden_dim": hidden, "num_contexts": count, "dropout": 0, **settings}
    )
    model = HCRNN(config, Sizes(1, len(z["W_emb"]))).double().eval()
    variant, bi = config.variant, config.attention == "bi"
    fill(model.item, np.concatenate([np.zeros((1, dim)), z["W_emb"]]))
    for layer, name in ((model.shares.code, "e"), (model.shares.mean, "q1"), (model.shares.deviation, "q2")):
        fill(layer.weight, z[f"W_{name}"].T)
        fill(layer.bias, z[f"b_{name}"])
    fill(model.memory, z["M_global"])
    fill(model.memory_weight, z["W_theta_alpha"])
    fill(model.memory_attention, z["v_theta"])
    fill(model.read_weight, *(z[f"W_x{gate}"] for gate in "lzrh"))
    fill(model.read_bias, *(z[f"b_{gate}"] for gate in "lzrh"))
    fill(model.state_weight, z["W_h_alpha"], *(z[f"W_h{gate}"] for gate in "lzr"))
    fill(model.local_weight, z["W_cl"])
    fill(model.update_weight, z["W_cz"])
    fill(model.reset_weight, z["W_cr"] if variant == 1 else z["W_d"])
    fill(model.new_weight, z["W_hh"])
    if variant == 3:
        fill(model.drift_bias, z["b_d"])
    fill(model.last_weight, z["W_ha1"])
    fill(model.each_weight, z["W_ha2"])
    fill(model.attention, z["v_h"])
    if bi:
        fill(model.local_last_weight, z["W_ca1"])
        fill(model.local_each_weight, z["W_ca2"])
    fill(model.decoder, z["W_B" if bi else "W_B2"].T)
    return model


@VARIANTS
@pytest.mark.parametrize("each", [False, True])
def test_the_cell(z: Arrays, variant: int, each: bool) -> None:
    """theta once for the row, or the same anew at each step."""
    model = hcrnn(z, variant=variant)
    item, theta = torch.from_numpy(z["x"]), torch.from_numpy(z["theta"])[None]
    if each:
        theta = theta.expand(len(item), -1)
    done = cell_activations(
        [1] * len(item), item, model._gates(item), theta=theta, weights=model._weights, reset_input=model._reads
    )
    golden = {key.removeprefix(f"v{variant}_"): value for key, value in z.items() if key.startswith(f"v{variant}_")}
    close(done.alpha, golden["alpha"])
    close(done.candidate, golden["c_tilde"])
    close(done.gates, np.concatenate([golden["G_c"], golden["z"], golden["r"]], 1))
    close(done.drift, golden.get("G_d", np.ones_like(golden["h"])))
    close(done.new, np.tanh(golden["h_tilde"]))
    close(done.local, golden["c"])
    close(done.state, golden["h"])


def test_the_cell_of_the_program(z: Arrays) -> None:
    model = hcrnn(z, variant=1, reset_context="before")
    item, theta = torch.from_numpy(z["x"]), torch.from_numpy(z["theta"])[None]
    done = cell_activations(
        [1] * len(item), item, model._gates(item), theta=theta, weights=model._weights, reset_input=model._reads
    )
    close(done.state, z["v1code_h"])
    close(done.local, z["v1code_c"])
    close(done.gates[:, -len(z["v_theta"]) :], z["v1code_r"])


def test_the_projection_is_taken_from_the_start(z: Arrays) -> None:
    np.testing.assert_array_equal(np.maximum(z["W_d_raw"], 0), z["W_d"])
    for variant in (2, 3):
        assert HCRNN(HCRNN.configure({"variant": variant}), Sizes(1, 5)).reset_weight.min() == 0


def test_theta(z: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network behind the code f, which an ELU of the identity lets through where it is positive."""
    model = hcrnn(z)
    code = torch.from_numpy(z["f_x"])[None]
    monkeypatch.setattr(torch.nn.functional, "elu", lambda _: code)
    mean, deviation, divergence = found = model.shares.posterior(torch.zeros_like(code))
    close(mean[0], z["mu"])
    close(deviation[0].log(), z["log_sigma"])
    close(divergence[0], z["kl"])
    close(model.shares.draw(found)[0], z["theta_eval"])
    monkeypatch.setattr(torch, "randn_like", lambda _: torch.from_numpy(z["eps"])[None])
    close(model.train().shares.draw(found)[0], z["theta"])
    close(mean[0] + deviation[0] * torch.from_numpy(z["eps"]), z["theta_tilde"])


def test_theta_of_the_program(z: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hcrnn(z, sigma_parametrization="softplus")
    history = torch.from_numpy(z["prefix"])[None] + 1
    bag = bags(history, model.item[history])[:, -1]
    close(bag[0], z["bag_code"])
    close(torch.nn.functional.elu(model.shares.code(bag))[0], z["f_code"])
    mean, deviation, divergence = found = model.shares.posterior(bag)
    close(mean[0], z["mu_code"])
    close(deviation[0], z["std_code"])
    close(divergence[0], z["kl_code"])
    close(model.shares.draw(found)[0], z["theta_code_eval"])
    monkeypatch.setattr(torch, "randn_like", lambda _: torch.from_numpy(z["eps"])[None])
    close(model.train().shares.draw(found)[0], z["theta_code"])


def asked_everywhere(z: Arrays) -> tuple[Contexts, AttentionPairs]:
    """The states of HCRNN-3, and a question after each of its steps."""
    states = Contexts(torch.from_numpy(z["v3_h"]), torch.from_numpy(z["v3_c"]))
    question, step = torch.ones(len(z["x"]), len(z["x"])).tril().nonzero().T
    return states, AttentionPairs(question, step, step)


def test_attention_of_two_channels(z: Arrays) -> None:
    model = hcrnn(z)
    states, attention_pairs = asked_everywhere(z)
    features, shares = model._features(states, states, attention_pairs)
    close(shares["local_attention"], z["alpha_c"])
    close(shares["attention"], z["alpha_h"])
    close(features, np.concatenate([z["v3_h"], z["h_c"], z["h_h"]], 1))
    logits = model._decoded(features) @ model.item[1:].T
    close(logits, z["logits"])
    close(logits.softmax(1), z["y_hat"])
    loss = torch.nn.functional.cross_entropy(logits[-1:], torch.tensor([int(z["target"])]))
    close(loss, z["nll_last"])
    asked = SequenceBatch(
        torch.tensor([1]),
        torch.tensor([[1]]),
        torch.tensor([[int(z["target"]) + 1]]),
        target_mask=torch.tensor([[True]]),
    )
    close(model.ranked(model._decoded(features)[-1:, None], asked), z["nll_last"])


def test_attention_of_the_program(z: Arrays) -> None:
    model = hcrnn(z, attention_scale="embedding_dim")
    states, attention_pairs = asked_everywhere(z)
    features, shares = model._features(states, states, attention_pairs)
    close(shares["local_attention"][-1], z["alpha_c_code"])
    close(model._decoded(features)[-1] @ model.item[1:].T, z["logits_code_last"])


def test_attention_of_one_channel(z: Arrays) -> None:
    model = hcrnn(z, attention="single")
    states, attention_pairs = asked_everywhere(z)
    close(
        model._decoded(model._features(states, states, attention_pairs)[0])[-1] @ model.item[1:].T, z["logits_single"]
    )


@VARIANTS
def test_how_many_weights_there_are(variant: int) -> None:
    """The sizes of the paper's settings, worked out by hand from the equations."""
    decoders = {"bi": 70_100, "single": 40_100}
    for attention, decoder in decoders.items():
        model = HCRNN(HCRNN.configure({"variant": variant, "attention": attention}), Sizes(1, 7))
        sizes = {name: weight.numel() for name, weight in model.named_parameters()}
        inference = {name: size for name, size in sizes.items() if name.startswith("shares.")}
        outside = {"item", "decoder", "attention"} | {
            name for name in sizes if name.endswith(("last_weight", "each_weight"))
        }
        cell = {name: size for name, size in sizes.items() if name not in outside | set(inference)}
        assert sum(inference.values()) == 20_200
        assert sum(cell.values()) == (135_600 if variant == 3 else 135_500)
        assert sum(sizes[name] for name in outside - {"item"}) == decoder
