"""Values are recorded inside a block, and not computed outside of one."""

from __future__ import annotations

import pytest
import torch

from segue.nn.recorder import record, recording


def test_values_are_recorded_in_order() -> None:
    one, two = torch.ones(2, requires_grad=True), torch.zeros(2)
    with recording() as recorded:
        record("gate", one)
        record("attention", lambda: two)
        record("gate", two)
    assert list(recorded) == ["gate", "attention"]
    assert torch.equal(recorded["gate"][0], one)
    assert not recorded["gate"][0].requires_grad
    assert recorded["gate"][1].data_ptr() == two.data_ptr()


def test_without_a_block_nothing_is_computed() -> None:
    def costly() -> torch.Tensor:
        raise AssertionError("computed")

    record("gate", costly)
    with recording() as recorded, pytest.raises(AssertionError, match="computed"):
        record("gate", costly)
    record("gate", torch.ones(1))
    assert recorded == {}


def test_values_go_to_the_inner_block_only() -> None:
    with recording() as outer:
        with recording() as inner:
            record("gate", torch.ones(1))
        record("attention", torch.ones(1))
    assert (list(inner), list(outer)) == (["gate"], ["attention"])
