"""IARN and its backbones against numbers worked out in plain loops."""

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


def put(linear: torch.nn.Linear, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(np.zeros(len(linear.bias)) if bias is None else bias))


def recur(made: GatedRNN, read: np.ndarray, state: np.ndarray, bias: np.ndarray) -> None:
    put(made.input, read, bias)
    put(made.state, state)


def history_network(z: Arrays, name: str, backbone: Any, **settings: Any) -> HistoryNetwork:
    """One network with the golden weights; there is no bias beside M."""
    sizes = {"embedding_dim": 5, "context_dim": 4, "hidden_dim": 3}
    network = HistoryNetwork(IARNConfig(backbone=backbone, **sizes, **settings)).double().eval()
    if backbone == "lstm":
        order = np.r_[0:9, 9:12]  # input, forget, output, candidate: the same order as in HistoryNetwork
        weights = (z[f"lstm_{w}_{name}"][order] for w in ("Wx", "Wh", "b"))
        recur(network.recurrence, *weights)
    else:
        recur(network.recurrence, z[f"H_{name}"], z[f"W_{name}"], z[f"b_{name}"])
    if backbone in ("iarn", "tagm"):
        for part, letter in ((network.forward_rnn, "f"), (network.backward_rnn, "b")):
            recur(part, z[f"Wx_{name}{letter}"], z[f"Hh_{name}{letter}"], z[f"bb_{name}{letter}"])
        tagm = "T" if backbone == "tagm" else ""
        put(network.fusion, z[f"L{tagm}_{name}"], z[f"bp{tagm}_{name}"])
        put(network.gate, z[f"M{tagm}_{name}"][None])
    put(network.output[0], z[f"Wt_{name}"], z[f"bt_{name}"])  # type: ignore[arg-type]
    with torch.no_grad():
        network.output[1].weight.fill_(float(z["prelu_a"]))  # type: ignore[operator, union-attr]
    return network


def assert_close(actual: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), golden, rtol=0, atol=1e-10)


def encode_features(z: Arrays, encoder: Any, x: Tensor, tanh: bool) -> Tensor:
    """E_v of golden features 0 (leaf), 1 and 2 (root), whose ids are 1, 2 and 3."""
    made = FeatureEncoder(1, 3, 4, 5, encoder, tanh=tanh).double()
    made.set_features(np.array([[0, 0, 0], [3, 2, 1]]), ["leaf", "middle", "root"])
    with torch.no_grad():
        made.matrix[1:] = torch.from_numpy(z["M_k"])
    return made(x, torch.ones(x.shape[1], dtype=torch.long))


def both_sides(
    z: Arrays, backbone: Any, feature_encoder: str = "none", tanh_encoder: bool = False, **settings: Any
) -> list[tuple[HistoryNetwork, EncodedHistory]]:
    """The network of each side and its encoding of the golden history."""
    sides = []
    for name, inputs in (("u", z["x_i"]), ("v", z["x_j"])):
        network, x = history_network(z, name, backbone, **settings), torch.from_numpy(inputs)[:, None]
        if name == "v" and feature_encoder != "none":
            x = encode_features(z, feature_encoder, x, tanh_encoder)
            prefix = {"flat": "flat", "hierarchical": "codehier" if tanh_encoder else "hier"}[feature_encoder]
            assert_close(x[:, 0], z[f"{prefix}_E_v"])
        # two steps of padding before, and another row in the batch
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
def test_every_backbone(z: Arrays, prefix: str, backbone: str, settings: dict[str, Any]) -> None:
    (user_network, user), (item_network, item) = both_sides(z, backbone, **settings)
    if backbone in ("iarn", "tagm"):
        for network, own, other, attention in ((user_network, user, item, "a_i"), (item_network, item, user, "a_j")):
            gates = network.gates(own, other.summary)
            assert_close(gates[2:, 0], z[f"{prefix}_{attention}"])
            assert not gates[:2].any()
    if backbone != "lstm":
        for network, own, other, states in ((user_network, user, item, "u"), (item_network, item, user, "v")):
            gates = network.gates(own, other.summary)
            actual = run_gated(own.inputs, gates, network.recurrence.state.weight, "relu")
            assert_close(actual[2:, 0], z[f"{prefix}_{states}"])
    one, two = user_network.pair_state(user, item.summary), item_network.pair_state(item, user.summary)
    if backbone == "iarn":
        assert_close(one[0], z[f"{prefix}_u_tilde"])
        assert_close(two[0], z[f"{prefix}_v_tilde"])
        assert_close(((one * two).sum(1)[0] - float(z["r_true"])) ** 2, z[f"{prefix}_loss"])
    assert_close((one * two).sum(1)[0], z[f"{prefix}_r"])


@pytest.mark.parametrize(("prefix", "activation"), [("plain", "relu"), ("code", "softplus")])
def test_states_of_both_directions(z: Arrays, prefix: str, activation: Any) -> None:
    for name, x in (("u", z["x_i"]), ("v", z["x_j"])):
        network, read = history_network(z, name, "iarn"), torch.from_numpy(x)[:, None]
        real = torch.ones(read.shape[:2], dtype=torch.double)
        ahead = run_gated(network.forward_rnn.project(read), real, network.forward_rnn.state.weight, activation)
        back = run_gated(
            network.backward_rnn.project(read.flip(0)), real, network.backward_rnn.state.weight, activation
        ).flip(0)
        assert_close(ahead[:, 0], z[f"{prefix}_{name}_fwd"])
        assert_close(back[:, 0], z[f"{prefix}_{name}_bwd"])
