"""The domains of a search space: `Choice`, `Uniform`, `LogUniform`; a `Space` maps settings to domains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segue.errors import ConfigError

MAX_STEPS = 100_000  # of a range of fractions, which are listed; whole numbers are not


@dataclass(frozen=True, init=False)
class Choice:
    """One of several values: numbers, text, true or false, None, or tuples of numbers."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if not values:
            raise ConfigError("choice: needs at least one value to choose from")
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Uniform:
    """A number between `low` and `high`, all equally likely.

    With a `step` it is one of low, low + step, ...; it is an integer if all of these are integers.
    """

    low: float
    high: float
    step: float | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"uniform: low={self.low} must be below high={self.high}")
        if self.step is not None and self.step <= 0:
            raise ConfigError(f"uniform: step={self.step} must be above 0")
        whole = isinstance(self.low, int) and isinstance(self.step, int)
        if self.step is not None and not whole and (self.high - self.low) / self.step > MAX_STEPS:
            raise ConfigError(f"uniform: step={self.step} makes over {MAX_STEPS:,} values; leave out the step")


@dataclass(frozen=True)
class LogUniform:
    """A number between `low` and `high`, uniform on a logarithmic scale; an integer if both ends are integers."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ConfigError(f"loguniform: low={self.low} must be above 0 and below high={self.high}")


Domain = Choice | Uniform | LogUniform


Space = Mapping[str, Domain]


def space_to_dict(space: Space) -> dict[str, Any]:
    """Plain values, ready for JSON: a list of choices, or the kind of a range and its numbers."""
    return {name: _plain(domain) for name, domain in space.items()}


def num_points(space: Space) -> int | None:
    """The number of points of a space; None if one of its domains is continuous."""
    counts = [len(values) if (values := domain_values(domain)) else None for domain in space.values()]
    return None if None in counts else math.prod(n for n in counts if n is not None)


def domain_values(domain: Domain) -> Sequence[Any] | None:
    """All values of a domain, those of whole numbers as a `range`; None if it is continuous."""
    if isinstance(domain, Choice):
        return domain.values
    step = 1 if isinstance(domain, LogUniform) else domain.step or 1
    if all(isinstance(end, int) for end in (domain.low, domain.high, step)):
        return range(int(domain.low), int(domain.high) + 1, int(step))
    if isinstance(domain, LogUniform) or domain.step is None:
        return None
    values = (domain.low + n * step for n in range(int((domain.high - domain.low) / step + 1e-9) + 1))
    return tuple(float(f"{value:.12g}") for value in values)


def nearest_value(domain: Domain, value: Any) -> Any:
    """The value of the domain that is closest to `value`; None if none is comparable."""
    listed = domain_values(domain)
    if listed is None:
        assert not isinstance(domain, Choice)
        return min(max(value, domain.low), domain.high) if isinstance(value, (int, float)) else None
    if isinstance(listed, range):  # which would be searched value by value for a fraction
        index = round((value - listed.start) / listed.step) if _is_number(value) else None
        return None if index is None else listed[min(max(index, 0), len(listed) - 1)]
    if value in listed:
        return value
    numbers = [number for number in listed if _is_number(number)]
    return min(numbers, key=lambda number: abs(number - value)) if numbers and _is_number(value) else None


def format_setting(value: Any) -> str:
    """A value as it is written on the command line after `--set NAME=`."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return [list(value) if isinstance(value, tuple) else value for value in domain.values]
    step = [domain.step] if isinstance(domain, Uniform) and domain.step is not None else []
    return {type(domain).__name__.lower(): [domain.low, domain.high, *step]}
