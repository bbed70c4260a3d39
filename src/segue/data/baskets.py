"""Baskets: events of a user that belong together, because they have the same time or follow one another at once.

    time     10  10  10 | 75 | 90  91        gap 0: 4 baskets; with a gap of 1 second: 3, as drawn

In the log of a shop, the lines of an order have one time. Which of them comes first is the order of the file.
"""

from __future__ import annotations

import numpy as np

from segue.data.log import Ids, Log, Mask
from segue.errors import DataError


def basket_starts(log: Log, gap: int = 0) -> Ids:
    """The rows at which a basket of a user begins, ascending.

    Args:
        log: with times.
        gap: the largest time between neighbouring events of a basket, in seconds; 0 for events of the same time.

    Raises:
        DataError: the log has no times, or no dates that could be counted in seconds.
    """
    rows = log.rows()
    if log.time is None:
        raise DataError(
            f"{log.name}: baskets need times, and this log has only an order; read it with a column of times, or "
            "choose another protocol"
        )
    user, _ = log.events()
    starts = np.ones(len(rows), np.bool_)
    starts[1:] = (np.diff(log.time[rows]) > (gap * log.ticks_per_second if gap else 0)) | (np.diff(user) > 0)
    return rows[starts]


def baskets_per_user(log: Log, starts: Ids) -> Ids:
    """(U + 1,) the number of baskets of each user, from the rows at which they begin."""
    is_start: Mask = np.zeros(int(log.stop.max(initial=0)) + 1, np.bool_)
    is_start[starts] = True
    before = np.concatenate([[0], np.cumsum(is_start)])
    return before[log.stop] - before[log.start]
