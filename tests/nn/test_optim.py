"""Our Adam is torch's; our Adagrad is its formula, on the rows that were looked up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segue.nn.embedding import embedding
from segue.nn.optim import Adagrad, Adam, halving


def weights(dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in ((5, 3), (7,), ())]


def loss(parameters: list[nn.Parameter], step: int) -> Tensor:
    """Another slope each time, and nothing at all for the last row of the first weight."""
    table, vector, scalar = parameters
    return (table[:4].square() * (step + 1)).sum() + (vector - step).sin().sum() + (scalar * step) ** 2


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float, 1e-6), (torch.double, 1e-12)], ids=str)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.9, 0.98), (0.5, 0.7)], ids=str)
def test_ten_steps_of_torch(dtype: torch.dtype, atol: float, weight_decay: float, betas: tuple[float, float]) -> None:
    ours, theirs = weights(dtype), weights(dtype)
    adam = Adam(ours, lr=0.03, weight_decay=weight_decay, betas=betas)
    reference = torch.optim.Adam(theirs, lr=0.03, weight_decay=weight_decay, betas=betas)
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


def test_the_learning_rate_is_steady_then_halves_every_tenth_as_many_steps() -> None:
    parameters = weights(torch.double)
    adam = Adam(parameters, lr=halving(0.4, 20))
    rates = []
    for step in range(25):
        rates.append(adam.rate)
        adam.zero_grad()
        before = parameters[2].item()
        parameters[2].backward(torch.ones((), dtype=torch.double))  # a constant slope moves a weight by the rate
        adam.step()
        assert before - parameters[2].item() == pytest.approx(rates[step], rel=1e-6)
    assert rates[:21] == [0.4] * 21
    assert rates[22] == pytest.approx(0.2)
    assert rates[24] == pytest.approx(0.1)
    again = Adam(weights(torch.double), lr=halving(0.4, 20))
    again.load_state(adam.state())
    assert again.rate == adam.rate < rates[24]


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


def test_betas_are_torchs_by_default() -> None:
    assert Adam(weights(torch.float), lr=0.1).betas == torch.optim.Adam(weights(torch.float)).defaults["betas"]


# ---------------------------------------------------------------------------------------- Adagrad


class Plain:
    """The formula, row by row, for the rows that are told to have been looked up; all of them if None."""

    def __init__(self, weights: list[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        self.weights, self.lr, self.momentum, self.weight_decay = weights, lr, momentum, weight_decay
        self.square = [torch.zeros_like(weight) for weight in weights]
        self.moved = [torch.zeros_like(weight) for weight in weights]

    def step(self, gradients: list[Tensor], looked_up: list[set[int] | None]) -> None:
        for weight, g, square, moved, some in zip(
            self.weights, gradients, self.square, self.moved, looked_up, strict=True
        ):
            for row in range(len(weight)) if some is None else some:
                slope = g[row] + self.weight_decay * weight[row]
                square[row] += slope**2
                moved[row] = self.momentum * moved[row] - self.lr * slope / (square[row] + 1e-6).sqrt()
                weight[row] += moved[row]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.4])
@pytest.mark.parametrize("height", [4, 200], ids=["whole table", "rows"])
def test_adagrad_by_hand(height: int, momentum: float, weight_decay: float) -> None:
    """Rows that nobody looked up stay where they are, momentum or not; those looked up twice move once."""
    torch.manual_seed(1)
    table, matrix = nn.Parameter(torch.randn(height, 3).double()), nn.Parameter(torch.randn(3, 2).double())
    with torch.no_grad():
        table[0] = 0
    adagrad = Adagrad([table, matrix], lr=0.1, momentum=momentum, weight_decay=weight_decay, tables=[table])
    plain = Plain([table.detach().clone(), matrix.detach().clone()], 0.1, momentum, weight_decay)
    for step in range(6):
        ids, more = torch.tensor([[1, 3], [1, 0]]), torch.tensor([2, 3])[: 1 + step % 2]
        adagrad.zero_grad()
        ((embedding(table, ids) @ matrix).sin().sum() + embedding(table, more).square().sum()).backward()
        assert table.grad is None, "the gradients of the rows are collected"
        assert matrix.grad is not None
        copy = [weight.clone().requires_grad_() for weight in plain.weights]
        ((copy[0][ids] @ copy[1]).sin().sum() + copy[0][more].square().sum()).backward()
        plain.step([each.grad for each in copy if each.grad is not None], [{1, 2, 3}, None])
        adagrad.step()
        torch.testing.assert_close(table.detach(), plain.weights[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(matrix.detach(), plain.weights[1], rtol=0, atol=1e-12)


def test_adagrad_moves_a_table_with_a_dense_gradient() -> None:
    """As several processes leave it, whose gradients are summed."""
    one, two = (nn.Parameter(torch.ones(30, 2).double()) for _ in range(2))
    sparse = Adagrad([one], lr=0.1, momentum=0.5, tables=[one])
    dense = Adagrad([two], lr=0.1, momentum=0.5, tables=[two])
    two.pieces = None  # type: ignore[attr-defined]
    for _ in range(3):
        for table, adagrad in ((one, sparse), (two, dense)):
            adagrad.zero_grad()
            embedding(table, torch.tensor([4, 7, 4])).square().sum().backward()
            adagrad.step()
    assert not one[0].any()
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_a_table_outlives_its_optimiser() -> None:
    """Who trains it with another one afterwards finds a gradient."""
    table = nn.Parameter(torch.ones(5, 2))
    adagrad = Adagrad([table], lr=0.1, tables=[table])
    embedding(table, torch.tensor([2])).sum().backward()
    assert table.grad is None
    del adagrad
    embedding(table, torch.tensor([2])).sum().backward()
    assert table.grad is not None
    assert table.grad[2].tolist() == [1, 1]


def test_a_restored_adagrad_goes_on_to_the_bit() -> None:
    def steps(adagrad: Adagrad, table: nn.Parameter, numbers: range) -> None:
        for step in numbers:
            adagrad.zero_grad()
            embedding(table, torch.tensor([1 + step % 3, 5])).sin().sum().backward()
            adagrad.step()

    whole = nn.Parameter(torch.rand(9, 2, generator=torch.Generator().manual_seed(1)))
    adagrad = Adagrad([whole], lr=0.1, momentum=0.3, tables=[whole])
    steps(adagrad, whole, range(4))
    kept = {key: value.clone() for key, value in adagrad.state().items()}
    halfway = nn.Parameter(whole.detach().clone())
    resumed = Adagrad([halfway], lr=0.1, momentum=0.3, tables=[halfway])
    resumed.load_state(kept)
    steps(adagrad, whole, range(4, 8))
    steps(resumed, halfway, range(4, 8))
    assert torch.equal(whole, halfway)
