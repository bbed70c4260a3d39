"""Taps: heard by who listens, at no cost to who does not."""

from __future__ import annotations

import pytest
import torch

from segue.nn.recorder import record, recording


def test_what_is_tapped_is_heard_in_order() -> None:
    one, two = torch.ones(2, requires_grad=True), torch.zeros(2)
    with recording() as seen:
        record("gate", one)
        record("attention", lambda: two)
        record("gate", two)
    assert list(seen) == ["gate", "attention"]
    assert torch.equal(seen["gate"][0], one)
    assert not seen["gate"][0].requires_grad
    assert seen["gate"][1].data_ptr() == two.data_ptr()


def test_nobody_listening_nothing_is_computed() -> None:
    def costly() -> torch.Tensor:
        raise AssertionError("computed")

    record("gate", costly)
    with recording() as seen, pytest.raises(AssertionError, match="computed"):
        record("gate", costly)
    record("gate", torch.ones(1))
    assert seen == {}


def test_the_inner_listener_hears_alone() -> None:
    with recording() as outer:
        with recording() as inner:
            record("gate", torch.ones(1))
        record("attention", torch.ones(1))
    assert (list(inner), list(outer)) == (["gate"], ["attention"])
