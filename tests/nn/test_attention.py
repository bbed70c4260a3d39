"""Additive attention in tiles equals its formula in value and gradient, and respects its mask."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segue.nn import attention
from segue.nn.attention import additive_attention, causal_attention_mask

VALID = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]).bool()


@pytest.fixture(params=[(1, 1), (2, 40), (8, 10**6)], ids=str)
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "QUERIES", request.param[0])
    monkeypatch.setitem(attention.TILE, "cpu", request.param[1])


def case(num_queries: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_queries)
    shapes = ((len(VALID), num_queries, 3), (len(VALID), VALID.shape[1], 3), (3,))
    query, key, v = (torch.randn(shape, dtype=torch.double, generator=generator) * 2 for shape in shapes)
    return query.requires_grad_(), key.requires_grad_(), v.requires_grad_()


def plain(query: Tensor, key: Tensor, v: Tensor, hard: bool) -> Tensor:
    both = query[:, :, None] + key[:, None]
    return ((both / 5 + 0.5).clamp(0, 1) if hard else both.sigmoid()) @ v * causal_attention_mask(VALID, query.shape[1])


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("num_queries", [1, 3, 5])
def test_value_and_gradient(num_queries: int, hard: bool) -> None:
    leaves = case(num_queries)
    scores = additive_attention(*leaves, causal_attention_mask(VALID, num_queries), hard=hard)
    expected = plain(*leaves, hard)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)
    gradients = (torch.autograd.grad(alpha.square().sum(), leaves) for alpha in (scores, expected))
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_queries_attend_to_positions_up_to_their_own() -> None:
    mask = causal_attention_mask(VALID, 2)
    assert mask[2].int().tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 1, 1]]
    assert mask[1].int().tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert not mask[0].any()


def test_no_rows_and_no_positions() -> None:
    for rows, positions in ((0, 3), (2, 0)):
        mask = causal_attention_mask(torch.zeros(rows, positions, dtype=torch.bool), positions)
        query = torch.zeros(rows, positions, 4)
        assert additive_attention(query, query, torch.ones(4), mask).shape == (rows, positions, positions)
