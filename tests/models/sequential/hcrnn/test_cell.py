"""The cell of HCRNN against its equations, one row and one step at a time, with torch's own gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from segue.models.sequential.hcrnn import attention_kernel as sigmoids
from segue.models.sequential.hcrnn.cell import Contexts, ResetInput, Weights, cell_activations, run_cell
from segue.nn.recurrent.packing import pack

K, D, H = 3, 4, 5
LENGTHS = torch.tensor([2, 4, 1, 4])
VARIANTS = pytest.mark.parametrize(
    ("reset_input", "drift"), [("now", 0), ("before", 0), ("likeness", 0), ("likeness", 1)]
)


def weights(drift: bool) -> Weights:
    torch.manual_seed(3)
    shapes = [(K, D), (K, H), (H,), (H, D + 3 * H), (D, D), (D, H), (D, H), (H, H), (H,)]
    drawn = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    return Weights(*drawn[:-1], drawn[-1] if drift else None)


def plain(
    item: Tensor, read: Tensor, theta: Tensor, weights: Weights, reset_input: ResetInput
) -> tuple[Tensor, Tensor]:
    """h and c after each step of one row, as the equations say."""
    state, local = item.new_zeros(H), item.new_zeros(D)
    states, locals_ = [], []
    at_gates, new = read[:, : D + 2 * H], read[:, D + 2 * H :]
    for step, x in enumerate(item):
        ours = state @ weights.state
        inside = torch.sigmoid(ours[:H] + theta[step][:, None] * weights.projected)
        candidate = torch.softmax(inside @ weights.attention, 0) @ weights.memory
        by_gate = (at_gates[step] + ours[H:]).split([D, H, H])
        gate = torch.sigmoid(by_gate[0] + local @ weights.local)
        now = (1 - gate) * local + gate * candidate
        update = torch.sigmoid(by_gate[1] + now @ weights.update)
        compared = {"now": now, "before": local, "likeness": x * now}[reset_input] @ weights.reset
        drift = torch.ones(()) if weights.drift is None else torch.sigmoid(compared + weights.drift)
        reset = torch.sigmoid(by_gate[2] + compared if weights.drift is None else by_gate[2])
        fresh = torch.tanh((reset * drift * state) @ weights.new + new[step])
        state, local = (1 - update) * state + update * fresh, now
        states.append(state)
        locals_.append(local)
    return torch.stack(states), torch.stack(locals_)


@VARIANTS
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("block", [1, sigmoids.BLOCK])
def test_walking_is_the_equations(
    reset_input: ResetInput, drift: int, each: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sigmoids, "BLOCK", block)
    cell = weights(bool(drift))
    total = int(LENGTHS.sum())
    first = LENGTHS.cumsum(0) - LENGTHS
    item, read, theta = (
        torch.randn(rows, size, dtype=torch.double, requires_grad=True)
        for rows, size in ((total, D), (total, D + 3 * H), (total if each else len(LENGTHS), K))
    )
    leaves = [item, read, theta, *(weight for weight in cell if weight is not None)]
    steps = pack(first, LENGTHS)
    kept = theta[steps.indices] if each else theta[steps.sorted_indices]
    found = run_cell(
        steps.batch_sizes, item[steps.indices], read[steps.indices], theta=kept, weights=cell, reset_input=reset_input
    )
    expected = [torch.empty(0)] * len(LENGTHS)
    for row, (begin, size) in enumerate(zip(first.tolist(), LENGTHS.tolist(), strict=True)):
        own = slice(begin, begin + size)
        shares = theta[own] if each else theta[row].expand(size, -1)
        expected[row] = torch.cat(plain(item[own], read[own], shares, cell, reset_input), 1)
    pull = torch.randn(total, H + D, dtype=torch.double)
    walked = torch.cat(found, 1)
    torch.testing.assert_close(walked, torch.cat(expected)[steps.indices], rtol=0, atol=1e-12)
    ours = torch.autograd.grad((walked * pull[steps.indices]).sum(), leaves, materialize_grads=True)
    theirs = torch.autograd.grad((torch.cat(expected) * pull).sum(), leaves, materialize_grads=True)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


@VARIANTS
def test_going_on_is_going_through(reset_input: ResetInput, drift: int) -> None:
    cell = weights(bool(drift))
    item, read, theta = (torch.randn(6, size, dtype=torch.double) for size in (D, D + 3 * H, K))
    whole = cell_activations([2, 2, 2], item, read, theta=theta[:2], weights=cell, reset_input=reset_input)
    begun = cell_activations([2], item[:2], read[:2], theta=theta[:2], weights=cell, reset_input=reset_input)
    initial = Contexts(begun.state, begun.local)
    rest = cell_activations(
        [2, 2], item[2:], read[2:], theta=theta[:2], weights=cell, reset_input=reset_input, initial=initial
    )
    torch.testing.assert_close(rest.state, whole.state[2:], rtol=0, atol=1e-12)
    torch.testing.assert_close(rest.local, whole.local[2:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_no_argument_is_too_large(kind: torch.dtype) -> None:
    values = torch.tensor([-math.inf, -1e4, 0.0, 1e4, math.inf], dtype=kind)
    found = sigmoids.exp_neg(values)
    product = found[:, None] * found
    assert product.isfinite().all()
    assert (product > 0).all()
    torch.testing.assert_close(found[2], torch.ones((), dtype=kind))
