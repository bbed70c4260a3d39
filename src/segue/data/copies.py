"""Exact copies of rows: the same user, item and time.

    user  item  time
    ann   tea   10
    ann   tea   10         an exact copy: something was delivered twice, or two parts of an export overlap
    ann   tea   95         a return: the same item at another time

Without times, copies look like returns, and none is found.
"""

from __future__ import annotations

import numpy as np

from segue.data.log import Log, Mask


def exact_copies(log: Log, *, ratings: bool = True) -> Mask:
    """(len(log),) whether a row has the user, the item and the time (with `ratings`, the rating too) of one before.

    Events of different types are no copies.
    """
    copy = np.zeros(len(log), np.bool_)
    if log.time is None or len(log) < 2:
        return copy
    tied = np.diff(log.column(log.time)) == 0  # with the next row
    ends = np.cumsum(log.lengths)
    tied[ends[(ends > 0) & (ends < len(log))] - 1] = False  # of another user
    if not tied.any():
        return copy
    after_tie = np.concatenate([[False], tied])
    rows = np.flatnonzero(after_tie | np.concatenate([tied, [False]]))
    moment = np.cumsum(~after_tie)[rows]
    keys: list[np.ndarray] = [log.column(log.item)[rows], moment]
    if ratings and log.rating is not None:
        keys.insert(0, log.column(log.rating)[rows])
    if log.event_type is not None:
        keys.insert(0, log.column(log.event_type)[rows])
    order = np.lexsort(keys)
    same = np.logical_and.reduce([np.diff(key[order]) == 0 for key in keys])
    copy[rows[order[1:][same]]] = True
    return copy
