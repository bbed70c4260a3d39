"""Checks a search space against the settings of a model before the first trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segue.errors import ConfigError, require
from segue.models.base.model import Model
from segue.models.base.search_space import Choice, Domain, Space, domain_values

_MAX_DRAWS = 50  # of other settings: a value may be valid only together with certain values of them


def validate_space(
    space: Space, model: type[Model], *, settings: Mapping[str, Any] | None = None, preset: str | None = None
) -> dict[str, Domain]:
    """The search space with every value converted to the type of its setting.

    Names, types and ranges are those that the model's `Config` declares. For a range both ends are checked.

    Args:
        space: the search space.
        model: the model class.
        settings: fixed settings.
        preset: provides the settings that are neither fixed nor searched.

    Raises:
        ConfigError: a setting is unknown, is also fixed, or does not accept a value.
    """
    fixed = dict(settings or {})
    for name in space:
        require(name not in fixed, f"{name} is both fixed and searched; take it out of one of the two")

    def convert(name: str, value: Any) -> Any:
        """The value in a valid config: with the default of the other settings, or with other values of the space."""
        rng = np.random.default_rng(0)
        first_error: ConfigError | None = None
        for draw in range(_MAX_DRAWS):
            others = {other: _sample(space[other], rng) for other in space if other != name} if draw else {}
            try:
                return model.configure({**fixed, **others, name: value}, preset).setting(name)
            except ConfigError as error:
                first_error = first_error or error
        raise ConfigError(f"search space of {model.name}: {first_error}")

    converted: dict[str, Domain] = {}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            converted[name] = Choice(*dict.fromkeys(convert(name, value) for value in domain.values))
        else:
            converted[name] = replace(domain, low=convert(name, domain.low), high=convert(name, domain.high))
    return converted


def _sample(domain: Domain, rng: np.random.Generator) -> Any:
    values = domain_values(domain)
    if values is not None:
        return values[int(rng.integers(len(values)))]
    assert not isinstance(domain, Choice)
    return float(rng.uniform(domain.low, domain.high))
