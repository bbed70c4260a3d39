"""Rules that leave rows out of a log. Each returns a log whose vocabularies hold only what is left.

    Log ── at_least(4.0) ── without_duplicates("last") ── core(5, 5) ── Log
           steps: "rating >= 4" 55,375 rows ... "5-core ..." 54,413 rows

Every rule is a mask over the rows of the log; it is written into `Log.steps` with what it left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from segue.data.log import Log, Step, Vocab, distinct
from segue.errors import ConfigError, DataError, did_you_mean

Codes = np.ndarray[Any, np.dtype[np.int32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Duplicates = Literal["keep", "first", "last"]


def filtered(
    log: Log,
    *,
    min_rating: float | None = None,
    duplicates: Duplicates = "keep",
    user_core: int = 0,
    item_core: int = 0,
) -> Log:
    """The rules that were asked for, in this order: ratings, duplicates, cores.

    Raises:
        ConfigError: a rule is out of range.
        DataError: a rule leaves nothing, or needs ratings that are not there.
    """
    known = get_args(Duplicates)
    if duplicates not in known:
        hint = did_you_mean(str(duplicates), known)
        raise ConfigError(f"duplicates={duplicates!r}: choose one of {', '.join(known)}{hint}")
    if user_core < 0 or item_core < 0:
        raise ConfigError(f"user_core={user_core} and item_core={item_core} must be at least 0")
    if min_rating is not None:
        log = at_least(log, min_rating)
    if duplicates != "keep":
        log = without_duplicates(log, duplicates)
    if user_core > 1 or item_core > 1:
        log = core(log, user_core, item_core)
    return log


def at_least(log: Log, rating: float) -> Log:
    """The rows rated `rating` or better."""
    if log.rating is None:
        raise DataError(f"{log.name}: min_rating={rating:g} needs ratings and this log has none; name their column")
    return select(log, log.column(log.rating) >= rating, f"rating >= {rating:g}")


def without_duplicates(log: Log, keep: Literal["first", "last"]) -> Log:
    """Of several rows of one user with one item, the earliest or the latest."""
    user, item = _pairs(log)
    pair = user * np.int64(log.num_items + 1) + item
    if keep == "last":
        pair = pair[::-1]
    order = np.argsort(pair, kind="stable")
    new = np.ones(len(pair), bool)
    new[1:] = pair[order][1:] != pair[order][:-1]
    mask = np.zeros(len(pair), bool)
    mask[order[new]] = True
    return select(log, mask[::-1] if keep == "last" else mask, f"duplicates: {keep} kept")


def core(log: Log, user_core: int, item_core: int) -> Log:
    """Only users with at least `user_core` rows and items with at least `item_core`, both counted in what is left."""
    user, item = _pairs(log)
    users, items = np.bincount(user, minlength=log.num_users + 1), np.bincount(item, minlength=log.num_items + 1)
    mask = np.ones(len(user), bool)
    while True:
        stay = (users >= user_core)[user] & (items >= item_core)[item]
        lost = mask & ~stay
        if not lost.any():
            return select(log, mask, f"at least {user_core} rows a user and {item_core} an item")
        users -= np.bincount(user[lost], minlength=len(users))
        items -= np.bincount(item[lost], minlength=len(items))
        mask = stay


def frequent_users(log: Log, rows: int) -> Log:
    """Users with at least `rows` rows, counted once: a later rule may leave them with fewer."""
    user, _ = _pairs(log)
    return select(log, (log.lengths >= rows)[user], f"users with at least {rows} rows, counted once")


def frequent_items(log: Log, rows: int) -> Log:
    """Items with at least `rows` rows, counted once: a later rule may leave them with fewer."""
    _, item = _pairs(log)
    return select(log, (log.counts() >= rows)[item], f"items with at least {rows} rows, counted once")


def widespread_items(log: Log, users: int) -> Log:
    """Items that at least `users` different users have."""
    user, item = _pairs(log)
    pair = distinct(user * np.int64(log.num_items + 1) + item)
    spread = np.bincount(pair % (log.num_items + 1), minlength=log.num_items + 1)
    return select(log, (spread >= users)[item], f"items of at least {users} different users")


def latest(log: Log, rows: int) -> Log:
    """The last `rows` rows of each user."""
    left = np.repeat(log.stop, log.lengths) - log.rows()
    return select(log, left <= rows, f"the last {rows} rows of each user")


def varied_users(log: Log, items: int) -> Log:
    """Users with at least `items` different items."""
    user, item = _pairs(log)
    pair = distinct(user * np.int64(log.num_items + 1) + item)
    varied = np.bincount(pair // (log.num_items + 1), minlength=log.num_users + 1)
    return select(log, (varied >= items)[user], f"users with at least {items} different items")


def without_items(log: Log, names: Collection[Any], rule: str) -> Log:
    """All items but those called `names`, for a reason that `rule` gives."""
    known = np.concatenate([[False], ~log.items.tokens.is_in(list(names)).to_numpy()])
    _, item = _pairs(log)
    return select(log, known[item], rule)


def select(log: Log, keep: Mask, rule: str) -> Log:
    """The rows where `keep` (len(log),) is true, renumbered; `rule` is added to the steps.

    Raises:
        DataError: nothing is left.
    """
    user, item = _pairs(log)
    sizes = np.bincount(user[keep], minlength=log.num_users + 1)
    item = item[keep]
    seen = np.bincount(item, minlength=log.num_items + 1) > 0
    if not len(item):
        raise DataError(f"{log.name}: the rule {rule!r} leaves nothing of {len(log):,} rows; ask for less")
    stop = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
    return replace(
        log,
        users=Vocab(log.users.tokens.filter(sizes[1:] > 0)),
        items=Vocab(log.items.tokens.filter(seen[1:])),
        start=np.concatenate([[0], stop[:-1]]),
        stop=stop,
        item=np.cumsum(seen, dtype=np.int32)[item],
        time=None if log.time is None else log.column(log.time)[keep],
        rating=None if log.rating is None else log.column(log.rating)[keep],
        steps=(*log.steps, Step(rule, len(item), int((sizes > 0).sum()), int(seen.sum()))),
        user_metadata=None if log.user_metadata is None else log.user_metadata.filter(sizes[1:] > 0),
        item_metadata=None if log.item_metadata is None else log.item_metadata.filter(seen[1:]),
    )


def _pairs(log: Log) -> tuple[Codes, Codes]:
    """(user, item) of every row, as int32: half of what `Log.events` takes."""
    return np.repeat(np.arange(log.num_users + 1, dtype=np.int32), log.lengths), log.column(log.item)
