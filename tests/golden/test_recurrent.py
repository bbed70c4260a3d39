"""Criteo's recurrent models against numbers of their equations, computed once in plain Python loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.batch import Batch
from segue.model import Sizes
from segue.models.gru import GRU

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden) -> Arrays:
    return golden("gru")


def fill(weight: Tensor, *arrays: np.ndarray) -> None:
    """Put arrays, one under the other, into a weight."""
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.concatenate(arrays)))


def close(ours: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), golden, rtol=0, atol=1e-10)


def build(z: Arrays, **settings: Any) -> GRU:
    """Item i of the golden numbers is our item i + 1."""
    count, dim = z["W_I"].shape[1], z["W_I"].shape[0]
    model = GRU(GRU.configure({"dim": dim, **settings}), Sizes(1, count)).double().eval()
    padding = np.zeros((1, dim))
    if model.config.tied:
        fill(model.item_out, padding, z["W_I"].T)
    else:
        fill(model.item_in, padding, z["W_I"].T)
        fill(model.item_out, padding, z["W_O"])
    for cell, name in zip(model.cells, ("W", "W2"), strict=False):
        if model.config.norm == "none":
            fill(cell.w, *(z[f"{name}_e_{gate}"] for gate in "rzh"))
            fill(cell.u, *(z[f"{name}_h_{gate}"] for gate in "rzh"))
    return model


def fill_norm(model: GRU, z: Arrays) -> None:
    """There the block of z stands above that of r."""
    cell, dim = model.cells[0], model.config.dim

    def ordered(two: np.ndarray, one: np.ndarray) -> tuple[np.ndarray, ...]:
        return two[dim:], two[:dim], one

    fill(cell.w, *ordered(z["ln_W_x"], z["ln_W"]))
    fill(cell.u, *ordered(z["ln_W_h"], z["ln_U"]))
    for kind, gate, new in (("state", 1, 4), ("read", 2, 3)):
        fill(getattr(cell, f"{kind}_gain"), *ordered(z[f"ln_alpha{gate}"], z[f"ln_alpha{new}"]))
        fill(getattr(cell, f"{kind}_bias"), *ordered(z[f"ln_beta{gate}"], z[f"ln_beta{new}"]))


def batch(z: Arrays) -> Batch:
    item = torch.from_numpy(z["items"]) + 1
    asked = torch.ones(1, len(item) - 1, dtype=torch.bool)
    return Batch(torch.ones(1, dtype=torch.long), item[None, :-1], item[None, 1:], asked=asked)


@pytest.mark.parametrize(("tied", "mark"), [(False, ""), (True, "_tied")])
def test_scores_and_loss(z: Arrays, tied: bool, mark: str) -> None:
    model = build(z, tied=tied, norm="none")
    states = model.queries(batch(z))
    close(states[0], z["h"])
    close((states @ model.item_vectors().T)[0, :, 1:], z[f"o{mark}"])
    close(model(batch(z)), z[f"nll{mark}"])
    close(model.score(Batch(torch.ones(1, dtype=torch.long), batch(z).history))[0, 1:], z[f"o{mark}"][-1])
    if not tied:
        close(torch.softmax(states @ model.item_out[1:].T, 2)[0], z["p"])


def test_two_layers(z: Arrays) -> None:
    close(build(z, layers=2, norm="none").queries(batch(z))[0], z["h_stacked"])


@pytest.mark.parametrize(("norm", "name"), [("joint", "ln_h_joint"), ("gate", "ln_h_pergate")])
def test_layer_normalisation(z: Arrays, norm: str, name: str) -> None:
    model = build(z, norm=norm)
    fill_norm(model, z)
    found = model.queries(batch(z))[0]
    close(found, z[name])
    if norm == "joint":
        close(found[0], z["ln_h1"])
