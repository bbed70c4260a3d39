"""`SPLITS`: what is known about each kind of split: how it is made, described and set.

"leave-last-out"   make       leave_last_out(log, valid=1, test=1)
                   describe   "Each user's last row is the test, ..."
                   options    valid, test: a number of rows of each user
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from segue.data import splits
from segue.data.splits import Split
from segue.data.time_units import time_text, unit_of
from segue.errors import require, unknown

_OF_USER, _OF_ALL = "a fraction of each user's rows", "a fraction of all rows"
_OF_USERS, _ROWS = "a fraction of the users", "a number of rows of each user"
_DAYS = "a number of days at the end of the log"


@dataclass(frozen=True)
class SplitKind:
    """One kind of split.

    Attributes:
        name: its name in protocols.
        make: makes the split of a log; its further parameters are the arguments of a protocol.
        describe: one sentence about the split with these arguments.
        options: the arguments that users set, and what each takes, in words.
        every_step: whether there is an instance for every held-out row.
        next_row: whether the first target is the row right after a user's past. Then rows of one time are warned about;
            splits that hold out sessions have many such rows by their nature.
    """

    name: str
    make: Callable[..., Split]
    describe: Callable[..., str]
    options: Mapping[str, str]
    every_step: bool = False
    next_row: bool = False

    @cached_property
    def hints(self) -> Mapping[str, Any]:
        """The declared type of each argument."""
        hints = get_type_hints(self.make)
        return {name: hints[name] for name in inspect.signature(self.make).parameters if name != "log"}

    def arguments(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments, with defaults filled in and each value of its declared type.

        Raises:
            ConfigError: an argument is unknown, missing or of another type.
        """
        for key in given:
            require(key in self.hints, unknown(f"argument of split {self.name}", key, list(self.hints)))
        values = {}
        for name, parameter in inspect.signature(self.make).parameters.items():
            if name != "log":
                value = given.get(name, parameter.default)
                require(value is not parameter.empty, f"split {self.name} needs {name!r}")
                values[name] = _typed(f"split {self.name}: {name}", value, self.hints[name])
        return MappingProxyType(values)


def _typed(what: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        known = ", ".join(get_args(hint))
        require(value in get_args(hint), f"{what}={value!r}: must be one of {known}")
        return value
    if type(None) in get_args(hint):  # int | None
        hint = get_args(hint)[0]
        if value is None:
            return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    require(number and (hint is float or value == int(value)), f"{what}={value!r}: must be of type {hint.__name__}")
    return hint(value)


def _describe_ratio(valid: float, test: float, rounding: str) -> str:
    before = f"{100 * valid:g}% of the rest before it" if rounding == "author" else f"the {100 * valid:g}% before it"
    rounded = ", both rounded up" if rounding == "author" else ""
    return (
        f"The last {100 * test:g}% of each user's rows is the test, {before} the validation{rounded}; "
        "the held-out rows of a user are the targets of one evaluation instance"
    )


def _describe_leave_last_out(valid: int, test: int) -> str:
    if valid == 1 and test == 1:
        return "Each user's last row is the test, the row before it the validation; each is the target of one instance"
    one_row = valid <= 1 and test == 1
    targets = "each row is the target of one instance" if one_row else "each part is the target set of one instance"
    return f"Of each user's rows the last {test} make the test, the {valid} before them the validation; {targets}"


def _describe_next_basket(gap: int) -> str:
    together = "at the same time" if gap == 0 else f"with at most {gap:,} s from each to the next"
    return (
        f"Rows of a user {together} are one basket; each user's last basket is the test, the basket before it the "
        "validation; the items of a basket are the targets of one instance, the earlier baskets its history; users "
        "with fewer than 3 baskets only train"
    )


def _describe_last_session(gap: int) -> str:
    return (
        "Each user's last session is the test, the session before it the validation; sessions are those of the log "
        f"or, if it has none, end after {gap:,} s without an event; every held-out row is a target, with all that its "
        "user did before as the history; users with fewer than 3 sessions only train"
    )


def _describe_global_time(valid: float, test: float) -> str:
    return (
        f"The newest {100 * test:g}% of all rows is the test, the {100 * valid:g}% before it the validation; "
        "every held-out row is a target"
    )


def _describe_date(date: int, valid: float) -> str:
    return (
        f"Rows from {_time(date)} on are the test, the newest {100 * valid:g}% before it the validation; every "
        "held-out row is a target"
    )


def _describe_newer(after: int, gap: int | None) -> str:
    baskets = "every one is a target" if gap is None else "the items of every basket are the targets of one instance"
    return (
        f"Events that are newer than those the models were trained on, later than {_time(after)}, are the test; "
        f"{baskets}"
    )


def _time(time: int) -> str:
    """A time of unknown unit: with its date, if the number alone is one."""
    unit = unit_of(time, time)
    return f"time {time}" if unit is None else f"{time_text(time, unit)} (time {time})"


def _describe_whole_users(valid: float, test: float, seed: int) -> str:
    return (
        f"{100 * test:g}% of the users (drawn with seed {seed}) are held out whole for test, "
        f"{100 * valid:g}% for validation; each of their rows is a target"
    )


def _describe_newest_users(valid: int, test: int) -> str:
    return (
        f"The users whose last row lies in the log's last {_days(test)} are held out whole for test, those of the "
        f"{_days(valid)} before for validation; each of their rows is a target"
    )


def _days(number: int) -> str:
    return "day" if number == 1 else f"{number} days"


def _describe_given(valid: float) -> str:
    return (
        "The data set says which rows, or which users as a whole, are held out for test, and for validation; if it "
        f"names none for the latter, the newest {100 * valid:g}% of its training users are or, where it cuts users, "
        f"the last {100 * valid:g}% of each user's training rows; each held-out row is a target"
    )


_KINDS = (
    SplitKind("ratio", splits.ratio, _describe_ratio, {"valid": _OF_USER, "test": _OF_USER}),
    SplitKind(
        "leave-last-out",
        splits.leave_last_out,
        _describe_leave_last_out,
        {"valid": _ROWS, "test": _ROWS},
        next_row=True,
    ),
    SplitKind("next-basket", splits.next_basket, _describe_next_basket, {"gap": "a number of seconds"}, next_row=True),
    SplitKind(
        "last-session",
        splits.last_session,
        _describe_last_session,
        {"gap": "a number of seconds"},
        every_step=True,
    ),
    SplitKind(
        "global-time",
        splits.global_time,
        _describe_global_time,
        {"valid": _OF_ALL, "test": _OF_ALL, "date": "the start of the test, in place of its size"},
        every_step=True,
        next_row=True,
    ),
    SplitKind(
        "date",
        splits.by_date,
        _describe_date,
        {"valid": "a fraction of the rows before the date", "date": "the start of the test"},
        every_step=True,
        next_row=True,
    ),
    SplitKind(
        "whole-users",
        splits.whole_users,
        _describe_whole_users,
        {"valid": _OF_USERS, "test": _OF_USERS},
        every_step=True,
        next_row=True,
    ),
    SplitKind(
        "newest-users", splits.newest_users, _describe_newest_users, {"valid": _DAYS, "test": _DAYS}, every_step=True
    ),
    SplitKind(
        "given",
        splits.given_split,
        _describe_given,
        {"valid": "a fraction of the training data, if the log names none for validation"},
        every_step=True,
    ),
    SplitKind("newer", splits.newer_events, _describe_newer, {}, every_step=True, next_row=True),
)
SPLITS: Mapping[str, SplitKind] = {kind.name: kind for kind in _KINDS}
