"""Filters that remove rows from a log. Each returns a log with only the users and items that are left.

    Log ── rated_at_least(4.0) ── without_duplicates("last") ── k_core(5, 5) ── Log
           steps: "rating >= 4" 55,375 rows ... "5-core ..." 54,413 rows

Every filter is a mask over the rows of the log, and is recorded in `Log.steps` with the numbers of what it left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, Literal, TypedDict, get_args

import numpy as np

from segue.data.copies import exact_copies
from segue.data.duplicates import Duplicates
from segue.data.impressions import renumbered
from segue.data.log import Codes, Log, Mask, Step, Vocab, bounds, distinct
from segue.errors import ConfigError, DataError, did_you_mean


class FilterOptions(TypedDict, total=False):
    """The filters that are keyword arguments of `read_log` and `load_log`.

    Attributes:
        min_rating: keep rows with at least this rating.
        duplicates: "exact" drops rows with the user, the item and the time (and the rating) of another row; "keep"
            keeps all; "first" and "last" keep one of the rows with the same user and item. By default, exact copies are
            dropped where there are times or a column of the order, and kept in saved logs and named data sets.
        user_core: keep users with at least this many rows, counted in what is left.
        item_core: keep items with at least this many rows, counted in what is left.
    """

    min_rating: float | None
    duplicates: Duplicates | None
    user_core: int
    item_core: int


def apply_filters(
    log: Log,
    *,
    min_rating: float | None = None,
    duplicates: Duplicates | None = None,
    user_core: int = 0,
    item_core: int = 0,
) -> Log:
    """Apply the filters that are set, in this order: ratings, duplicates, cores.

    Raises:
        ConfigError: a setting is out of range.
        DataError: a filter leaves nothing, or the log has no ratings to filter by.
    """
    choices = get_args(Duplicates)
    if duplicates is not None and duplicates not in choices:
        hint = did_you_mean(str(duplicates), choices)
        raise ConfigError(f"duplicates={duplicates!r}: choose one of {', '.join(choices)}{hint}")
    _check_numbers(min_rating, user_core, item_core)
    if min_rating is not None:
        log = rated_at_least(log, min_rating)
    if duplicates == "exact":
        log = without_copies(log)
    elif duplicates == "keep":
        log = _with_copies_said(log)
    elif duplicates in ("first", "last"):
        log = without_duplicates(log, duplicates)
    if user_core > 1 or item_core > 1:
        log = k_core(log, user_core, item_core)
    return log


def _check_numbers(min_rating: object, user_core: object, item_core: object) -> None:
    for name, count in (("user_core", user_core), ("item_core", item_core)):
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise ConfigError(f"{name}={count!r} must be a whole number of rows")
        if count < 0:
            raise ConfigError(f"user_core={user_core} and item_core={item_core} must be at least 0")
    if min_rating is not None and (isinstance(min_rating, bool) or not isinstance(min_rating, Real)):
        raise ConfigError(f"min_rating={min_rating!r} must be a number")


def rated_at_least(log: Log, rating: float) -> Log:
    """Keep the rows with a rating of at least `rating`."""
    if log.rating is None:
        raise DataError(f"{log.name}: min_rating={rating:g} needs ratings and this log has none; name their column")
    return select(log, log.column(log.rating) >= rating, f"rating >= {rating:g}")


def without_copies(log: Log) -> Log:
    """Of several rows with the same user, item and time (and rating, if there are ratings), keep the first.

    Raises:
        DataError: the log has no times.
    """
    if log.time is None:
        raise DataError(
            f"{log.name}: exact copies have the same time, and this log has no times; name their column, or choose "
            "duplicates first or last"
        )
    copy = exact_copies(log)
    count = int(copy.sum())
    if not count:
        return log
    copies = "1 exact copy" if count == 1 else f"{count:,} exact copies"
    further = {"rating": log.rating, "type of event": log.event_type}
    columns = ["user", "item", "time", *(name for name, column in further.items() if column is not None)]
    what = f"{', '.join(columns[:-1])} and {columns[-1]}"
    return select(log, ~copy, f"{copies} dropped (same {what}; --duplicates keep to keep)")


def _with_copies_said(log: Log) -> Log:
    """The log with a warning that it has exact copies, if there are any and it has no such warning yet."""
    count = int(exact_copies(log).sum())
    rows = "1 row is an exact copy of another" if count == 1 else f"{count:,} rows are exact copies of others"
    warning = f"{rows} (same user, item and time) and kept"
    return replace(log, warnings=(*log.warnings, warning)) if count and warning not in log.warnings else log


def without_duplicates(log: Log, keep: Literal["first", "last"]) -> Log:
    """Of several rows with the same user and item, keep the first or the last."""
    user, item = _pairs(log)
    pair = user * np.int64(log.num_items + 1) + item
    if keep == "last":
        pair = pair[::-1]
    order = np.argsort(pair, kind="stable")
    first = np.ones(len(pair), bool)
    first[1:] = pair[order][1:] != pair[order][:-1]
    mask = np.zeros(len(pair), bool)
    mask[order[first]] = True
    return select(log, mask[::-1] if keep == "last" else mask, f"duplicates: {keep} kept")


def k_core(log: Log, user_core: int, item_core: int) -> Log:
    """Keep users with at least `user_core` rows and items with at least `item_core`, repeated until nothing changes."""
    user, item = _pairs(log)
    users, items = np.bincount(user, minlength=log.num_users + 1), np.bincount(item, minlength=log.num_items + 1)
    mask = np.ones(len(user), bool)
    while True:
        frequent = (users >= user_core)[user] & (items >= item_core)[item]
        removed = mask & ~frequent
        if not removed.any():
            return select(log, mask, f"at least {user_core} rows a user and {item_core} an item")
        users -= np.bincount(user[removed], minlength=len(users))
        items -= np.bincount(item[removed], minlength=len(items))
        mask = frequent


def frequent_users(log: Log, rows: int) -> Log:
    """Keep users with at least `rows` rows, counted once: a later filter may leave them with fewer."""
    user, _ = _pairs(log)
    return select(log, (log.lengths >= rows)[user], f"users with at least {rows} rows, counted once")


def frequent_items(log: Log, rows: int) -> Log:
    """Keep items with at least `rows` rows, counted once: a later filter may leave them with fewer."""
    _, item = _pairs(log)
    return select(log, (log.counts() >= rows)[item], f"items with at least {rows} rows, counted once")


def items_of_many_users(log: Log, users: int) -> Log:
    """Keep items with at least `users` different users."""
    user, item = _pairs(log)
    pair = distinct(user * np.int64(log.num_items + 1) + item)
    num_users = np.bincount(pair % (log.num_items + 1), minlength=log.num_items + 1)
    return select(log, (num_users >= users)[item], f"items of at least {users} different users")


def last_rows(log: Log, rows: int) -> Log:
    """Keep the last `rows` rows of each user."""
    from_end = np.repeat(log.stop, log.lengths) - log.rows()
    return select(log, from_end <= rows, f"the last {rows} rows of each user")


def users_of_many_items(log: Log, items: int) -> Log:
    """Keep users with at least `items` different items."""
    user, item = _pairs(log)
    pair = distinct(user * np.int64(log.num_items + 1) + item)
    num_items = np.bincount(pair // (log.num_items + 1), minlength=log.num_users + 1)
    return select(log, (num_items >= items)[user], f"users with at least {items} different items")


def without_items(log: Log, names: Collection[Any], rule: str) -> Log:
    """Remove the items called `names`; `rule` says in `Log.steps` why."""
    keep = np.concatenate([[False], ~log.items.tokens.is_in(list(names)).to_numpy()])
    _, item = _pairs(log)
    return select(log, keep[item], rule)


def select(log: Log, keep: Mask, rule: str) -> Log:
    """Keep the rows where `keep` (len(log),) is true, renumber users and items, and add `rule` to the steps.

    Raises:
        DataError: nothing is left.
    """
    kept = keep_rows(log, keep)
    if not len(kept):
        raise DataError(f"{log.name}: the rule {rule!r} leaves nothing of {len(log):,} rows; ask for less")
    item_left, user_left = kept.counts() > 0, kept.lengths > 0
    start, stop = bounds(np.concatenate([[0], kept.lengths[user_left]]))
    new_ids = np.where(item_left, np.cumsum(item_left), 0).astype(np.int32)
    return replace(
        kept,
        users=Vocab(log.users.tokens.filter(user_left[1:])),
        items=Vocab(log.items.tokens.filter(item_left[1:])),
        start=start,
        stop=stop,
        item=new_ids[kept.item],
        impressions=None if kept.impressions is None else renumbered(kept.impressions, new_ids),
        steps=(*log.steps, Step(rule, len(kept), int(user_left.sum()), int(item_left.sum()))),
        user_metadata=None if log.user_metadata is None else log.user_metadata.filter(user_left[1:]),
        item_metadata=None if log.item_metadata is None else log.item_metadata.filter(item_left[1:]),
    )


def keep_rows(log: Log, keep: Mask) -> Log:
    """Keep the rows where `keep` (len(log),) is true; users and items keep their ids, also those without a row now.

    It is no filter of its own: nothing is added to the steps.
    """
    user, _ = _pairs(log)
    start, stop = bounds(np.bincount(user[keep], minlength=log.num_users + 1))
    columns = {f.name: getattr(log, f.name) for f in fields(log) if f.name not in ("start", "stop")}
    kept: dict[str, Any] = {name: log.column(x)[keep] for name, x in columns.items() if isinstance(x, np.ndarray)}
    return replace(log, start=start, stop=stop, **kept)


def _pairs(log: Log) -> tuple[Codes, Codes]:
    """(user, item) of every row, as int32: half the memory of `Log.events`."""
    return np.repeat(np.arange(log.num_users + 1, dtype=np.int32), log.lengths), log.column(log.item)
