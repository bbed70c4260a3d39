"""The losses over distinct negatives equal those over every draw."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from segue.nn.losses import GRADIENTS
from segue.nn.sampled_loss import false_negatives

pytest.importorskip("numba")

from segue.nn.compiled import weighted_losses as weighted

LOSSES: dict[str, tuple[Any, Any]] = {
    "top1": (weighted.top1, GRADIENTS["top1"]),
    "bpr-max": (partial(weighted.bpr_max, bpreg=0.4), partial(GRADIENTS["bpr-max"], bpreg=0.4)),
    "sampled-ce": (weighted.sampled_cross_entropy, GRADIENTS["sampled-ce"]),
}
TARGET = torch.tensor([3, 5, 0, 9])  # the third row has no target


@pytest.mark.parametrize("scale", [1.0, 30.0, 3000.0])  # e^-3000 is 0
@pytest.mark.parametrize("sampled", [[2, 9, 9, 3, 7, 9], [2], []], ids=len)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_those_of_every_draw(name: str, sampled: list[int], scale: float) -> None:
    compare(name, TARGET, sampled, scale)


@pytest.mark.parametrize("sampled", [[4, 4], []], ids=len)
@pytest.mark.parametrize("name", LOSSES)
def test_a_row_whose_negatives_are_all_its_target(name: str, sampled: list[int]) -> None:
    compare(name, torch.tensor([4]), sampled, scale=1.0)


def test_logq_correction_is_of_negatives_alone() -> None:
    compare("sampled-ce", TARGET, [2, 9, 9, 3, 7, 9], 1.0, log_expected_count=torch.linspace(-2, 1, 10).double())


def compare(
    name: str, target: torch.Tensor, sampled: list[int], scale: float, log_expected_count: torch.Tensor | None = None
) -> None:
    """The loss and its gradient, summed over equal items, of ten items with random scores."""
    with_target = target > 0
    shared = torch.cat([target[with_target], torch.tensor(sampled, dtype=torch.int64)])
    of_item = scale * torch.randn(len(target), 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    distinct, (of_distinct, of_draws) = shared.unique(), LOSSES[name]

    # every draw
    row, negative = with_target.nonzero().squeeze(1), of_item[with_target][:, shared]
    if log_expected_count is not None:
        negative -= log_expected_count[shared]
    ignored = false_negatives(target[row], shared)
    value, grad_positive, grad_negative = of_draws(of_item[row, target[row]], negative, ignored)
    grad_negative[ignored] = 0
    expected = torch.zeros_like(of_item)
    expected[row] = expected[row].index_add(1, shared, grad_negative)
    expected[row, target[row]] += grad_positive

    # distinct items, and two columns of padding
    score = torch.nn.functional.pad(of_item[:, distinct], (0, 2))
    drawn = torch.cat([(shared == item).sum().reshape(1) for item in distinct] + [torch.zeros(2)]).double()
    column = torch.searchsorted(distinct, target).where(with_target, torch.tensor(-1))
    counts = None if log_expected_count is None else torch.nn.functional.pad(log_expected_count[distinct], (0, 2))
    found, grad = of_distinct(score, weighted.Negatives(drawn, column, counts))

    torch.testing.assert_close(found, float(value.sum()), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grad[:, :-2], expected[:, distinct], rtol=1e-10, atol=1e-12)
    assert not grad[:, -2:].any()
