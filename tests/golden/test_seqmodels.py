"""SASRec, NextItNet, NARM and STAMP against numbers of their equations, computed once in plain Python loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.models.base.model import Sizes
from segue.models.sequential.narm import NARM
from segue.models.sequential.nextitnet import NextItNet
from segue.models.sequential.sasrec import SASRec
from segue.models.sequential.stamp import STAMP
from segue.nn.recorder import recording

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden) -> Arrays:
    return golden("seqmodels")


def fill(weight: Tensor, *arrays: np.ndarray) -> None:
    """Put arrays, one under the other, into a weight."""
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.concatenate(arrays)))


def fill_norm(norm: nn.LayerNorm, gain: np.ndarray, bias: np.ndarray) -> None:
    fill(norm.weight, gain)
    fill(norm.bias, bias)


def close(ours: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), golden, rtol=0, atol=1e-10)


def sasrec(z: Arrays) -> SASRec:
    """One block; items 1..8 are the golden ones, items 9..13 are read as the rows 1..5 of `sas_x`."""
    dim, places = z["sas_x"].shape[1], len(z["sas_x"])
    config = SASRec.configure({"embedding_dim": dim, "window": places, "num_blocks": 1, "dropout": 0.0})
    model = SASRec(config, Sizes(1, len(z["sas_items"]) + places - 1)).double().eval()
    fill(model.item, np.zeros((1, dim)), z["sas_items"], z["sas_x"][1:] / np.sqrt(dim))
    fill(model.place, np.zeros((places, dim)))
    block = model.blocks[0]
    fill(block.query.weight, z["sas_WQ"].T)
    fill(block.query.bias, z["sas_bQ"])
    fill(block.key_value.weight, z["sas_WK"].T, z["sas_WV"].T)
    fill(block.key_value.bias, z["sas_bK"], z["sas_bV"])
    for layer, name in ((block.widen, "1"), (block.narrow, "2")):
        fill(layer.weight, z[f"sas_W{name}"].T)
        fill(layer.bias, z[f"sas_b{name}"])
    for number, norm in enumerate((block.norm, block.norm_inner, model.norm), 1):
        fill_norm(norm, z[f"sas_ln{number}_g"], z[f"sas_ln{number}_b"])
    return model


def test_sasrec(z: Arrays) -> None:
    model = sasrec(z)
    history = torch.tensor([[0, 9, 10, 11, 12, 13]])
    asked = torch.ones((1, 6), dtype=torch.bool)
    close(model.queries(SequenceBatch(torch.tensor([1]), history, history, target_mask=asked))[0, 1:], z["sas_final"])
    close(model.score(Batch(torch.tensor([1]), history))[0, 1:9], z["sas_logits_last"])


@pytest.mark.parametrize("dilation", [1, 2])
def test_nextitnet(z: Arrays, dilation: int) -> None:
    """One block; item t is read as the row t - 1 of `nin_x`."""
    places, dim = z["nin_x"].shape
    config = NextItNet.configure({"embedding_dim": dim, "window": places, "dilations": [dilation]})
    model = NextItNet(config, Sizes(1, places)).double().eval()
    fill(model.item_in, np.zeros((1, dim)), z["nin_x"])
    block = model.blocks[0]
    for layer, norm, n in ((block.near, block.norm_near, 1), (block.far, block.norm_far, 2)):
        fill(layer.weight, z[f"nin_K{n}"].transpose(0, 2, 1).reshape(dim, -1))
        fill(layer.bias, z[f"nin_b{n}"])
        fill_norm(norm, z[f"nin_ln{n}_g"], z[f"nin_ln{n}_b"])
    history = torch.arange(1, places + 1)[None]
    asked = torch.ones((1, places), dtype=torch.bool)
    close(
        model.queries(SequenceBatch(torch.tensor([1]), history, history, target_mask=asked))[0],
        z[f"nin_out_dil{dilation}"],
    )
    padded = nn.functional.pad(history, (4, 0))
    found = model.queries(
        SequenceBatch(torch.tensor([1]), padded, padded, target_mask=nn.functional.pad(asked, (4, 0)))
    )
    close(found[0, 4:], z[f"nin_out_dil{dilation}"])


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(("attention", "name"), [("plain", "paper"), ("softmax", "code")])
def test_narm(z: Arrays, attention: str, name: str, padding: int) -> None:
    """Attention and decoder; the golden states are given, not walked to."""
    dim, units = len(z["narm_B"]), len(z["narm_v"])
    config = NARM.configure({"embedding_dim": dim, "hidden_dim": units, "attention_softmax": attention == "softmax"})
    model = NARM(config, Sizes(1, len(z["emb"]))).double().eval()
    fill(model.now.weight, z["narm_A1"])
    fill(model.past.weight, z["narm_A2"])
    fill(model.attention, z["narm_v"])
    fill(model.decode.weight, z["narm_B"])
    state = nn.functional.pad(torch.from_numpy(z["narm_h"])[None], (0, 0, padding, 0))
    real = torch.arange(state.shape[1])[None] >= padding
    with recording() as seen:
        query = model.look_back(state, real, 1)
    close(torch.from_numpy(z["emb"]) @ query[0, 0], z[f"narm_{name}_scores"])
    (alpha,) = seen["attention"]
    close(alpha[0, 0, padding:], z["narm_alpha" if attention == "plain" else "narm_alpha_softmax"])


def stamp(z: Arrays, **settings: object) -> STAMP:
    """Golden ids count from 0, ours from 1."""
    items, dim = z["emb"].shape
    model = STAMP(STAMP.configure({"embedding_dim": dim, **settings}), Sizes(1, items)).double().eval()
    fill(model.item, np.zeros((1, dim)), z["emb"])
    for layer, name in ((model.past, "W1"), (model.last, "W2"), (model.whole, "W3")):
        fill(layer.weight, z[f"stamp_{name}"])
    fill(model.whole.bias, z["stamp_ba"])
    fill(model.attention, z["stamp_W0"])
    for layer, name in ((model.general, "s"), (model.current, "t")):
        fill(layer.weight, z[f"stamp_W{name}"])
        fill(layer.bias, z[f"stamp_b{name}"])
    return model


def test_stamp(z: Arrays) -> None:
    batch = Batch(torch.tensor([1]), torch.from_numpy(z["seq"] + 1)[None])
    with recording() as seen:
        scores = stamp(z).score(batch)[0, 1:]
    close(scores, z["stamp_trilinear"])
    close(scores.sigmoid(), z["stamp_z"])
    close(scores.sigmoid().softmax(0), z["stamp_y"])
    close(seen["attention"][0][0, 0, -len(z["seq"]) :], z["stamp_alpha"])
    close(stamp(z, add_mean=True, sigmoid_scores=False).score(batch)[0, 1:], z["stamp_code_logits"])


@pytest.mark.parametrize("target", range(8))
def test_the_loss_of_stamp(z: Arrays, target: int) -> None:
    """Of the last of five items, asked for `target`: -log of the golden chance."""
    history = torch.from_numpy(z["seq"] + 1)[None]
    asked = torch.arange(5)[None] == 4
    batch = SequenceBatch(torch.tensor([1]), history, torch.full((1, 5), target + 1), asked)
    close(stamp(z)(batch), -np.log(z["stamp_y"][target]))
