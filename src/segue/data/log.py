"""`Log`: who did what, in what order. The one store that everything else points into.

    users   1        1        1        2        2        3          rows sorted by (user, time);
    item    7        3        7        1        4        3          ties keep the order of the source
    time    10       12       12       5        9        7          int64 or absent
            └ offsets[1]                └ offsets[2]      └ offsets[3]

Users and items are numbered from 1; 0 is nobody and nothing: the padding item and the anonymous user.
A view of the past (`until`) shares the columns and moves only the end of each user's rows, so a split costs
one small array and what lies behind the cut cannot be read by accident.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from segue.errors import DataError

Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Vocab:
    """The outside names of ids 1..len: `tokens[i - 1]` is the name of id `i` (a string or an integer)."""

    tokens: pl.Series

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _ids(self) -> dict[Any, int]:
        return {token: index + 1 for index, token in enumerate(self.tokens)}

    def ids(self, tokens: Sequence[Any]) -> Ids:
        """Ids (len(tokens),) of the names; 0 where a name is unknown. Text is read as a number where names are."""
        if self.tokens.dtype.is_integer():
            tokens = [_integer(token) for token in tokens]
        else:
            tokens = [str(token) for token in tokens]
        return np.array([self._ids.get(token, 0) for token in tokens], np.int64)

    def names(self, ids: Sequence[int] | np.ndarray[Any, np.dtype[Any]]) -> list[Any]:
        """The names of ids 1..len.

        Raises:
            IndexError: an id that nobody has; 0 is one.
        """
        if np.min(ids, initial=1) < 1:
            raise IndexError("id 0 has no name: it is padding, or nobody")
        return self.tokens.gather(np.asarray(ids, np.int64) - 1).to_list()


def _integer(token: Any) -> int | None:
    try:
        return int(str(token))
    except ValueError:
        return None


@dataclass(frozen=True)
class Step:
    """One rule that was applied on the way from the source to the log, and what it left."""

    rule: str
    rows: int
    users: int
    items: int


@dataclass(frozen=True, eq=False)
class Log:
    """A frozen, columnar interaction log.

    Attributes:
        users: names of users 1..U.
        items: names of items 1..I.
        start: (U + 1,) int64; the rows of user `u` are `start[u]:stop[u]` (user 0 has none).
        stop: (U + 1,) int64.
        item: (R,) int32 item ids, never 0.
        time: (R,) int64 in the unit of the source, ascending within a user, or None: the order is all that is known.
        rating: (R,) float32 or None.
        name: what the log is called.
        steps: the rules applied to the source, in order, with what each left.
        user_metadata: metadata of the users, row u - 1 for id u, or None.
        item_metadata: metadata of the items, row i - 1 for id i, or None; a column `title` is what people are shown.
    """

    users: Vocab
    items: Vocab
    start: Ids
    stop: Ids
    item: np.ndarray[Any, np.dtype[np.int32]]
    time: Ids | None = None
    rating: np.ndarray[Any, np.dtype[np.float32]] | None = None
    name: str = "log"
    steps: tuple[Step, ...] = ()
    user_metadata: pl.DataFrame | None = field(default=None, repr=False)
    item_metadata: pl.DataFrame | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Log({self.name!r}: {len(self):,} rows, {self.num_users:,} users, {self.num_items:,} items)"

    def __len__(self) -> int:
        return int(self.lengths.sum())

    @property
    def num_users(self) -> int:
        """U: how many users have a name; ids run from 1 to U."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """I: how many items have a name; ids run from 1 to I."""
        return len(self.items)

    @property
    def lengths(self) -> Ids:
        """(U + 1,) rows of each user; 0 for user 0."""
        return self.stop - self.start

    def history(self, user: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        """(n,) item ids of one user, oldest first."""
        return self.item[self.start[user] : self.stop[user]]

    def rows(self) -> Ids:
        """(len(self),) positions in the columns of the rows that this view holds, user by user."""
        return ranges(self.start, self.stop)

    def column(self, values: np.ndarray) -> np.ndarray:
        """(len(self),) the rows of this view in one of its columns; shares memory where they are one block."""
        if (self.start[1:] == self.stop[:-1]).all():
            return values[self.start[1] : self.stop[-1]] if self.num_users else values[:0]
        return values[self.rows()]

    def events(self) -> tuple[Ids, np.ndarray[Any, np.dtype[np.int32]]]:
        """(user, item), each (len(self),): one pair a row, in the log's order."""
        return np.repeat(np.arange(self.num_users + 1), self.lengths), self.item[self.rows()]

    def counts(self) -> Ids:
        """(I + 1,) how often each item occurs; 0 for item 0."""
        return np.bincount(self.item[self.rows()], minlength=self.num_items + 1)

    def until(self, stop: Ids) -> Log:
        """The same users' rows before `stop` (U + 1,): a view that shares the columns."""
        if stop.shape != self.stop.shape or (stop > self.stop).any() or (stop < self.start).any():
            raise DataError(f"{self.name}: a cut lies outside its user's rows")
        return replace(self, stop=stop)

    def titles(self, ids: Sequence[int] | np.ndarray[Any, np.dtype[Any]]) -> list[str]:
        """What to show people for items `ids`: the title where there is one, otherwise the name."""
        table = self.item_metadata
        if table is None or "title" not in table.columns:
            return [str(name) for name in self.items.names(ids)]
        return table["title"].gather(np.asarray(ids, np.int64) - 1).to_list()

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the content: names, order, times and ratings of the rows of this view."""
        digest = hashlib.blake2b(digest_size=8)
        for vocab in (self.users, self.items):
            digest.update("\n".join(map(str, vocab.tokens)).encode())
        digest.update(np.ascontiguousarray(self.lengths).tobytes())
        for column in (self.item, self.time, self.rating):
            digest.update(b"-" if column is None else np.ascontiguousarray(self.column(column)).data)
        return digest.hexdigest()


def ranges(start: Ids, stop: Ids) -> Ids:
    """The concatenation of `arange(a, b)` for each pair of (start, stop).

    >>> ranges(np.array([0, 5]), np.array([3, 7])).tolist()
    [0, 1, 2, 5, 6]
    """
    sizes = stop - start
    shift = np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
    shift += np.arange(len(shift))
    return shift


def distinct(keys: Ids) -> Ids:
    """The distinct values, ascending. Sorting beats the hash table of `np.unique` ten times on keys nearly in order.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(keys, kind="stable")
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]
