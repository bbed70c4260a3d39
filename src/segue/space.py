"""A search space: which values of which settings are worth trying.

    space = {"dim": Choice(32, 64, 128), "lr": LogUniform(1e-4, 1e-2), "dropout": Uniform(0.0, 0.5)}

Each model declares one of its own (`Model.space`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segue.errors import ConfigError


@dataclass(frozen=True, init=False)
class Choice:
    """One of some values: numbers, text, true or false, None, or tuples of numbers."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if not values:
            raise ConfigError("choice: needs at least one value to choose from")
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Uniform:
    """A number from `low` to `high`; with a `step`, one of low, low + step, ...; whole numbers where all are whole."""

    low: float
    high: float
    step: float | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"uniform: low={self.low} must be below high={self.high}")
        if self.step is not None and self.step <= 0:
            raise ConfigError(f"uniform: step={self.step} must be above 0")


@dataclass(frozen=True)
class LogUniform:
    """A number from `low` to `high`, each order of magnitude as likely; whole where both ends are whole numbers."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ConfigError(f"loguniform: low={self.low} must be above 0 and below high={self.high}")


Domain = Choice | Uniform | LogUniform
Space = Mapping[str, Domain]
