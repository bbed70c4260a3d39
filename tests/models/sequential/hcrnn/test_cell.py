"""The cell of HCRNN against its equations, one sequence and one step at a time, with the gradients of autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from segue.models.sequential.hcrnn import attention_kernel
from segue.models.sequential.hcrnn.cell import Contexts, ResetInput, Weights, cell_activations, run_cell
from segue.nn.recurrent.packing import pack

K, D, H = 3, 4, 5
LENGTHS = torch.tensor([2, 4, 1, 4])
VARIANTS = pytest.mark.parametrize(
    ("reset_input", "drift"), [("now", 0), ("before", 0), ("product", 0), ("product", 1)]
)


def random_weights(drift: bool) -> Weights:
    torch.manual_seed(3)
    shapes = [(K, D), (K, H), (H,), (H, D + 3 * H), (D, D), (D, H), (D, H), (H, H), (H,)]
    drawn = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    return Weights(*drawn[:-1], drawn[-1] if drift else None)


def plain_cell(
    item: Tensor, projected: Tensor, theta: Tensor, weights: Weights, reset_input: ResetInput
) -> tuple[Tensor, Tensor]:
    """h and c after each step of one sequence, by the equations."""
    state, local = item.new_zeros(H), item.new_zeros(D)
    states, locals_ = [], []
    gate_inputs, new_inputs = projected[:, : D + 2 * H], projected[:, D + 2 * H :]
    for step, x in enumerate(item):
        from_state = state @ weights.state
        sigmoids = torch.sigmoid(from_state[:H] + theta[step][:, None] * weights.projected)
        candidate = torch.softmax(sigmoids @ weights.attention, 0) @ weights.memory
        sums = (gate_inputs[step] + from_state[H:]).split([D, H, H])
        gate = torch.sigmoid(sums[0] + local @ weights.local)
        new_local = (1 - gate) * local + gate * candidate
        update = torch.sigmoid(sums[1] + new_local @ weights.update)
        y = {"now": new_local, "before": local, "product": x * new_local}[reset_input] @ weights.reset
        drift = torch.ones(()) if weights.drift is None else torch.sigmoid(y + weights.drift)
        reset = torch.sigmoid(sums[2] + y if weights.drift is None else sums[2])
        new_state = torch.tanh((reset * drift * state) @ weights.new + new_inputs[step])
        state, local = (1 - update) * state + update * new_state, new_local
        states.append(state)
        locals_.append(local)
    return torch.stack(states), torch.stack(locals_)


@VARIANTS
@pytest.mark.parametrize("theta_per_step", [False, True])
@pytest.mark.parametrize("block", [1, attention_kernel.BLOCK])
def test_values_and_gradients_equal_the_equations(
    reset_input: ResetInput, drift: int, theta_per_step: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_kernel, "BLOCK", block)
    weights = random_weights(bool(drift))
    total = int(LENGTHS.sum())
    first = LENGTHS.cumsum(0) - LENGTHS
    item, projected, theta = (
        torch.randn(rows, size, dtype=torch.double, requires_grad=True)
        for rows, size in ((total, D), (total, D + 3 * H), (total if theta_per_step else len(LENGTHS), K))
    )
    leaves = [item, projected, theta, *(weight for weight in weights if weight is not None)]
    packing = pack(first, LENGTHS)
    packed_theta = theta[packing.indices] if theta_per_step else theta[packing.sorted_indices]
    states = run_cell(
        packing.batch_sizes,
        item[packing.indices],
        projected[packing.indices],
        theta=packed_theta,
        weights=weights,
        reset_input=reset_input,
    )
    expected = []
    for row, (begin, size) in enumerate(zip(first.tolist(), LENGTHS.tolist(), strict=True)):
        own = slice(begin, begin + size)
        own_theta = theta[own] if theta_per_step else theta[row].expand(size, -1)
        expected.append(torch.cat(plain_cell(item[own], projected[own], own_theta, weights, reset_input), 1))
    probe = torch.randn(total, H + D, dtype=torch.double)
    packed = torch.cat(states, 1)
    torch.testing.assert_close(packed, torch.cat(expected)[packing.indices], rtol=0, atol=1e-12)
    gradients = torch.autograd.grad((packed * probe[packing.indices]).sum(), leaves, materialize_grads=True)
    expected_gradients = torch.autograd.grad((torch.cat(expected) * probe).sum(), leaves, materialize_grads=True)
    for one, two in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


@VARIANTS
def test_continuing_from_a_state_equals_one_run(reset_input: ResetInput, drift: int) -> None:
    weights = random_weights(bool(drift))
    item, projected, theta = (torch.randn(6, size, dtype=torch.double) for size in (D, D + 3 * H, K))
    settings = {"theta": theta[:2], "weights": weights, "reset_input": reset_input}
    whole = cell_activations([2, 2, 2], item, projected, **settings)
    begun = cell_activations([2], item[:2], projected[:2], **settings)
    initial = Contexts(begun.state, begun.local)
    rest = cell_activations([2, 2], item[2:], projected[2:], **settings, initial=initial)
    torch.testing.assert_close(rest.state, whole.state[2:], rtol=0, atol=1e-12)
    torch.testing.assert_close(rest.local, whole.local[2:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_arguments_stay_finite(dtype: torch.dtype) -> None:
    values = torch.tensor([-math.inf, -1e4, 0.0, 1e4, math.inf], dtype=dtype)
    exponentials = attention_kernel.exp_neg(values)
    product = exponentials[:, None] * exponentials
    assert product.isfinite().all()
    assert (product > 0).all()
    torch.testing.assert_close(exponentials[2], torch.ones((), dtype=dtype))
