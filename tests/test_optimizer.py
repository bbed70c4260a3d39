"""Our Adam is torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segue.optimizer import Adam


def weights(dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in ((5, 3), (7,), ())]


def loss(parameters: list[nn.Parameter], step: int) -> Tensor:
    """Another slope each time, and nothing at all for the last row of the first weight."""
    table, vector, scalar = parameters
    return (table[:4].square() * (step + 1)).sum() + (vector - step).sin().sum() + (scalar * step) ** 2


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float, 1e-6), (torch.double, 1e-12)], ids=str)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_ten_steps_of_torch(dtype: torch.dtype, atol: float, weight_decay: float) -> None:
    ours, theirs = weights(dtype), weights(dtype)
    adam = Adam(ours, lr=0.03, weight_decay=weight_decay)
    reference = torch.optim.Adam(theirs, lr=0.03, weight_decay=weight_decay)
    for step in range(10):
        adam.zero_grad()
        loss(ours, step).backward()
        adam.step()
        reference.zero_grad()
        loss(theirs, step).backward()
        reference.step()
        for one, two in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=atol)


def test_a_restored_state_goes_on_to_the_bit() -> None:
    whole = weights(torch.float)
    adam = Adam(whole, lr=0.03, weight_decay=0.1)

    def steps(adam: Adam, parameters: list[nn.Parameter], numbers: range) -> None:
        for step in numbers:
            adam.zero_grad()
            loss(parameters, step).backward()
            adam.step()

    steps(adam, whole, range(4))
    kept = {key: value.clone() for key, value in adam.state().items()}
    halfway = [nn.Parameter(weight.detach().clone()) for weight in whole]
    resumed = Adam(halfway, lr=0.03, weight_decay=0.1)
    resumed.load_state(kept)
    steps(adam, whole, range(4, 8))
    steps(resumed, halfway, range(4, 8))
    for one, two in zip(whole, halfway, strict=True):
        assert torch.equal(one, two)
    for key, value in adam.state().items():
        assert torch.equal(value, resumed.state()[key])
        assert value.shape == kept[key].shape


def test_gradients_are_forgotten_in_place() -> None:
    parameters = weights(torch.float)
    adam = Adam(parameters, lr=0.03)
    places = [weight.grad.data_ptr() for weight in parameters]
    loss(parameters, 1).backward()
    assert all(weight.grad.any() for weight in parameters)
    adam.zero_grad()
    assert not any(weight.grad.any() for weight in parameters)
    assert places == [weight.grad.data_ptr() for weight in parameters]


def test_a_missing_gradient_counts_as_zero() -> None:
    """The moments of a weight that took no part go on to fade, and still move it."""
    parameters, reference = weights(torch.double), weights(torch.double)
    adam, theirs = Adam(parameters, lr=0.03), torch.optim.Adam(reference, lr=0.03)
    for step in range(3):
        adam.zero_grad()
        loss(parameters, step).backward()
        theirs.zero_grad()
        loss(reference, step).backward()
        if step == 2:
            parameters[1].grad = None
            reference[1].grad = torch.zeros_like(reference[1])
        adam.step()
        theirs.step()
    for one, two in zip(parameters, reference, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_frozen_weights_stay() -> None:
    parameters = weights(torch.float)
    parameters[0].requires_grad_(False)
    before = parameters[0].clone()
    adam = Adam(parameters, lr=0.1, weight_decay=0.5)
    assert len(adam.state()) == 3 * 2
    adam.zero_grad()
    adam.step()
    assert torch.equal(parameters[0], before)
