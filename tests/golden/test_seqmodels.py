"""SASRec, NextItNet, NARM and STAMP against numbers of their equations, computed in plain Python loops."""

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
    """Copy arrays, concatenated along the first axis, into a weight."""
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.concatenate(arrays)))


def fill_norm(norm: nn.LayerNorm, gain: np.ndarray, bias: np.ndarray) -> None:
    fill(norm.weight, gain)
    fill(norm.bias, bias)


def assert_close(actual: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), golden, rtol=0, atol=1e-10)


def sasrec(z: Arrays) -> SASRec:
    """One block; items 1..8 are those of the arrays, the inputs of items 9..13 are rows 1..5 of `sas_x`."""
    dim, length = z["sas_x"].shape[1], len(z["sas_x"])
    config = SASRec.configure({"embedding_dim": dim, "window": length, "num_blocks": 1, "dropout": 0.0})
    model = SASRec(config, Sizes(1, len(z["sas_items"]) + length - 1)).double().eval()
    fill(model.item_embedding, np.zeros((1, dim)), z["sas_items"], z["sas_x"][1:] / np.sqrt(dim))
    fill(model.position_embedding, np.zeros((length, dim)))
    block = model.blocks[0]
    fill(block.query.weight, z["sas_WQ"].T)
    fill(block.query.bias, z["sas_bQ"])
    fill(block.key_value.weight, z["sas_WK"].T, z["sas_WV"].T)
    fill(block.key_value.bias, z["sas_bK"], z["sas_bV"])
    for layer, name in ((block.ffn_in, "1"), (block.ffn_out, "2")):
        fill(layer.weight, z[f"sas_W{name}"].T)
        fill(layer.bias, z[f"sas_b{name}"])
    for number, norm in enumerate((block.attention_norm, block.ffn_norm, model.final_norm), 1):
        fill_norm(norm, z[f"sas_ln{number}_g"], z[f"sas_ln{number}_b"])
    return model


def test_sasrec_queries_and_scores(z: Arrays) -> None:
    model = sasrec(z)
    history = torch.tensor([[0, 9, 10, 11, 12, 13]])
    target_mask = torch.ones((1, 6), dtype=torch.bool)
    assert_close(
        model.queries(SequenceBatch(torch.tensor([1]), history, history, target_mask=target_mask))[0, 1:],
        z["sas_final"],
    )
    assert_close(model.score(Batch(torch.tensor([1]), history))[0, 1:9], z["sas_logits_last"])


@pytest.mark.parametrize("dilation", [1, 2])
def test_nextitnet_queries_with_and_without_padding(z: Arrays, dilation: int) -> None:
    """One block; the input of item t is row t - 1 of `nin_x`."""
    length, dim = z["nin_x"].shape
    config = NextItNet.configure({"embedding_dim": dim, "window": length, "dilations": [dilation]})
    model = NextItNet(config, Sizes(1, length)).double().eval()
    fill(model.input_embedding, np.zeros((1, dim)), z["nin_x"])
    block = model.blocks[0]
    for layer, norm, n in ((block.conv1, block.norm1, 1), (block.conv2, block.norm2, 2)):
        fill(layer.weight, z[f"nin_K{n}"])
        fill(layer.bias, z[f"nin_b{n}"])
        fill_norm(norm, z[f"nin_ln{n}_g"], z[f"nin_ln{n}_b"])
    history = torch.arange(1, length + 1)[None]
    target_mask = torch.ones((1, length), dtype=torch.bool)
    assert_close(
        model.queries(SequenceBatch(torch.tensor([1]), history, history, target_mask=target_mask))[0],
        z[f"nin_out_dil{dilation}"],
    )
    padded = nn.functional.pad(history, (4, 0))
    queries = model.queries(
        SequenceBatch(torch.tensor([1]), padded, padded, target_mask=nn.functional.pad(target_mask, (4, 0)))
    )
    assert_close(queries[0, 4:], z[f"nin_out_dil{dilation}"])


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(("attention", "name"), [("plain", "paper"), ("softmax", "code")])
def test_narm_attention_and_scores(z: Arrays, attention: str, name: str, padding: int) -> None:
    """Attention and decoder; the states of the GRU are those of the arrays."""
    dim, units = len(z["narm_B"]), len(z["narm_v"])
    config = NARM.configure({"embedding_dim": dim, "hidden_dim": units, "attention_softmax": attention == "softmax"})
    model = NARM(config, Sizes(1, len(z["emb"]))).double().eval()
    fill(model.attention_query.weight, z["narm_A1"])
    fill(model.attention_key.weight, z["narm_A2"])
    fill(model.attention_vector, z["narm_v"])
    fill(model.decoder.weight, z["narm_B"])
    state = nn.functional.pad(torch.from_numpy(z["narm_h"])[None], (0, 0, padding, 0))
    mask = torch.arange(state.shape[1])[None] >= padding
    with recording() as recorded:
        query = model.attend(state, mask, 1)
    assert_close(torch.from_numpy(z["emb"]) @ query[0, 0], z[f"narm_{name}_scores"])
    (alpha,) = recorded["attention"]
    assert_close(alpha[0, 0, padding:], z["narm_alpha" if attention == "plain" else "narm_alpha_softmax"])


def stamp(z: Arrays, **settings: object) -> STAMP:
    """STAMP with the weights of the arrays; item i of the arrays has the id i + 1."""
    items, dim = z["emb"].shape
    config = STAMP.configure({"embedding_dim": dim, **settings}, preset="paper")
    model = STAMP(config, Sizes(1, items)).double().eval()
    fill(model.item_embedding, np.zeros((1, dim)), z["emb"])
    for layer, name in ((model.attention_item, "W1"), (model.attention_last, "W2"), (model.attention_mean, "W3")):
        fill(layer.weight, z[f"stamp_{name}"])
    fill(model.attention_mean.bias, z["stamp_ba"])
    fill(model.attention_vector, z["stamp_W0"])
    for layer, name in ((model.session_mlp, "s"), (model.last_mlp, "t")):
        fill(layer.weight, z[f"stamp_W{name}"])
        fill(layer.bias, z[f"stamp_b{name}"])
    return model


def test_stamp_attention_and_scores(z: Arrays) -> None:
    batch = Batch(torch.tensor([1]), torch.from_numpy(z["seq"] + 1)[None])
    with recording() as recorded:
        scores = stamp(z).score(batch)[0, 1:]
    assert_close(scores, z["stamp_trilinear"])
    assert_close(scores.sigmoid(), z["stamp_z"])
    assert_close(scores.sigmoid().softmax(0), z["stamp_y"])
    assert_close(recorded["attention"][0][0, 0, -len(z["seq"]) :], z["stamp_alpha"])
    assert_close(stamp(z, add_mean=True, sigmoid_scores=False).score(batch)[0, 1:], z["stamp_code_logits"])


@pytest.mark.parametrize("target", range(8))
def test_stamp_loss_for_each_target(z: Arrays, target: int) -> None:
    """The loss at the last of five items is -log of the expected probability of `target`."""
    history = torch.from_numpy(z["seq"] + 1)[None]
    target_mask = torch.arange(5)[None] == 4
    batch = SequenceBatch(torch.tensor([1]), history, torch.full((1, 5), target + 1), target_mask)
    assert_close(stamp(z)(batch), -np.log(z["stamp_y"][target]))
