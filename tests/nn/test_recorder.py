"""Taps: heard by who listens, at no cost to who does not."""

from __future__ import annotations

import pytest
import torch

from segue.nn.recorder import readouts, tap


def test_what_is_tapped_is_heard_in_order() -> None:
    one, two = torch.ones(2, requires_grad=True), torch.zeros(2)
    with readouts() as seen:
        tap("gate", one)
        tap("attention", lambda: two)
        tap("gate", two)
    assert list(seen) == ["gate", "attention"]
    assert torch.equal(seen["gate"][0], one)
    assert not seen["gate"][0].requires_grad
    assert seen["gate"][1].data_ptr() == two.data_ptr()


def test_nobody_listening_nothing_is_computed() -> None:
    def costly() -> torch.Tensor:
        raise AssertionError("computed")

    tap("gate", costly)
    with readouts() as seen, pytest.raises(AssertionError, match="computed"):
        tap("gate", costly)
    tap("gate", torch.ones(1))
    assert seen == {}


def test_the_inner_listener_hears_alone() -> None:
    with readouts() as outer:
        with readouts() as inner:
            tap("gate", torch.ones(1))
        tap("attention", torch.ones(1))
    assert (list(inner), list(outer)) == (["gate"], ["attention"])
