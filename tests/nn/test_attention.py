"""Additive attention in tiles is the formula, in value and in gradient, and looks at nothing that it may not see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn import attention as layer
from segue.nn.attention import additive_attention, causal_attention_mask

REAL = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]).bool()


@pytest.fixture(params=[(1, 1), (2, 40), (8, 10**6)], ids=str)
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "QUESTIONS", request.param[0])
    monkeypatch.setitem(layer.TILE, "cpu", request.param[1])


def case(questions: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(questions)
    shapes = ((len(REAL), questions, 3), (len(REAL), REAL.shape[1], 3), (3,))
    query, key, v = (torch.randn(shape, dtype=torch.double, generator=generator) * 2 for shape in shapes)
    return query.requires_grad_(), key.requires_grad_(), v.requires_grad_()


def plain(query: Tensor, key: Tensor, v: Tensor, hard: bool) -> Tensor:
    both = query[:, :, None] + key[:, None]
    return ((both / 5 + 0.5).clamp(0, 1) if hard else both.sigmoid()) @ v * causal_attention_mask(REAL, query.shape[1])


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("questions", [1, 3, 5])
def test_value_and_gradient(questions: int, hard: bool) -> None:
    leaves = case(questions)
    found, wanted = additive_attention(*leaves, causal_attention_mask(REAL, questions), hard=hard), plain(*leaves, hard)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    ours, theirs = (torch.autograd.grad(alpha.square().sum(), leaves) for alpha in (found, wanted))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_sight_ends_at_the_own_position() -> None:
    seen = causal_attention_mask(REAL, 2)
    assert seen[2].int().tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 1, 1]]
    assert seen[1].int().tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert not seen[0].any()


def test_nothing_to_look_at() -> None:
    for rows, places in ((0, 3), (2, 0)):
        real = torch.zeros(rows, places, dtype=torch.bool)
        query = torch.zeros(rows, places, 4)
        assert additive_attention(query, query, torch.ones(4), causal_attention_mask(real, places)).shape == (
            rows,
            places,
            places,
        )
