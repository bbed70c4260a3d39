"""A search space and its settings in Optuna's terms: distributions and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segue.errors import ConfigError
from segue.models.base.search_space import Choice, Domain, LogUniform, Space, domain_values, format_setting


def import_optuna() -> Any:
    """The module `optuna`.

    Raises:
        ConfigError: it is not installed; the message names the extra.
    """
    try:
        import optuna
        import optuna.storages.journal
    except ImportError as error:
        raise ConfigError(f'searching needs {error.name}, which is not installed: pip install "segue[tune]"') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def to_params(settings: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Settings as Optuna's parameters."""
    return {
        name: _choice_label(value) if isinstance(space[name], Choice) else value for name, value in settings.items()
    }


def to_settings(params: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Optuna's parameters as settings, in the order of the space; a choice is found by its label."""
    settings = dict(params)
    for name, domain in space.items():
        if isinstance(domain, Choice):
            settings[name] = next(value for value in domain.values if _choice_label(value) == params[name])
    return {name: settings[name] for name in space}


def to_distributions(space: Space) -> dict[str, Any]:
    """Every domain of the space as an Optuna distribution."""
    return {name: _distribution(domain) for name, domain in space.items()}


def _distribution(domain: Domain) -> Any:
    distributions = import_optuna().distributions
    if isinstance(domain, Choice):
        return distributions.CategoricalDistribution([_choice_label(value) for value in domain.values])
    values = domain_values(domain)
    high = values[-1] if values else domain.high
    integers = isinstance(values, range)
    if isinstance(domain, LogUniform):
        kind = distributions.IntDistribution if integers else distributions.FloatDistribution
        return kind(domain.low, domain.high, log=True)
    if integers:
        return distributions.IntDistribution(domain.low, high, step=domain.step or 1)
    return distributions.FloatDistribution(domain.low, high, step=domain.step)


def _choice_label(value: Any) -> Any:
    """A value as Optuna stores it: it cannot store tuples."""
    return format_setting(value) if isinstance(value, tuple) else value
