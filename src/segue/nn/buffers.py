"""Checks of loaded buffers: a table of ids that comes from a file may point anywhere."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from segue.errors import require


@runtime_checkable
class CheckedBuffers(Protocol):
    """A module that checks its buffers after they were loaded: ids in range, rows in order."""

    def check_buffers(self) -> None:
        """Raise `ConfigError` if the buffers cannot be those of a trained model."""


def require_ids(values: Tensor, last: int, what: str) -> None:
    """Raise `ConfigError` unless all values lie between 0 and `last`."""
    if values.numel():
        low, high = (int(value) for value in values.aminmax())
        require(low >= 0 and high <= last, f"{what}: values from {low} to {high}, expected 0 to {last}")
