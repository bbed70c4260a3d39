"""`log_problem`: what a log has that no log may have. Every column is read once, in pieces of a million rows.

item      ids of 1..I                     time      ascending within a user
rating    finite                          part      0, 1 or 2, ascending within a user
types     1 to the number of their names        sessions  ascending within a user
names     text or whole numbers, none empty (null), none twice; one row of metadata for each
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from segue.data.event_features import check_features
from segue.data.impressions import check_impressions
from segue.data.log import PARTS, Log, Vocab
from segue.errors import DataError

PIECE = 1 << 20  # rows
_Column = np.ndarray[Any, np.dtype[Any]]


def log_problem(log: Log) -> str:
    """The first column of a log that is not as `Log` describes it, and what is wrong with it; empty if all are."""
    return next((f"column {name} {problem}" for name, problem in _problems(log)), "")


def check_savable(log: Log) -> None:
    """Check that a log can be opened again once it is saved.

    Raises:
        DataError: it is not as `Log` describes it.
    """
    if problem := log_problem(log):
        raise DataError(f"{log.name}: cannot be saved, because its {problem}")


def _problems(log: Log) -> Iterator[tuple[str, str]]:
    for name, vocab, table, title in (
        ("users", log.users, log.user_metadata, None),
        ("items", log.items, log.item_metadata, "title"),
    ):
        yield from ((name, problem) for problem in _name_problems(vocab))
        yield from ((name, problem) for problem in _table_problems(table, len(vocab), title))
    item, last = log.column(log.item), np.cumsum(log.lengths) - 1  # the last row of each user
    if _outside(item, 1, log.num_items):
        yield "item", f"has an id outside 1 to {log.num_items:,}, the items"
    if log.time is not None and _descends(log.column(log.time), last):
        yield "time", "has a time before that of the same user's row above"
    if log.rating is not None and not all(np.isfinite(piece).all() for piece in _pieces(log.column(log.rating))):
        yield "rating", "has a rating that is not a finite number"
    if log.part is not None:
        part = log.column(log.part)
        if _outside(part, 0, len(PARTS) - 1):
            yield "part", f"has a part other than {', '.join(f'{n} ({name})' for n, name in enumerate(PARTS))}"
        elif _descends(part, last):
            yield "part", "has a part before that of the same user's row above"
    yield from _type_and_session_problems(log, last)
    if problem := check_features(log):
        yield "event_features", problem
    if problem := check_impressions(log):
        yield "impressions", problem


def _type_and_session_problems(log: Log, last: _Column) -> Iterator[tuple[str, str]]:
    if log.session is not None and (
        _outside(log.column(log.session), 1, 2**31) or _descends(log.column(log.session), last)
    ):
        yield "session", "has a session below 1, or one before that of the same user's row above"
    types = len(log.event_types)
    if len(set(log.event_types)) < types or (log.event_type is None) != (not types):
        yield "event_type", f"has {types} names of types, which must be distinct, and there only if events have types"
    elif log.event_type is not None and _outside(log.column(log.event_type), 1, types):
        yield "event_type", f"has a type outside 1 to {types}"


def _name_problems(vocab: Vocab) -> Iterator[str]:
    tokens = vocab.tokens
    if not len(tokens):
        return
    if tokens.dtype != pl.String and not tokens.dtype.is_integer():
        yield f"has names of type {tokens.dtype}, which are neither text nor whole numbers"
    elif tokens.has_nulls():
        yield "has an empty name"
    elif not (tokens[1:] > tokens[:-1]).all() and tokens.n_unique() < len(tokens):  # sorted names need no table
        yield "has a name twice"


def _table_problems(table: pl.DataFrame | None, rows: int, title: str | None) -> Iterator[str]:
    if table is None:
        return
    if table.height != rows:
        yield f"has metadata of {table.height:,} rows for {rows:,} names"
    if title in table.columns and (table[title].dtype != pl.String or table[title].has_nulls()):
        yield "has a title that is no text"


def _pieces(values: _Column) -> Iterator[_Column]:
    return (values[begin : begin + PIECE] for begin in range(0, len(values), PIECE))


def _outside(values: _Column, lowest: int, highest: int) -> bool:
    return any(piece.min() < lowest or piece.max() > highest for piece in _pieces(values))


def _descends(values: _Column, last: _Column) -> bool:
    """Whether a row has a lower value than the row above, of the same user; `last` (U + 1,) are users' last rows."""
    for begin in range(0, len(values) - 1, PIECE):
        piece = values[begin : begin + PIECE + 1]
        lower = piece[1:] < piece[:-1]
        first, end = np.searchsorted(last, [max(begin, 0), begin + len(lower)])
        lower[last[first:end] - begin] = False  # the row below belongs to another user
        if lower.any():
            return True
    return False
