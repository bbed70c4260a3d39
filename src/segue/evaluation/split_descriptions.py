"""Arguments of the splits of a protocol, and descriptions of the splits in words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from segue.data.splits import SPLITS
from segue.errors import did_you_mean, require


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


def _describe_global_time(valid: float, test: float) -> str:
    return (
        f"The newest {100 * test:g}% of all rows is the test, the {100 * valid:g}% before it the validation; "
        "every held-out row is a target"
    )


def _describe_date(date: int, valid: float) -> str:
    return (
        f"Rows from time {date} on are the test, the newest {100 * valid:g}% before it the validation; every "
        "held-out row is a target"
    )


def _describe_newer(after: int, gap: int) -> str:
    baskets = "the items of every basket are the targets of one instance" if gap >= 0 else "every one is a target"
    return (
        f"Events that are newer than those the models were trained on, later than time {after}, are the test; {baskets}"
    )


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


DESCRIPTIONS: dict[str, Callable[..., str]] = {
    "ratio": _describe_ratio,
    "leave-last-out": _describe_leave_last_out,
    "next-basket": _describe_next_basket,
    "global-time": _describe_global_time,
    "date": _describe_date,
    "newer": _describe_newer,
    "whole-users": _describe_whole_users,
    "newest-users": _describe_newest_users,
    "given": _describe_given,
}


def unknown(what: str, word: str, known: Mapping[str, Any] | list[str]) -> str:
    """The message for a word that is not in `known`."""
    return f"unknown {what} {word!r}{did_you_mean(word, known)}; known: {', '.join(known)}"


def split_arguments(split: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a split, with its defaults filled in and each value of its declared type."""
    function = SPLITS[split]
    hints = get_type_hints(function)
    parameters = {name: p for name, p in inspect.signature(function).parameters.items() if name != "log"}
    for key in given:
        require(key in parameters, unknown(f"argument of split {split}", key, list(parameters)))
    values = {}
    for name, parameter in parameters.items():
        value = given.get(name, parameter.default)
        require(value is not parameter.empty, f"split {split} needs {name!r}")
        values[name] = _typed(f"split {split}: {name}", value, hints[name])
    return MappingProxyType(values)


def _typed(what: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        known = ", ".join(get_args(hint))
        require(value in get_args(hint), f"{what}={value!r}: must be one of {known}")
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    require(number and (hint is float or value == int(value)), f"{what}={value!r}: must be of type {hint.__name__}")
    return hint(value)
