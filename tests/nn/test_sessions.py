"""The vectors of the positions of events in their sessions."""

from __future__ import annotations

import torch

from segue.nn.sessions import NUM_POSITIONS, SessionEmbedding


def test_each_position_has_a_vector_and_later_ones_share_the_last() -> None:
    layer = SessionEmbedding(3, dim=4)
    rows = layer.weight.detach()
    found = layer(torch.tensor([[0, 1, 2, 3, 4, 99]]))[0].detach()
    assert torch.equal(found, rows[[0, 1, 2, 3, 3, 3]])
    assert len(SessionEmbedding(NUM_POSITIONS, dim=4).weight) == NUM_POSITIONS + 1


def test_with_one_position_only_the_first_event_has_a_vector() -> None:
    layer = SessionEmbedding(1, dim=4)
    found = layer(torch.tensor([[0, 1, 2, 3, 1]]))[0].detach()
    assert torch.equal(found, layer.weight.detach()[[0, 1, 0, 0, 1]])


def test_the_vector_of_an_unknown_session_stays_zero() -> None:
    layer = SessionEmbedding(2, dim=4)
    layer(torch.tensor([[0, 1, 2]])).square().sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight[0].any()
    assert not layer.weight.grad.to_dense()[0].any()
