"""SASRec and NextItNet against numbers of their equations, computed once in plain Python loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue.batch import Batch
from segue.model import Sizes
from segue.models.nextitnet import NextItNet
from segue.models.sasrec import SASRec

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
    config = SASRec.configure({"dim": dim, "window": places, "blocks": 1, "dropout": 0.0})
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
    close(model.queries(Batch(torch.tensor([1]), history, asked=asked))[0, 1:], z["sas_final"])
    close(model.score(Batch(torch.tensor([1]), history))[0, 1:9], z["sas_logits_last"])


@pytest.mark.parametrize("dilation", [1, 2])
def test_nextitnet(z: Arrays, dilation: int) -> None:
    """One block; item t is read as the row t - 1 of `nin_x`."""
    places, dim = z["nin_x"].shape
    config = NextItNet.configure({"dim": dim, "window": places, "dilations": [dilation]})
    model = NextItNet(config, Sizes(1, places)).double().eval()
    fill(model.item_in, np.zeros((1, dim)), z["nin_x"])
    block = model.blocks[0]
    for layer, norm, n in ((block.near, block.norm_near, 1), (block.far, block.norm_far, 2)):
        fill(layer.weight, z[f"nin_K{n}"].transpose(0, 2, 1).reshape(dim, -1))
        fill(layer.bias, z[f"nin_b{n}"])
        fill_norm(norm, z[f"nin_ln{n}_g"], z[f"nin_ln{n}_b"])
    history = torch.arange(1, places + 1)[None]
    asked = torch.ones((1, places), dtype=torch.bool)
    close(model.queries(Batch(torch.tensor([1]), history, asked=asked))[0], z[f"nin_out_dil{dilation}"])
    padded = nn.functional.pad(history, (4, 0))
    found = model.queries(Batch(torch.tensor([1]), padded, asked=nn.functional.pad(asked, (4, 0))))
    close(found[0, 4:], z[f"nin_out_dil{dilation}"])
