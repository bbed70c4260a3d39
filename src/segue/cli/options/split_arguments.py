"""How `--valid`, `--test`, `--date` and `--gap` become arguments of the split of a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from segue.errors import ConfigError

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol


def with_arguments(protocol: Protocol, given: Mapping[str, Any], log: Log | None) -> Protocol:
    """The protocol with other arguments of its split.

    Args:
        protocol: the protocol that is changed.
        given: the values of the options `valid`, `test`, `date` and `gap` that were given.
        log: gives the unit of a date; None if it is not read yet, then the date is only checked.

    Raises:
        ConfigError: the protocol does not take one of the options, or a value is of another kind.
    """
    for name, value in given.items():
        _check(protocol, name, value if name == "date" else f"{value:g}", value)
    if "date" not in given:
        return replace(protocol, arguments={**protocol.arguments, **given})
    if "test" in given:
        raise ConfigError(
            f"--test {given['test']:g} and --date {given['date']}: both say where the test begins; give one"
        )
    arguments = {"valid": given.get("valid", protocol.arguments["valid"]), "date": date_in(given["date"], log)}
    return replace(protocol, by="date", arguments=arguments)


def _check(protocol: Protocol, name: str, shown: str, value: Any) -> None:
    """Raise `ConfigError` for an option that the protocol does not take, or a value of another kind."""
    takes, whole = protocol.split_kind.options, protocol.split_kind.hints.get(name) is int
    if name not in takes:
        options = "; ".join(f"--{other}, {what}" for other, what in takes.items())
        others = ", ".join(_protocols_with(name))
        raise ConfigError(
            f"--{name} {shown}: the protocol {protocol.name} has no such option (it takes {options}); choose one that "
            f"does with --protocol: {others}"
        )
    if name != "date" and whole and not float(value).is_integer():
        raise ConfigError(f"--{name} {shown}: under the protocol {protocol.name} it is {takes[name]}, a whole number")
    if name != "date" and not whole and not 0 <= value < 1:
        raise ConfigError(f"--{name} {shown}: under the protocol {protocol.name} it is {takes[name]}, below 1")


def _protocols_with(name: str) -> list[str]:
    from segue.evaluation.protocols import PROTOCOLS

    return [protocol.name for protocol in PROTOCOLS.values() if name in protocol.split_kind.options]


def date_in(text: str, log: Log | None, option: str = "--date") -> int:
    """A date in the unit of the times of a log: a whole number as it is, ISO text as a moment in UTC.

    Raises:
        ConfigError: the text is neither, or the log has no dates to compare with.
    """
    from segue.errors import DataError

    try:
        return int(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} {text}: not a date; give 2024-01-31, 2024-01-31T10:00, or a whole number in the unit of the "
            "log's times"
        ) from error
    if log is None or log.time is None:
        return 0  # checked again with the log; a split by time of a log without times is an error
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    try:
        return round(seconds * log.ticks_per_second)
    except DataError as error:
        first, last = int(log.time.min()), int(log.time.max())
        raise ConfigError(
            f"{option} {text}: {log.name} has times from {first:,} to {last:,}, which are no dates; give a number "
            "between"
        ) from error
