"""Options that say whom to recommend to: a user, or a history of items of any name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.errors import ConfigError, DataError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.models.base.model import Model

ExcludeSeenOption = Annotated[
    bool | None,
    Parameter(
        name="--exclude-seen",
        negative="--include-seen",
        show_default=False,
        help="Whether items of the history are left out. By default they are if they were in the model's evaluation.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class HistoryOptions:
    """Whom to recommend to: a user, or a history.

    Attributes:
        user: A user of the log that the model was trained on.
        history: Items, oldest first, separated by commas or as a JSON list: the history of a new user, or one to use in
            place of the user's own.
        strict: Stop with an error if a user or an item is unknown. By default unknown users get popular items, unknown
            items are left out, and the answer says so.
    """

    user: str | None = None
    history: str | None = None
    strict: Annotated[bool, Parameter(negative=(), show_default=False)] = False


HISTORY_DEFAULTS = HistoryOptions()


def say_unknown(model: Model, *, timed: bool = False) -> None:
    """Say what a model reads of events and does not know of a history that is given by items, or with their times."""
    unknown = f"{model.name} reads the {{}} of events, and those of a given history are unknown to it"
    if model.reads_times and not timed:
        say(f"{unknown.format('times')}: all count as of the time of the request")
    if model.reads_event_types:
        say(unknown.format("types"))
    if model.reads_event_features:
        say(unknown.format("features"))
    if model.session_rule is not None and not (timed and model.session_rule.gap):
        say(unknown.format("sessions"))


def read_history(log: Log, history: str | None, items: tuple[str, ...] = ()) -> list[Any] | None:
    """The names of the items of --history or of all --item; None if neither is given.

    Raises:
        ConfigError: both are given, or --history is no list of names.
        DataError: a name of the log has a comma in it, and was taken apart.
    """
    if history is not None and items:
        raise ConfigError("--history and --item: both give the history; use one of them")
    if items:
        return list(items)
    if history is None:
        return None
    text = history.strip()
    if text.startswith("[") and text.endswith("]"):
        return _from_json(text)
    return _from_commas(log, history)


def _from_json(text: str) -> list[Any]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"--history {text}: is not a JSON list ({error}); write names in double quotes, such as "
            '\'["a, b", "c"]\', or give each item with --item'
        ) from error
    for name in names:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise ConfigError(
                f"--history {text}: {json.dumps(name)} is not the name of an item; give texts or integers"
            )
    return list(names)


def _from_commas(log: Log, text: str) -> list[str]:
    if not text.strip():
        return []
    parts = text.split(",")
    if any(not part.strip() for part in parts):
        raise ConfigError(f"--history {text!r}: there is no name between two commas; leave out the comma")
    _check_commas(log, text, parts)
    return [part.strip() for part in parts]


def _check_commas(log: Log, text: str, parts: list[str]) -> None:
    """Raise `DataError` if neighbouring parts are the name of an item together."""
    if log.items.tokens.dtype.is_integer():
        return
    most_commas = int(log.items.tokens.str.count_matches(",").to_numpy().max(initial=0))
    for first in range(len(parts)):
        for stop in range(first + 2, min(first + 1 + most_commas, len(parts)) + 1):
            index = log.items.ids([",".join(parts[first:stop])])
            if index[0]:
                known = log.items.names(index)
                raise DataError(
                    f"--history {text!r}: {known[0]!r} is one item with a comma in its name; give each item with "
                    f"--item, or a JSON list: --history '{json.dumps(known, ensure_ascii=False)}'"
                )
