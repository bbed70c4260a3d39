"""IARN and its backbones against numbers of plain Python loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.models.ratings.iarn.config import IARNConfig
from segue.models.ratings.iarn.feature_encoder import FeatureEncoder
from segue.models.ratings.iarn.gated_rnn import GatedRNN, run_gated
from segue.models.ratings.iarn.history_network import EncodedHistory, HistoryNetwork

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden: Any) -> Arrays:
    return golden("iarn")


def fill_linear(linear: torch.nn.Linear, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(np.zeros(len(linear.bias)) if bias is None else bias))


def fill_rnn(rnn: GatedRNN, input_weight: np.ndarray, state_weight: np.ndarray, bias: np.ndarray) -> None:
    fill_linear(rnn.input, input_weight, bias)
    fill_linear(rnn.state, state_weight)


def history_network(z: Arrays, name: str, backbone: Any, **settings: Any) -> HistoryNetwork:
    """The network of one side with the weights of the arrays; the bias beside M is 0."""
    sizes = {"embedding_dim": 5, "context_dim": 4, "hidden_dim": 3}
    network = HistoryNetwork(IARNConfig(backbone=backbone, **sizes, **settings)).double().eval()
    if backbone == "lstm":
        order = np.r_[0:9, 9:12]  # input, forget, output, candidate: the same order as in HistoryNetwork
        weights = (z[f"lstm_{w}_{name}"][order] for w in ("Wx", "Wh", "b"))
        fill_rnn(network.recurrence, *weights)
    else:
        fill_rnn(network.recurrence, z[f"H_{name}"], z[f"W_{name}"], z[f"b_{name}"])
    if backbone in ("iarn", "tagm"):
        for part, letter in ((network.forward_rnn, "f"), (network.backward_rnn, "b")):
            fill_rnn(part, z[f"Wx_{name}{letter}"], z[f"Hh_{name}{letter}"], z[f"bb_{name}{letter}"])
        tagm = "T" if backbone == "tagm" else ""
        fill_linear(network.fusion, z[f"L{tagm}_{name}"], z[f"bp{tagm}_{name}"])
        fill_linear(network.gate, z[f"M{tagm}_{name}"][None])
    fill_linear(network.output[0], z[f"Wt_{name}"], z[f"bt_{name}"])  # type: ignore[arg-type]
    with torch.no_grad():
        network.output[1].weight.fill_(float(z["prelu_a"]))  # type: ignore[operator, union-attr]
    return network


def assert_close(actual: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), golden, rtol=0, atol=1e-10)


def encode_features(z: Arrays, encoder: Any, x: Tensor, tanh: bool) -> Tensor:
    """E_v of the features 0 (leaf), 1 and 2 (root) of the arrays, whose ids in segue are 1, 2 and 3."""
    feature_encoder = FeatureEncoder(1, 3, 4, 5, encoder, tanh=tanh).double()
    feature_encoder.set_features(np.array([[0, 0, 0], [3, 2, 1]]), ["leaf", "middle", "root"])
    with torch.no_grad():
        feature_encoder.matrix[1:] = torch.from_numpy(z["M_k"])
    return feature_encoder(x, torch.ones(x.shape[1], dtype=torch.long))


def both_sides(
    z: Arrays, backbone: Any, feature_encoder: str = "none", tanh_encoder: bool = False, **settings: Any
) -> list[tuple[HistoryNetwork, EncodedHistory]]:
    """The network of each side, and its encoding of the history in the arrays."""
    sides = []
    for name, inputs in (("u", z["x_i"]), ("v", z["x_j"])):
        network, x = history_network(z, name, backbone, **settings), torch.from_numpy(inputs)[:, None]
        if name == "v" and feature_encoder != "none":
            x = encode_features(z, feature_encoder, x, tanh_encoder)
            prefix = {"flat": "flat", "hierarchical": "codehier" if tanh_encoder else "hier"}[feature_encoder]
            assert_close(x[:, 0], z[f"{prefix}_E_v"])
        # two steps of padding in front, and a second, shorter row in the batch
        x = torch.cat([torch.zeros_like(x[:2]), x]).expand(-1, 2, -1).clone()
        mask = torch.ones(x.shape[:2], dtype=torch.double)
        mask[:2] = 0
        mask[:4, 1] = 0
        sides.append((network, network.encode(x, mask)))
    return sides


@pytest.mark.parametrize(
    ("prefix", "backbone", "settings"),
    [
        ("plain", "iarn", {}),
        ("code", "iarn", {"activation": "softplus", "gate_scale": 2.0, "interaction_scale": 0.25}),
        ("flat", "iarn", {"feature_encoder": "flat"}),
        ("hier", "iarn", {"feature_encoder": "hierarchical"}),
        (
            "codehier",
            "iarn",
            {
                "feature_encoder": "hierarchical",
                "tanh_encoder": True,
                "activation": "softplus",
                "gate_scale": 2.0,
                "interaction_scale": 0.25,
            },
        ),
        ("tagm", "tagm", {}),
        ("rnn", "rnn", {}),
        ("lstm", "lstm", {}),
    ],
)
def test_gates_states_and_ratings_of_each_backbone(
    z: Arrays, prefix: str, backbone: str, settings: dict[str, Any]
) -> None:
    (user_network, user), (item_network, item) = both_sides(z, backbone, **settings)
    if backbone in ("iarn", "tagm"):
        for network, encoded, other, attention in (
            (user_network, user, item, "a_i"),
            (item_network, item, user, "a_j"),
        ):
            gates = network.gates(encoded, other.summary)
            assert_close(gates[2:, 0], z[f"{prefix}_{attention}"])
            assert not gates[:2].any()
    if backbone != "lstm":
        for network, encoded, other, states in ((user_network, user, item, "u"), (item_network, item, user, "v")):
            gates = network.gates(encoded, other.summary)
            actual = run_gated(encoded.inputs, gates, network.recurrence.state.weight, "relu")
            assert_close(actual[2:, 0], z[f"{prefix}_{states}"])
    user_state = user_network.pair_state(user, item.summary)
    item_state = item_network.pair_state(item, user.summary)
    rating = (user_state * item_state).sum(1)[0]
    if backbone == "iarn":
        assert_close(user_state[0], z[f"{prefix}_u_tilde"])
        assert_close(item_state[0], z[f"{prefix}_v_tilde"])
        assert_close((rating - float(z["r_true"])) ** 2, z[f"{prefix}_loss"])
    assert_close(rating, z[f"{prefix}_r"])


@pytest.mark.parametrize(("prefix", "activation"), [("plain", "relu"), ("code", "softplus")])
def test_bidirectional_states(z: Arrays, prefix: str, activation: Any) -> None:
    for name, x in (("u", z["x_i"]), ("v", z["x_j"])):
        network, inputs = history_network(z, name, "iarn"), torch.from_numpy(x)[:, None]
        mask = torch.ones(inputs.shape[:2], dtype=torch.double)
        forward = run_gated(network.forward_rnn.project(inputs), mask, network.forward_rnn.state.weight, activation)
        backward = run_gated(
            network.backward_rnn.project(inputs.flip(0)), mask, network.backward_rnn.state.weight, activation
        ).flip(0)
        assert_close(forward[:, 0], z[f"{prefix}_{name}_fwd"])
        assert_close(backward[:, 0], z[f"{prefix}_{name}_bwd"])
