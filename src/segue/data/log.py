"""`Log`: an interaction log of users, items and times. Splits, batches and evaluation instances point into its rows.

    users   1        1        1        2        2        3          rows sorted by (user, time);
    item    7        3        7        1        4        3          ties keep the order of the source
    time    10       12       12       5        9        7          int64, or None
            └ start[1]                  └ start[2]        └ start[3]

Users and items are numbered from 1. Id 0 is the padding item and the anonymous user. A view of the past (`until`)
shares the columns and moves only the end of each user's rows. A split therefore costs one small array, and the rows
after the cut cannot be read by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any
from unicodedata import normalize

import numpy as np
import polars as pl

from segue.data.event_features import EventFeature, Features
from segue.data.time_units import TICKS_PER_SECOND, unit_of
from segue.errors import DataError
from segue.io import short_hash
from segue.json_files import Count, Whole, read_strictly

Ids = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
PARTS = ("train", "valid", "test")
# the white space of Unicode, which polars removes; `str.strip` without an argument removes U+001C to U+001F, too
BLANKS = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
INVISIBLE = "\u200b\u2060\ufeff"  # no white space, but just as little to see at the ends of a name
BLANKS += INVISIBLE
FEW = 100  # names that are looked up one by one


@dataclass(frozen=True, eq=False)
class Vocab:
    """The names of ids 1..len in the source: `tokens[i - 1]` is the name of id `i`, a string or an integer."""

    tokens: pl.Series

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _ids(self) -> dict[Any, int]:
        return {token: index + 1 for index, token in enumerate(self.tokens)}

    def text(self) -> str:
        """All names in the order of their ids, one a line.

        >>> Vocab(pl.Series(["one", "two"])).text()
        'one\\ntwo'
        """
        text: str = self.tokens.cast(pl.String).str.join("\n")[0]
        return text

    def ids(self, tokens: Sequence[Any]) -> Ids:
        """(len(tokens),) ids of the names; 0 for an unknown name.

        Names are compared in the form in which sources are read: without blanks around them, letters in Unicode form
        C, whole numbers in their usual form. So 7, 7.0 and "7" are one name; "07" and "7.0" are others.
        """
        return np.array([self._id(token) for token in tokens], np.int64)

    def _id(self, token: Any) -> int:
        whole = self.tokens.dtype.is_integer()
        if isinstance(token, float | np.floating):
            token = _whole(token)
        if token is None or (whole and isinstance(token, bool | np.bool_)):
            return 0
        text = str(token)
        if whole:
            return self._ids.get(_usual_integer(text.strip(BLANKS)), 0)
        return self._ids.get(text) or self._ids.get(normalize("NFC", text.strip(BLANKS)), 0)

    def names(self, ids: Sequence[int] | np.ndarray[Any, np.dtype[Any]]) -> list[Any]:
        """The names of ids 1..len.

        Raises:
            IndexError: an id is outside 1..len.
        """
        return _entries(self.tokens, ids)


def _entries(column: pl.Series, ids: Sequence[int] | np.ndarray[Any, np.dtype[Any]]) -> list[Any]:
    """The entries of ids 1..len. One list of recommendations is looked up one by one, 50 times as fast as gathered."""
    if np.min(ids, initial=1) < 1:
        raise IndexError("id 0 has no name: it is the padding item or the anonymous user")
    index = np.asarray(ids, np.int64) - 1
    return [column[i] for i in index.tolist()] if len(index) <= FEW else column.gather(index).to_list()


def _whole(number: float | np.floating[Any]) -> int | None:
    """A float as a whole number; None if it is none, or if its type may have rounded it."""
    limit = 2 ** (np.finfo(type(number)).nmant + 1)
    return int(number) if abs(number) < limit and number == int(number) else None


def _usual_integer(text: str) -> int | None:
    """The whole number that is written in its usual form: 1003, but not 01003, +1003, 1_003 or other digits."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text else None


@read_strictly
@dataclass(frozen=True)
class Step:
    """One rule that was applied on the way from the source to the log, and the numbers of what it left."""

    rule: str
    rows: Whole
    users: Count
    items: Count


@dataclass(frozen=True, eq=False)
class Log:
    """A frozen, columnar interaction log, sorted by user and time.

    Attributes:
        users: names of users 1..U.
        items: names of items 1..I.
        start: (U + 1,) int64; the rows of user `u` are `start[u]:stop[u]` (user 0 has none).
        stop: (U + 1,) int64.
        item: (R,) int32 item ids, never 0.
        time: (R,) int64 in the unit of the source, ascending within a user; None if only the order is known.
        rating: (R,) float32 or None.
        part: (R,) int8, the split that the source brings: 0 for training, 1 for validation and 2 for test, ascending
            within a user; or None.
        event_type: (R,) int8, the type of each event, such as a view or a purchase: 1 to the number of types; or None.
        event_types: the names of types 1 and on.
        session: (R,) int32, the session of each event, counted from 1 for each user; or None.
        event_features: (R, F) float32, see `segue.data.event_features`; or None.
        event_feature_columns: their F columns.
        impressions: (R, M) int32, the items that were shown at each event, see `segue.data.impressions`; or None.
        is_target: (R,) whether an event may be a target, see `segue.data.event_types`; None if all may.
        name: the name of the log.
        steps: the rules that were applied to the source, in order, with the numbers of what each left.
        warnings: what was assumed about the source or looks wrong in it, one sentence each.
        user_metadata: metadata of the users, row u - 1 for id u, or None.
        item_metadata: metadata of the items, row i - 1 for id i, or None; a column `title` is shown instead of names.
    """

    users: Vocab
    items: Vocab
    start: Ids
    stop: Ids
    item: Codes
    time: Ids | None = None
    rating: np.ndarray[Any, np.dtype[np.float32]] | None = None
    part: np.ndarray[Any, np.dtype[np.int8]] | None = None
    event_type: np.ndarray[Any, np.dtype[np.int8]] | None = None
    event_types: tuple[str, ...] = ()
    session: Codes | None = None
    event_features: Features | None = None
    event_feature_columns: tuple[EventFeature, ...] = ()
    impressions: Codes | None = None
    is_target: Mask | None = None
    name: str = "log"
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    user_metadata: pl.DataFrame | None = field(default=None, repr=False)
    item_metadata: pl.DataFrame | None = field(default=None, repr=False)

    @classmethod
    def from_columns(cls, users: Vocab, items: Vocab, lengths: Ids, *, item: Codes, **columns: Any) -> Log:
        """A log from its columns, whose rows are sorted by user and time.

        Args:
            users: names of the users.
            items: names of the items.
            lengths: (U + 1,) number of rows of each user; 0 for user 0.
            item: (R,) item ids.
            columns: further columns and attributes of the log.
        """
        start, stop = bounds(lengths)
        return cls(users, items, start, stop, item, **columns)

    def __repr__(self) -> str:
        return f"Log({self.name!r}: {len(self):,} rows, {self.num_users:,} users, {self.num_items:,} items)"

    def __len__(self) -> int:
        return int(self.lengths.sum())

    @property
    def num_users(self) -> int:
        """U, the number of users; their ids are 1 to U."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """I, the number of items; their ids are 1 to I."""
        return len(self.items)

    @cached_property
    def time_unit(self) -> str | None:
        """The unit of the times since 1970, such as "seconds"; None without times or if they are no dates."""
        if self.time is None or not len(self):
            return None
        times = self.column(self.time)
        return unit_of(int(times.min()), int(times.max()))

    @property
    def known_times(self) -> Ids:
        """`time`, of a log that must have it.

        Raises:
            DataError: the log has no times.
        """
        if self.time is None:
            raise DataError(f"{self.name}: has no times; read it with a column of times, or choose a protocol without")
        return self.time

    @property
    def known_event_types(self) -> np.ndarray[Any, np.dtype[np.int8]]:
        """`event_type`, of a log that must have it.

        Raises:
            DataError: the log has no types of events.
        """
        if self.event_type is None:
            raise DataError(
                f'{self.name}: has no types of events; read it with their column, event="..." (--event-col), or choose '
                "settings of the model that do without"
            )
        return self.event_type

    @property
    def num_event_types(self) -> int:
        """The number of types of events.

        Raises:
            DataError: the log has no types of events.
        """
        _ = self.known_event_types  # or the error
        return len(self.event_types)

    @property
    def known_event_features(self) -> Features:
        """`event_features`, of a log that must have them.

        Raises:
            DataError: the log has no event features.
        """
        if self.event_features is None:
            raise DataError(
                f'{self.name}: has no event features; read it with their columns, event_features=["device"] '
                "(--event-features device), or choose settings of the model that do without"
            )
        return self.event_features

    @cached_property
    def newest_time(self) -> int:
        """The time of the newest event.

        Raises:
            DataError: the log has no times.
        """
        return int(self.column(self.known_times).max(initial=0))

    @property
    def ticks_per_second(self) -> int:
        """How many units of the log's times a second has.

        Raises:
            DataError: the log has no times, or they are no dates since 1970.
        """
        times = self.column(self.known_times)
        if not len(self):
            return 1
        if self.time_unit is None:
            raise DataError(
                f"{self.name}: times from {int(times.min()):,} to {int(times.max()):,} are not dates, so they cannot "
                "be counted in seconds or days; choose a protocol without them"
            )
        return TICKS_PER_SECOND[self.time_unit]

    @property
    def lengths(self) -> Ids:
        """(U + 1,) number of rows of each user; 0 for user 0."""
        return self.stop - self.start

    def history(self, user: int) -> Codes:
        """(n,) item ids of one user, oldest first."""
        return self.item[self.start[user] : self.stop[user]]

    def rows(self) -> Ids:
        """(len(self),) the indices, into the columns, of the rows of this view, user by user."""
        return ranges(self.start, self.stop)

    def column(self, values: np.ndarray) -> np.ndarray:
        """(len(self),) the values of one column in the rows of this view; shares memory if the rows are one block."""
        if (self.start[1:] == self.stop[:-1]).all():
            return values[self.start[1] : self.stop[-1]] if self.num_users else values[:0]
        return values[self.rows()]

    def events(self) -> tuple[Ids, Codes]:
        """(user, item), each (len(self),): one pair for each row, in the log's order."""
        return np.repeat(np.arange(self.num_users + 1), self.lengths), self.item[self.rows()]

    def counts(self) -> Ids:
        """(I + 1,) number of rows of each item; 0 for item 0."""
        return np.bincount(self.column(self.item), minlength=self.num_items + 1)

    def until(self, stop: Ids) -> Log:
        """The rows before `stop` (U + 1,) of every user: a view that shares the columns."""
        if stop.shape != self.stop.shape or (stop > self.stop).any() or (stop < self.start).any():
            raise DataError(f"{self.name}: a cut lies outside its user's rows")
        return replace(self, stop=stop)

    def titles(self, ids: Sequence[int] | np.ndarray[Any, np.dtype[Any]]) -> list[str]:
        """The titles of items `ids`, or their names if the log has no titles."""
        table = self.item_metadata
        if table is None or "title" not in table.columns:
            return [str(name) for name in self.items.names(ids)]
        return _entries(table["title"], ids)

    @property
    def user_split(self) -> pl.Series | None:
        """(U,) the part that the metadata names for each user, in a column `split`; None without one."""
        table = self.user_metadata
        return table["split"] if table is not None and "split" in table.columns else None

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the content: names, and all columns of the rows."""
        names = (vocab.text().encode() for vocab in (self.users, self.items))
        columns = (self.item, self.time, self.rating)
        values = (b"-" if column is None else self.column(column) for column in columns)
        # a split, types, sessions, features and impressions came later: logs without them keep their digits
        parts = () if self.part is None else (self.column(self.part),)
        users = () if self.user_split is None else ("\n".join(map(str, self.user_split)).encode(),)
        types = () if self.event_type is None else ("\n".join(self.event_types).encode(), self.column(self.event_type))
        sessions = () if self.session is None else (self.column(self.session),)
        features = (
            ()
            if self.event_features is None
            else (repr(self.event_feature_columns).encode(), np.ascontiguousarray(self.column(self.event_features)))
        )
        shown = () if self.impressions is None else _without_zeros(self.column(self.impressions))
        return short_hash(chain(names, [self.lengths], values, parts, users, types, sessions, features, shown))


def _without_zeros(rows: Codes) -> tuple[Ids, Codes]:
    """How many entries of each row are not 0, and these entries."""
    return (rows > 0).sum(axis=1), rows[rows > 0]


def bounds(lengths: Ids) -> tuple[Ids, Ids]:
    """(start, stop) of consecutive blocks of rows of these lengths.

    >>> [one.tolist() for one in bounds(np.array([0, 3, 2]))]
    [[0, 0, 3], [0, 3, 5]]
    """
    stop = np.cumsum(lengths, dtype=np.int64)
    return stop - lengths, stop


def ranges(start: Ids, stop: Ids) -> Ids:
    """The concatenation of `arange(a, b)` for each pair of (start, stop).

    >>> ranges(np.array([0, 5]), np.array([3, 7])).tolist()
    [0, 1, 2, 5, 6]
    """
    lengths = stop - start
    shift = np.repeat(start - (np.cumsum(lengths) - lengths), lengths)
    shift += np.arange(len(shift))
    return shift


def distinct(keys: Ids) -> Ids:
    """The distinct values, ascending. On nearly sorted keys, sorting is ten times faster than `np.unique`.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(keys, kind="stable")
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]
