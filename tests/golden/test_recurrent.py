"""Criteo's recurrent models against numbers of their equations, computed in plain Python loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.models.base.model import Sizes
from segue.models.factorization.coevent_mf import CoEventMF
from segue.models.sequential.gru import GRU
from segue.models.sequential.hm_lstm.cell import GatedOutput, HMLSTMCell, annealed_slope, boundary, hard_sigmoid
from segue.nn.optim import polynomial_lr

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden) -> Arrays:
    return golden("gru")


def fill(weight: Tensor, *arrays: np.ndarray) -> None:
    """Copy arrays, concatenated along the first axis, into a weight."""
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.concatenate(arrays)))


def assert_close(actual: Tensor, golden: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), golden, rtol=0, atol=1e-10)


def build(z: Arrays, **settings: Any) -> GRU:
    """A GRU with the weights of the arrays; item i of the arrays has the id i + 1."""
    count, dim = z["W_I"].shape[1], z["W_I"].shape[0]
    model = GRU(GRU.configure({"embedding_dim": dim, **settings}), Sizes(1, count)).double().eval()
    padding = np.zeros((1, dim))
    if model.config.tied:
        fill(model.output_embedding, padding, z["W_I"].T)
    else:
        fill(model.input_embedding, padding, z["W_I"].T)
        fill(model.output_embedding, padding, z["W_O"])
    for cell, name in zip(model.cells, ("W", "W2"), strict=False):
        if model.config.layer_norm == "none":
            fill(cell.w, *(z[f"{name}_e_{gate}"] for gate in "rzh"))
            fill(cell.u, *(z[f"{name}_h_{gate}"] for gate in "rzh"))
    return model


def fill_layer_norm(model: GRU, z: Arrays) -> None:
    """Copy the weights of a GRU with layer normalisation; in the arrays the block of z stands above that of r."""
    cell, dim = model.cells[0], model.config.embedding_dim

    def ordered(gates: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, ...]:
        return gates[dim:], gates[:dim], candidate

    fill(cell.w, *ordered(z["ln_W_x"], z["ln_W"]))
    fill(cell.u, *ordered(z["ln_W_h"], z["ln_U"]))
    for kind, gate, new in (("state", 1, 4), ("input", 2, 3)):
        fill(getattr(cell, f"{kind}_gain"), *ordered(z[f"ln_alpha{gate}"], z[f"ln_alpha{new}"]))
        fill(getattr(cell, f"{kind}_bias"), *ordered(z[f"ln_beta{gate}"], z[f"ln_beta{new}"]))


def batch(z: Arrays) -> SequenceBatch:
    item = torch.from_numpy(z["items"]) + 1
    target_mask = torch.ones(1, len(item) - 1, dtype=torch.bool)
    return SequenceBatch(torch.ones(1, dtype=torch.long), item[None, :-1], item[None, 1:], target_mask=target_mask)


@pytest.mark.parametrize(("tied", "suffix"), [(False, ""), (True, "_tied")])
def test_gru_states_scores_and_loss(z: Arrays, tied: bool, suffix: str) -> None:
    model = build(z, tied=tied, layer_norm="none")
    states = model.queries(batch(z))
    assert_close(states[0], z["h"])
    assert_close((states @ model.item_vectors().T)[0, :, 1:], z[f"o{suffix}"])
    assert_close(model(batch(z)), z[f"nll{suffix}"])
    assert_close(model.score(Batch(torch.ones(1, dtype=torch.long), batch(z).history))[0, 1:], z[f"o{suffix}"][-1])
    if not tied:
        assert_close(torch.softmax(states @ model.output_embedding[1:].T, 2)[0], z["p"])


def test_states_of_two_gru_layers(z: Arrays) -> None:
    assert_close(build(z, num_layers=2, layer_norm="none").queries(batch(z))[0], z["h_stacked"])


@pytest.mark.parametrize(("norm", "name"), [("joint", "ln_h_joint"), ("gate", "ln_h_pergate")])
def test_gru_states_with_layer_normalisation(z: Arrays, norm: str, name: str) -> None:
    model = build(z, layer_norm=norm)
    fill_layer_norm(model, z)
    actual = model.queries(batch(z))[0]
    assert_close(actual, z[name])
    if norm == "joint":
        assert_close(actual[0], z["ln_h1"])


# ---------------------------------------------------------------------------------------- HM-LSTM


@pytest.fixture
def hm(golden) -> Arrays:
    return golden("hmlstm")


@pytest.fixture
def cell(hm: Arrays) -> HMLSTMCell:
    cell = HMLSTMCell(hm["x"].shape[1], hm["h"].shape[2], num_layers=3).double()
    for number, layer in enumerate(cell.layers, 1):
        fill(layer.bias, hm[f"b_{number}"])
        summands = {"W": layer.below, "U": layer.own, "V": layer.above}
        for name, summand in summands.items():
            if summand is not None:
                fill(summand.weight, hm[f"{name}_{number}"])
    return cell


@pytest.mark.parametrize("epochs", [0, 50, 1000])
def test_hm_lstm_states_and_gated_output(hm: Arrays, cell: HMLSTMCell, epochs: int) -> None:
    """The states do not depend on the slope of the hard sigmoid, which grows with the epochs."""
    steps, layers, dim = hm["h"].shape
    cell.epochs += epochs
    inputs = torch.from_numpy(hm["x"])
    states = cell.run_packed([1] * steps, inputs, torch.zeros(1, cell.state_dim, dtype=torch.double))
    memory, boundaries, hidden = states.split([layers * dim, layers - 1, layers * dim], 1)
    assert_close(memory.unflatten(1, (layers, dim)), hm["c"])
    assert_close(hidden.unflatten(1, (layers, dim)), hm["h"])
    assert_close(boundaries, hm["z"][:, :-1])
    assert not hm["z"][:, -1].any()
    output = GatedOutput(dim, hm["h_e"].shape[1], layers).double()
    fill(output.gate, hm["w_gate"])
    fill(output.embed, hm["W_e"])
    assert_close(output(hidden), hm["h_e"])


def test_hm_lstm_operation_of_each_layer(hm: Arrays, cell: HMLSTMCell) -> None:
    """0 is copy, 1 is update, 2 is flush; a copied state stays equal to the bit."""
    _, layers, dim = hm["h"].shape
    sizes = [layers * dim, layers - 1, layers * dim]
    state = torch.zeros(1, cell.state_dim, dtype=torch.double)
    for step, inputs in enumerate(torch.from_numpy(hm["x"])):
        next_state = cell.run_packed([1], inputs[None], state)
        (c, z, h), (next_c, next_z, next_h) = (both.split(sizes, 1) for both in (state, next_state))
        for layer, operation in enumerate(hm["op"][step]):
            flush = layer < layers - 1 and bool(z[0, layer])
            update = layer == 0 or bool(next_z[0, layer - 1])
            assert operation == (2 if flush else int(update))
            part = slice(layer * dim, (layer + 1) * dim)
            if operation == 0:
                assert torch.equal(c[:, part], next_c[:, part])
                assert torch.equal(h[:, part], next_h[:, part])
        state = next_state


def test_hm_lstm_boundaries_and_their_gradients(hm: Arrays) -> None:
    """The hard sigmoid, the binary decision and its straight-through gradient, for several slopes of the sigmoid."""
    assert_close(hard_sigmoid(torch.from_numpy(hm["z_pre"][:, :-1]), 1.0), hm["z_tilde"][:, :-1])
    assert_close(hard_sigmoid(torch.from_numpy(hm["z_pre"][:, :-1]), 3.0), hm["z_tilde_a3"][:, :-1])
    assert_close(boundary(torch.from_numpy(hm["z_pre"][:, :-1]), 1.0), hm["z"][:, :-1])
    for slope in (1, 2, 5):
        value = torch.from_numpy(hm["ste_x"]).requires_grad_()
        actual = boundary(value, float(slope))
        assert_close(actual, hm[f"ste_fwd_a{slope}"])
        actual.sum().backward()
        assert value.grad is not None
        assert_close(value.grad, hm[f"ste_grad_a{slope}"])
    np.testing.assert_allclose(
        [annealed_slope(int(epoch)) for epoch in hm["slope_epochs"]], hm["slope_a"], rtol=0, atol=1e-12
    )


# ---------------------------------------------------------------------------------------- CoEvent MF, learning rate


@pytest.mark.parametrize(("tied", "suffix"), [(False, ""), (True, "_re")])
def test_coevent_mf_scores_and_loss(golden, tied: bool, suffix: str) -> None:
    arrays = golden("baselines")
    dim, count = arrays["coevent_V"].shape
    model = CoEventMF(CoEventMF.configure({"embedding_dim": dim, "tied": tied}), Sizes(1, count)).double().eval()
    padding = np.zeros((1, dim))
    fill(model.output_embedding, padding, arrays["coevent_V" if tied else "coevent_U"].T)
    if not tied:
        fill(model.input_embedding, padding, arrays["coevent_V"].T)
    items = torch.arange(1, count + 1)[:, None]
    assert_close(
        model.score(Batch(torch.ones(count, dtype=torch.long), items))[:, 1:], arrays[f"coevent{suffix}_logits"]
    )
    pairs = torch.from_numpy(arrays["coevent_pairs"]) + 1
    target_mask = torch.ones(len(pairs), 1, dtype=torch.bool)
    actual = model(
        SequenceBatch(torch.ones(len(pairs), dtype=torch.long), pairs[:, :1], pairs[:, 1:], target_mask=target_mask)
    )
    assert_close(actual, arrays[f"coevent{suffix}_nll"])


def test_polynomial_learning_rate(golden) -> None:
    arrays = golden("baselines")
    for schedule in (polynomial_lr(0.01, 0.001, 50_000, 0.5), GRU.configure().schedule):
        actual = [schedule(int(step)) for step in arrays["poly_steps"]]
        np.testing.assert_allclose(actual, arrays["poly_lr"], rtol=0, atol=1e-12)
