"""`recommend_blocks`: recommendations for many users, block by block, so that memory does not grow with the users.

user   rank   item   title           score   fallback
u1     1      i7     Alien (1979)    4.20    null
u1     2      i3     Brazil (1985)   3.95    null
u2     1      i5     Cube (1997)     311     user 'u2' is unknown
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from segue.data.log import Log
from segue.errors import DataError
from segue.models.base.model import Model
from segue.serving.erased_names import named_users
from segue.serving.item_filter import ItemFilter
from segue.serving.query import Query, lookup_ids, user_query
from segue.serving.top_items import TopItemFinder, TopItems


@dataclass(frozen=True, eq=False)
class Block:
    """The recommendations for some users.

    Attributes:
        rows: user, rank (from 1), item, title (if the log has titles), score and fallback; best first for each user.
        num_users: number of users of the block.
        num_unknown: how many of them the log does not know.
        num_fallback: how many got the most popular items and not the model's answer.
        num_empty: for how many nothing is left to recommend.
    """

    rows: pl.DataFrame
    num_users: int
    num_unknown: int
    num_fallback: int
    num_empty: int


def recommend_blocks(
    model: Model,
    log: Log,
    users: Sequence[Any] | None = None,
    *,
    k: int = 10,
    exclude_seen: bool | None = None,
    items: ItemFilter | None = None,
    strict: bool = False,
) -> Iterator[Block]:
    """The recommendations for many users: those of `segue.serving.recommend.recommend` for one after the other.

    Args:
        model: a model trained on the vocabularies of `log`.
        log: the names of users and items, and the histories of the users.
        users: names of users; None for all users of the log but those who were erased. An unknown user gets the most
            popular items.
        k: the number of items for each user.
        exclude_seen: as in `recommend`.
        items: the items that may be recommended; None for all.
        strict: whether an unknown user is an error.

    Raises:
        DataError: `k` below 1, or no users; with `strict`, an unknown user. All errors come before the first block.
        TrainingError: the model scores NaN.
    """
    finder = TopItemFinder(model, log, k=k, exclude_seen=exclude_seen, items=items)
    if users is None:
        ids = named_users(log.users.tokens)
        names = log.users.tokens.gather(ids - 1)
    else:
        if strict:
            lookup_ids(log, "user", users)
        ids, names = log.users.ids(users), _name_column(users, log)
    if not len(ids):
        raise DataError("no users are given")
    return _blocks(finder, log, ids, names)


def _name_column(users: Sequence[Any], log: Log) -> pl.Series:
    """The given names, in the type of the log's names if all of them can be."""
    texts = pl.Series([str(user) for user in users], dtype=pl.String)
    typed = texts.cast(log.users.tokens.dtype, strict=False)
    return texts if typed.null_count() else typed


def _blocks(finder: TopItemFinder, log: Log, ids: np.ndarray, names: pl.Series) -> Iterator[Block]:
    for first in range(0, len(ids), finder.block_rows):
        part, users = ids[first : first + finder.block_rows], names[first : first + finder.block_rows]
        queries = [_query(log, int(user), name) for user, name in zip(part, users, strict=True)]
        top = finder.find(queries)
        rows = _rows(log, users, top)
        yield Block(
            rows=rows,
            num_users=len(part),
            num_unknown=int((part == 0).sum()),
            num_fallback=sum(reason is not None for reason in top.fallback),
            num_empty=int((top.items[:, 0] == 0).sum()),
        )


def _query(log: Log, user: int, name: Any) -> Query:
    """The query of a user with the user's own history. It has no hint at similar names, which takes long to find."""
    query = user_query(log, user)
    if len(query.items):
        return query
    return replace(query, empty_reason=f"user {name} has no events" if user else f"user {name!r} is unknown")


def _rows(log: Log, users: pl.Series, top: TopItems) -> pl.DataFrame:
    items = top.items.numpy()
    row, place = items.nonzero()
    ids = items[row, place]
    columns: dict[str, Any] = {
        "user": users.gather(row),
        "rank": pl.Series(place + 1, dtype=pl.Int32),
        "item": log.items.tokens.gather(ids - 1),
    }
    if log.item_metadata is not None and "title" in log.item_metadata.columns:
        columns["title"] = log.item_metadata["title"].gather(ids - 1)
    columns["score"] = top.scores.numpy()[row, place]
    columns["fallback"] = pl.Series(top.fallback, dtype=pl.String).gather(row)
    return pl.DataFrame(columns)
