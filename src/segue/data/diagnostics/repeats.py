"""`repeat_share`: how often users return to an item that they have had before."""

from __future__ import annotations

import numpy as np

from segue.data.baskets import basket_starts
from segue.data.log import Ids, Log, distinct

MANY_REPEATS = 0.01  # share of events in which a user returns to an item, above which repeats are to be predicted


def repeat_share(log: Log, gap: int = 0) -> float:
    """The share of the events in which a user returns to an item.

    An item that is in one basket twice counts once: a copy of a row, or two lines of one order, are no return. In a log
    without times every row is a basket of its own.

    Args:
        log: the log.
        gap: the largest time between neighbouring events of a basket, in seconds; 0 for events of the same time.
    """
    user, item = log.events()
    pair = user * (log.num_items + 1) + item
    if log.time is None or not len(pair):
        return _repeats(len(pair), pair)
    is_start = np.zeros(len(log.item) + 1, np.int64)
    is_start[basket_starts(log, gap)] = 1
    basket = np.cumsum(is_start[log.rows()])
    order = np.lexsort((item, basket))
    new = np.ones(len(pair), np.bool_)
    new[1:] = (np.diff(basket[order]) != 0) | (np.diff(item[order]) != 0)
    return _repeats(int(new.sum()), pair)


def users_return(log: Log, gap: int = 0) -> bool:
    """Whether users return to items so often that a model must be able to predict it."""
    return repeat_share(log, gap) > MANY_REPEATS


def _repeats(events: int, pair: Ids) -> float:
    return (events - len(distinct(pair))) / events if events else 0.0
