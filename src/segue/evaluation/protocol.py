"""`Protocol`: what a number means. The split, what is asked, what may be recommended, the tie rule, the cut-offs.

    hgn            |------- train -------|-- valid --|------ test ------|    a set of targets a user
    leave-one-out  |--------------- train ---------------|-- valid --|-- test --|    one next item a user
    global-time    |--- train --- date --- valid --- date --- test ---|      every next item of the newest events
    whole-users    train on some users; every step of other users            every next item of new users
    session        the same, and the source says which users (sessions) are test
    last-day       the same, and the test is the users (sessions) of the last day

Two numbers may stand side by side only if their protocols have the same fingerprint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from segue.data.log import Log, distinct
from segue.data.overlap import without_sharing
from segue.data.split import SPLITS, Cases, Part, Split
from segue.errors import did_you_mean
from segue.evaluation.ranking import Ties, rank
from segue.evaluation.ranks import Ranks
from segue.model import Model, require

EACH_STEP = ("global-time", "whole-users", "newest-users", "given")  # splits that ask after every step
LATER = {"ahead": 1, "leak": "keep"}  # settings that came later: at these values a fingerprint is as it was
MANY_REPEATS = 0.01  # share of rows in which a user returns to an item, above which repeats are what is predicted


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How models are measured.

    Attributes:
        name: how people call it.
        by: what the log is split by, a name in `data.split.SPLITS`.
        arguments: what the split is called with; its defaults are filled in.
        exclude_seen: whether what a user has had before is left out of the ranking.
        ties: where a target stands among others of the same score.
        ks: cut-offs of the metrics, ascending; the last is the depth of the ranks.
        min_history: questions with fewer rows before them are not asked.
        ahead: how many of a user's next items are the targets of each step's question.
        leak: "drop" leaves users out of training who share an event (an item at a time) with what is held out.
    """

    name: str
    by: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    exclude_seen: bool = True
    ties: Ties = "conservative"
    ks: tuple[int, ...] = (5, 10, 20)
    min_history: int = 1
    ahead: int = 1
    leak: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        require(self.by in SPLITS, _unknown("split", self.by, SPLITS))
        require(isinstance(self.arguments, Mapping), f"arguments={self.arguments!r}: must be named values")
        require(isinstance(self.ks, (tuple, list)), f"ks={self.ks!r}: must be a list of cut-offs")
        require(isinstance(self.exclude_seen, bool), f"exclude_seen={self.exclude_seen!r}: must be true or false")
        object.__setattr__(self, "arguments", _arguments(self.by, self.arguments))
        object.__setattr__(self, "ks", tuple(self.ks))
        require(self.ties in ("conservative", "optimistic"), f"ties={self.ties!r}: must be conservative or optimistic")
        rising = all(isinstance(k, int) for k in self.ks) and list(self.ks) == sorted(set(self.ks))
        require(rising and self.ks[:1] > (0,), f"ks={self.ks}: must be rising whole numbers from 1")
        require(self.min_history >= 1, f"min_history={self.min_history}: must be at least 1")
        require(self.ahead >= 1, f"ahead={self.ahead}: must be at least 1")
        steps = self.by in EACH_STEP and not self.exclude_seen
        require(
            self.ahead == 1 or steps,
            f"ahead={self.ahead}: only where every step is asked ({', '.join(EACH_STEP)}) and exclude_seen is false",
        )
        require(self.leak in ("keep", "drop"), f"leak={self.leak!r}: must be keep or drop")

    @property
    def depth(self) -> int:
        """How far down ranks are told apart: the largest cut-off."""
        return self.ks[-1]

    @property
    def fingerprint(self) -> str:
        """16 hex digits of all that can change a number; the name and the cut-offs cannot."""
        content = {key: value for key, value in self.as_dict().items() if key not in ("name", "ks")}
        for key, default in LATER.items():
            if content[key] == default:
                del content[key]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()

    def at(self, ks: Sequence[int]) -> Protocol:
        """The same protocol with the cut-offs `ks` as well."""
        return replace(self, ks=tuple(sorted({*self.ks, *ks})))

    def split(self, log: Log) -> Split:
        """The split of a log."""
        split = replace(SPLITS[self.by](log, **self.arguments), ahead=self.ahead)
        return without_sharing(split) if self.leak == "drop" else split

    def cases(self, split: Split, part: Part) -> Cases:
        """The questions of a held-out part of a split."""
        cases = split.cases(part)
        known = cases.row - cases.log.start[cases.user] >= self.min_history
        if known.all():
            return cases
        reason = f"questions after fewer than {self.min_history} rows"
        return replace(cases.take(np.flatnonzero(known)), dropped={**cases.dropped, reason: int((~known).sum())})

    def rank(self, model: Model, split: Split, part: Part, *, progress: Callable[[int], object] | None = None) -> Ranks:
        """Where `model` ranks the targets of a held-out part, down to the largest cut-off."""
        cases = self.cases(split, part)
        asked: dict[str, Any] = {"exclude_seen": self.exclude_seen, "ties": self.ties, "depth": self.depth}
        return rank(model, cases, **asked, steps=self.ahead, progress=progress)

    def describe(self) -> str:
        """One sentence that says how the numbers came about."""
        held = _DESCRIBED[self.by](**self.arguments)
        asked = f"; the targets are the next {self.ahead} items" if self.ahead > 1 else ""
        asked += f"; only questions after {self.min_history} rows or more" if self.min_history > 1 else ""
        if self.leak == "drop":
            asked += "; users who share an event (an item at a time) with a later part are left out of theirs"
        seen = "except those the user has had" if self.exclude_seen else "those the user has had among them"
        tie = "behind" if self.ties == "conservative" else "before"
        return f"{held}{asked}; all items are ranked, {seen}; a target stands {tie} others of the same score."

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**values, "arguments": dict(self.arguments), "ks": list(self.ks)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """The inverse of `as_dict`; what is absent takes its default."""
        known = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            require(key in known, _unknown("protocol setting", key, known))
        for key in ("name", "by"):
            require(key in values, f"a protocol needs {key!r}; found: {', '.join(values) or 'nothing'}")
        return cls(**values)

    @classmethod
    def named(cls, name: str) -> Protocol:
        """One of `PROTOCOLS`."""
        require(name in PROTOCOLS, _unknown("protocol", name, PROTOCOLS))
        return PROTOCOLS[name]

    @classmethod
    def guess(cls, log: Log) -> Protocol:
        """A protocol for a log that nobody has said anything about: leave-one-out, or `session` where the log brings
        a split of its own.

        Where users return to what they had in more than 1% of the rows, returning is part of what is to be
        predicted, so nothing is left out of the ranking.
        """
        if log.user_table is not None and "split" in log.user_table.columns:
            return PROTOCOLS["session"]
        user, item = log.events()
        pairs = len(distinct(user * (log.n_items + 1) + item))
        if len(log) - pairs <= MANY_REPEATS * len(log):
            return PROTOCOLS["leave-one-out"]
        return replace(PROTOCOLS["leave-one-out"], name="leave-one-out, repeats allowed", exclude_seen=False)


def _describe_ratio(valid: float, test: float, rounding: str) -> str:
    before = f"{100 * valid:g}% of the rest before it" if rounding == "author" else f"the {100 * valid:g}% before it"
    rounded = ", both rounded up" if rounding == "author" else ""
    return (
        f"The last {100 * test:g}% of each user's rows is the test, {before} the validation{rounded}; "
        "all that is held out of a user is one question"
    )


def _describe_leave_last_out(valid: int, test: int) -> str:
    if valid == 1 and test == 1:
        return "Each user's last row is the test, the row before it the validation, both asked for as the next item"
    asked = "each asked for as the next item" if valid <= 1 and test == 1 else "each part asked for as one question"
    return f"Of each user's rows the last {test} make the test, the {valid} before them the validation, {asked}"


def _describe_global_time(valid: float, test: float) -> str:
    return (
        f"The newest {100 * test:g}% of all rows is the test, the {100 * valid:g}% before it the validation; "
        "before each held-out row the user's next item is asked for"
    )


def _describe_whole_users(valid: float, test: float, seed: int) -> str:
    return (
        f"{100 * test:g}% of the users (drawn with seed {seed}) are held out whole for test, "
        f"{100 * valid:g}% for validation; before each of their rows the next item is asked for"
    )


def _describe_newest_users(valid: int, test: int) -> str:
    return (
        f"The users whose last row lies in the log's last {_days(test)} are held out whole for test, those of the "
        f"{_days(valid)} before for validation; before each of their rows the next item is asked for"
    )


def _days(number: int) -> str:
    return "day" if number == 1 else f"{number} days"


def _describe_given(valid: float) -> str:
    return (
        "The source says which users are held out whole for test, and for validation; where it names none for the "
        f"latter, the newest {100 * valid:g}% of its training users are; before each of their rows the next item is "
        "asked for"
    )


_DESCRIBED: dict[str, Callable[..., str]] = {
    "ratio": _describe_ratio,
    "leave-last-out": _describe_leave_last_out,
    "global-time": _describe_global_time,
    "whole-users": _describe_whole_users,
    "newest-users": _describe_newest_users,
    "given": _describe_given,
}


def _unknown(what: str, word: str, known: Mapping[str, Any] | list[str]) -> str:
    return f"unknown {what} {word!r}{did_you_mean(word, known)}; known: {', '.join(known)}"


def _arguments(split: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """`given` with the defaults of the split filled in, each value of its declared type."""
    function = SPLITS[split]
    hints = get_type_hints(function)
    parameters = {name: p for name, p in inspect.signature(function).parameters.items() if name != "log"}
    for key in given:
        require(key in parameters, _unknown(f"argument of split {split}", key, list(parameters)))
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


PROTOCOLS: dict[str, Protocol] = {
    # HGN (Ma et al., KDD 2019), section 4.1, cut as the authors' program does
    "hgn": Protocol(
        name="hgn",
        by="ratio",
        arguments={"valid": 0.1, "test": 0.2, "rounding": "author"},
        ks=(5, 10, 15, 20),
    ),
    "leave-one-out": Protocol(name="leave-one-out", by="leave-last-out"),
    # RecBole's sequential models: full ranking in which the history stays a candidate
    "recbole": Protocol(name="recbole", by="leave-last-out", exclude_seen=False, ks=(10,)),
    "global-time": Protocol(name="global-time", by="global-time", exclude_seen=False),
    "whole-users": Protocol(name="whole-users", by="whole-users", exclude_seen=False),
    # the papers on sessions: whole sessions of the last day, every step of them, items may come again
    "session": Protocol(name="session", by="given", exclude_seen=False),
    "last-day": Protocol(name="last-day", by="newest-users", exclude_seen=False),
}
