"""`repeat_share` and `had_before`: how often users return to an item that they have had before."""

from __future__ import annotations

import numpy as np

from segue.data.baskets import basket_starts
from segue.data.log import Ids, Log, Mask

MANY_REPEATS = 0.01  # share of events in which a user returns to an item, above which repeats are to be predicted


def repeat_share(log: Log, gap: int = 0) -> float:
    """The share of the events in which a user returns to an item.

    An item that is in one basket twice counts once: a copy of a row, or two lines of one order, are no return. In a log
    without times every row is a basket of its own.

    Args:
        log: the log.
        gap: the largest time between neighbouring events of a basket, in seconds; 0 for events of the same time.
    """
    _, first, basket = _by_pair(log, gap)
    events = int((first | (np.diff(basket, prepend=-1) != 0)).sum())
    return (events - int(first.sum())) / events if events else 0.0


def had_before(log: Log, gap: int = 0) -> Mask:
    """(R,) whether the user of each row had its item before, in an earlier basket (see `repeat_share`)."""
    order, first, basket = _by_pair(log, gap)
    again = np.zeros(len(log.item), np.bool_)
    again[log.rows()[order]] = basket > basket[first][np.cumsum(first) - 1]
    return again


def users_return(log: Log, gap: int = 0) -> bool:
    """Whether users return to items so often that a model must be able to predict it."""
    return repeat_share(log, gap) > MANY_REPEATS


def _by_pair(log: Log, gap: int) -> tuple[Ids, Mask, Ids]:
    """The rows of the view by user and item, whether each is the first of its pair, and its basket, ascending."""
    user, item = log.events()
    pair = user * (log.num_items + 1) + item
    if log.time is None:
        basket = np.arange(len(pair))
    else:
        is_start = np.zeros(len(log.item) + 1, np.int64)
        is_start[basket_starts(log, gap)] = 1
        basket = np.cumsum(is_start[log.rows()])
    order = np.argsort(pair, kind="stable")
    return order, np.diff(pair[order], prepend=-1) != 0, basket[order]
