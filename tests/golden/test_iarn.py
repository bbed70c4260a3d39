"""IARN and its backbones against numbers worked out in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.models.ratings.iarn.feature_encoder import Encoder
from segue.models.ratings.iarn.gated_rnn import GatedRNN, run_gated
from segue.models.ratings.iarn.model import IARNConfig, Read, Side

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


def side(z: Arrays, name: str, backbone: Any, **settings: Any) -> Side:
    """One network with the golden weights; there is no bias beside M."""
    sizes = {"embedding_dim": 5, "context_dim": 4, "hidden_dim": 3}
    made = Side(IARNConfig(backbone=backbone, **sizes, **settings)).double().eval()
    if backbone == "lstm":
        order = np.r_[0:9, 9:12]  # input, forget, output, candidate: the golden order is ours
        weights = (z[f"lstm_{w}_{name}"][order] for w in ("Wx", "Wh", "b"))
        recur(made.main, *weights)
    else:
        recur(made.main, z[f"H_{name}"], z[f"W_{name}"], z[f"b_{name}"])
    if backbone in ("iarn", "tagm"):
        for part, letter in ((made.ahead, "f"), (made.back, "b")):
            recur(part, z[f"Wx_{name}{letter}"], z[f"Hh_{name}{letter}"], z[f"bb_{name}{letter}"])
        tagm = "T" if backbone == "tagm" else ""
        put(made.fusion, z[f"L{tagm}_{name}"], z[f"bp{tagm}_{name}"])
        put(made.gate, z[f"M{tagm}_{name}"][None])
    put(made.head[0], z[f"Wt_{name}"], z[f"bt_{name}"])  # type: ignore[arg-type]
    with torch.no_grad():
        made.head[1].weight.fill_(float(z["prelu_a"]))  # type: ignore[operator, union-attr]
    return made


def close(ours: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), golden, rtol=0, atol=1e-10)


def encoded(z: Arrays, encoder: Any, x: Tensor, squash: bool) -> Tensor:
    """E_v of golden features 0 (leaf), 1 and 2 (root), whose ids are 1, 2 and 3."""
    made = Encoder((1, 3, 4), 5, encoder, squash=squash).double()
    made.set_features(np.array([[0, 0, 0], [3, 2, 1]]), ["leaf", "middle", "root"])
    with torch.no_grad():
        made.matrix[1:] = torch.from_numpy(z["M_k"])
    return made(x, torch.ones(x.shape[1], dtype=torch.long))


def both(z: Arrays, backbone: Any, encoder: str = "none", **settings: Any) -> list[tuple[Side, Read]]:
    found = []
    for name, x in (("u", z["x_i"]), ("v", z["x_j"])):
        squash = settings.pop("squash", False) if name == "v" else False
        given = {key: value for key, value in settings.items() if key != "squash"}
        made, read = side(z, name, backbone, **given), torch.from_numpy(x)[:, None]
        if name == "v" and encoder != "none":
            read = encoded(z, encoder, read, squash)
            prefix = {"flat": "flat", "hierarchical": "codehier" if squash else "hier"}[encoder]
            close(read[:, 0], z[f"{prefix}_E_v"])
        # two steps of padding before, and a neighbour in the batch
        read = torch.cat([torch.zeros_like(read[:2]), read]).expand(-1, 2, -1).clone()
        real = torch.ones(read.shape[:2], dtype=torch.double)
        real[:2] = 0
        real[:4, 1] = 0
        found.append((made, made.read(read, real)))
    return found


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
    (user, mine), (item, theirs) = both(z, backbone, **settings)
    if backbone in ("iarn", "tagm"):
        for made, own, other, attention in ((user, mine, theirs, "a_i"), (item, theirs, mine, "a_j")):
            gates = made.gates(own, other.summary)
            close(gates[2:, 0], z[f"{prefix}_{attention}"])
            assert not gates[:2].any()
    if backbone != "lstm":
        for made, own, other, states in ((user, mine, theirs, "u"), (item, theirs, mine, "v")):
            walked = run_gated(own.input, made.gates(own, other.summary), made.main.state.weight, "relu")
            close(walked[2:, 0], z[f"{prefix}_{states}"])
    one, two = user.meet(mine, theirs.summary), item.meet(theirs, mine.summary)
    if backbone == "iarn":
        close(one[0], z[f"{prefix}_u_tilde"])
        close(two[0], z[f"{prefix}_v_tilde"])
        close(((one * two).sum(1)[0] - float(z["r_true"])) ** 2, z[f"{prefix}_loss"])
    close((one * two).sum(1)[0], z[f"{prefix}_r"])


@pytest.mark.parametrize(("prefix", "activation"), [("plain", "relu"), ("code", "softplus")])
def test_states_of_both_directions(z: Arrays, prefix: str, activation: Any) -> None:
    for name, x in (("u", z["x_i"]), ("v", z["x_j"])):
        made, read = side(z, name, "iarn"), torch.from_numpy(x)[:, None]
        real = torch.ones(read.shape[:2], dtype=torch.double)
        ahead = run_gated(made.ahead.project(read), real, made.ahead.state.weight, activation)
        back = run_gated(made.back.project(read.flip(0)), real, made.back.state.weight, activation).flip(0)
        close(ahead[:, 0], z[f"{prefix}_{name}_fwd"])
        close(back[:, 0], z[f"{prefix}_{name}_bwd"])
