"""A search space fitted to a model: each value tried on its settings, before the first trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segue.errors import ConfigError, require
from segue.models.base.model import Model
from segue.models.base.search_space import Choice, Domain, Space, points

DRAWS = 50  # of other settings, beside which a value may be accepted


def fitting(
    space: Space, kind: type[Model], *, settings: Mapping[str, Any] | None = None, preset: str | None = None
) -> dict[str, Domain]:
    """`space` with every value as the settings of a model take it.

    Args:
        space: what is to be tried.
        kind: the model.
        settings: those that stay fixed.
        preset: for what is neither fixed nor tried.

    Raises:
        ConfigError: a setting is unknown, fixed elsewhere, or no value of it is accepted.
    """
    fixed = dict(settings or {})
    for name in space:
        require(name not in fixed, f"{name} is both fixed and searched; take it out of one of the two")

    def taken(name: str, value: Any) -> Any:
        """`value` as the model has it: beside its defaults, or beside some other values of the space."""
        rng = np.random.default_rng(0)
        first: ConfigError | None = None
        for draw in range(DRAWS):
            others = {other: _drawn(space[other], rng) for other in space if other != name} if draw else {}
            try:
                return getattr(kind.configure({**fixed, **others, name: value}, preset), name)
            except ConfigError as error:
                first = first or error
        raise ConfigError(f"search space of {kind.name}: {first}")

    found: dict[str, Domain] = {}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            found[name] = Choice(*dict.fromkeys(taken(name, value) for value in domain.values))
        else:
            found[name] = replace(domain, low=taken(name, domain.low), high=taken(name, domain.high))
    return found


def _drawn(domain: Domain, rng: np.random.Generator) -> Any:
    listed = points(domain)
    if listed is not None:
        return listed[rng.integers(len(listed))]
    assert not isinstance(domain, Choice)
    return float(rng.uniform(domain.low, domain.high))
