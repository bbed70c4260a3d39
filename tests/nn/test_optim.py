"""Adam equals that of torch; Adagrad equals its formula on the rows that were looked up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segue.nn.embedding import embedding
from segue.nn.optim import Adagrad, Adam, halving_lr


def weights(dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in ((5, 3), (7,), ())]


def loss(parameters: list[nn.Parameter], step: int) -> Tensor:
    """A different gradient at each step, and none for the last row of the first weight."""
    table, vector, scalar = parameters
    return (table[:4].square() * (step + 1)).sum() + (vector - step).sin().sum() + (scalar * step) ** 2


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float, 1e-6), (torch.double, 1e-12)], ids=str)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.9, 0.98), (0.5, 0.7)], ids=str)
def test_ten_steps_of_adam_equal_torch(
    dtype: torch.dtype, atol: float, weight_decay: float, betas: tuple[float, float]
) -> None:
    parameters, reference_parameters = weights(dtype), weights(dtype)
    adam = Adam(parameters, lr=0.03, weight_decay=weight_decay, betas=betas)
    reference = torch.optim.Adam(reference_parameters, lr=0.03, weight_decay=weight_decay, betas=betas)
    for step in range(10):
        adam.zero_grad()
        loss(parameters, step).backward()
        adam.step()
        reference.zero_grad()
        loss(reference_parameters, step).backward()
        reference.step()
        for one, two in zip(parameters, reference_parameters, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=atol)


def test_a_restored_adam_continues_exactly() -> None:
    whole = weights(torch.float)
    adam = Adam(whole, lr=0.03, weight_decay=0.1)

    def steps(adam: Adam, parameters: list[nn.Parameter], numbers: range) -> None:
        for step in numbers:
            adam.zero_grad()
            loss(parameters, step).backward()
            adam.step()

    steps(adam, whole, range(4))
    saved = {key: value.clone() for key, value in adam.state_dict().items()}
    halfway = [nn.Parameter(weight.detach().clone()) for weight in whole]
    resumed = Adam(halfway, lr=0.03, weight_decay=0.1)
    resumed.load_state_dict(saved)
    steps(adam, whole, range(4, 8))
    steps(resumed, halfway, range(4, 8))
    for one, two in zip(whole, halfway, strict=True):
        assert torch.equal(one, two)
    for key, value in adam.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])
        assert value.shape == saved[key].shape


def test_the_learning_rate_is_constant_then_halves_every_tenth_as_many_steps() -> None:
    parameters = weights(torch.double)
    adam = Adam(parameters, lr=halving_lr(0.4, 20))
    rates = []
    for step in range(25):
        rates.append(adam.lr)
        adam.zero_grad()
        before = parameters[2].item()
        parameters[2].backward(torch.ones((), dtype=torch.double))  # a constant gradient moves a weight by the rate
        adam.step()
        assert before - parameters[2].item() == pytest.approx(rates[step], rel=1e-6)
    assert rates[:21] == [0.4] * 21
    assert rates[22] == pytest.approx(0.2)
    assert rates[24] == pytest.approx(0.1)
    again = Adam(weights(torch.double), lr=halving_lr(0.4, 20))
    again.load_state_dict(adam.state_dict())
    assert again.lr == adam.lr < rates[24]


def test_gradients_are_zeroed_in_place() -> None:
    parameters = weights(torch.float)
    adam = Adam(parameters, lr=0.03)
    pointers = [weight.grad.data_ptr() for weight in parameters]
    loss(parameters, 1).backward()
    assert all(weight.grad.any() for weight in parameters)
    adam.zero_grad()
    assert not any(weight.grad.any() for weight in parameters)
    assert pointers == [weight.grad.data_ptr() for weight in parameters]


def test_a_missing_gradient_counts_as_zero() -> None:
    """The moments of a weight without a gradient decay, and still move it."""
    parameters, reference = weights(torch.double), weights(torch.double)
    adam, reference_adam = Adam(parameters, lr=0.03), torch.optim.Adam(reference, lr=0.03)
    for step in range(3):
        adam.zero_grad()
        loss(parameters, step).backward()
        reference_adam.zero_grad()
        loss(reference, step).backward()
        if step == 2:
            parameters[1].grad = None
            reference[1].grad = torch.zeros_like(reference[1])
        adam.step()
        reference_adam.step()
    for one, two in zip(parameters, reference, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_frozen_weights_do_not_move() -> None:
    parameters = weights(torch.float)
    parameters[0].requires_grad_(False)
    before = parameters[0].clone()
    adam = Adam(parameters, lr=0.1, weight_decay=0.5)
    assert len(adam.state_dict()) == 3 * 2
    adam.zero_grad()
    adam.step()
    assert torch.equal(parameters[0], before)


def test_default_betas_are_those_of_torch() -> None:
    assert Adam(weights(torch.float), lr=0.1).betas == torch.optim.Adam(weights(torch.float)).defaults["betas"]


# ---------------------------------------------------------------------------------------- Adagrad


class PlainAdagrad:
    """The formula, row by row, for the rows that were looked up; for all rows if None."""

    def __init__(self, weights: list[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        self.weights, self.lr, self.momentum, self.weight_decay = weights, lr, momentum, weight_decay
        self.sum = [torch.zeros_like(weight) for weight in weights]
        self.momentum_buffer = [torch.zeros_like(weight) for weight in weights]

    def step(self, gradients: list[Tensor], looked_up: list[set[int] | None]) -> None:
        for weight, g, total, moved, some in zip(
            self.weights, gradients, self.sum, self.momentum_buffer, looked_up, strict=True
        ):
            for row in range(len(weight)) if some is None else some:
                grad = g[row] + self.weight_decay * weight[row]
                total[row] += grad**2
                moved[row] = self.momentum * moved[row] - self.lr * grad / (total[row] + 1e-6).sqrt()
                weight[row] += moved[row]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.4])
@pytest.mark.parametrize("height", [4, 200], ids=["whole table", "rows"])
def test_adagrad_equals_its_formula(height: int, momentum: float, weight_decay: float) -> None:
    """Rows that were not looked up do not move, momentum or not; those looked up twice move once."""
    torch.manual_seed(1)
    table, matrix = nn.Parameter(torch.randn(height, 3).double()), nn.Parameter(torch.randn(3, 2).double())
    with torch.no_grad():
        table[0] = 0
    adagrad = Adagrad([table, matrix], lr=0.1, momentum=momentum, weight_decay=weight_decay, sparse=[table])
    plain = PlainAdagrad([table.detach().clone(), matrix.detach().clone()], 0.1, momentum, weight_decay)
    for step in range(6):
        ids, more = torch.tensor([[1, 3], [1, 0]]), torch.tensor([2, 3])[: 1 + step % 2]
        adagrad.zero_grad()
        looked_up = embedding(table, ids, sparse=True), embedding(table, more, sparse=True)
        ((looked_up[0] @ matrix).sin().sum() + looked_up[1].square().sum()).backward()
        assert table.grad is not None
        assert table.grad.is_sparse
        assert matrix.grad is not None
        copy = [weight.clone().requires_grad_() for weight in plain.weights]
        ((copy[0][ids] @ copy[1]).sin().sum() + copy[0][more].square().sum()).backward()
        plain.step([each.grad for each in copy if each.grad is not None], [{1, 2, 3}, None])
        adagrad.step()
        torch.testing.assert_close(table.detach(), plain.weights[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(matrix.detach(), plain.weights[1], rtol=0, atol=1e-12)


def test_a_dense_gradient_of_a_sparse_parameter_stands_for_its_nonzero_rows() -> None:
    """Several processes sum their gradients, which makes them dense."""
    tables = [nn.Parameter(torch.ones(30, 2).double()) for _ in range(2)]
    optimizers = [Adagrad([table], lr=0.1, momentum=0.5, sparse=[table]) for table in tables]
    for _ in range(3):
        for table, adagrad, sparse in zip(tables, optimizers, (True, False), strict=True):
            adagrad.zero_grad()
            embedding(table, torch.tensor([4, 7, 4, 0]), sparse=sparse).square().sum().backward()
            assert table.grad is not None
            assert table.grad.is_sparse == sparse
            adagrad.step()
    assert tables[0][0].tolist() == [1, 1], "padding does not move"
    torch.testing.assert_close(*tables, rtol=0, atol=1e-12)


def test_a_restored_adagrad_continues_exactly() -> None:
    def steps(adagrad: Adagrad, table: nn.Parameter, numbers: range) -> None:
        for step in numbers:
            adagrad.zero_grad()
            embedding(table, torch.tensor([1 + step % 3, 5]), sparse=True).sin().sum().backward()
            adagrad.step()

    whole = nn.Parameter(torch.rand(9, 2, generator=torch.Generator().manual_seed(1)))
    adagrad = Adagrad([whole], lr=0.1, momentum=0.3, sparse=[whole])
    steps(adagrad, whole, range(4))
    saved = {key: value.clone() for key, value in adagrad.state_dict().items()}
    halfway = nn.Parameter(whole.detach().clone())
    resumed = Adagrad([halfway], lr=0.1, momentum=0.3, sparse=[halfway])
    resumed.load_state_dict(saved)
    steps(adagrad, whole, range(4, 8))
    steps(resumed, halfway, range(4, 8))
    assert torch.equal(whole, halfway)
