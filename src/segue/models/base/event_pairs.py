"""Sums over the pairs of events of each history: what regressions of ordered items are made of.

Histories of equal length are handled together, without padding. The work grows with the square of the length, so that
only the `max_events` newest events of a history count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segue.config import Field
from segue.data.log import Floats, Ids, Log, distinct
from segue.data.time_units import SECONDS_PER_DAY
from segue.models.base.linear import LinearConfig

MAX_CELLS = 4_000_000  # pairs that are in memory at a time


class EventPairsConfig(LinearConfig):
    """Settings of all linear models that learn from pairs of events."""

    max_events: int = Field(
        500,
        ge=2,
        description=(
            "Number of newest events of each history that are learnt from, of those whose items have weights. The "
            "time for a history grows with the square of their number (slist), or with its third power (tale)."
        ),
    )


def by_length(log: Log, place: Ids, max_events: int) -> Iterator[tuple[Ids, Ids]]:
    """The histories of a log, those of equal length together, shortest first.

    Args:
        log: the log.
        place: that of `LinearModel.item_weights`; events of items without weights are left out.
        max_events: number of newest events of a history.

    Yields:
        (b,) users with L events, and (b, L) the rows of these events in the columns of the log, oldest first; L is at
        least 2, and b L^2 at most `MAX_CELLS`, or b is 1.
    """
    user, item = log.events()
    kept = place[item] > 0
    rows, counts = log.rows()[kept], np.bincount(user[kept], minlength=log.num_users + 1)
    stop, lengths = np.cumsum(counts), np.minimum(counts, max_events)
    for length in distinct(lengths[lengths >= 2]).tolist():
        users = np.flatnonzero(lengths == length)
        size = max(MAX_CELLS // length**2, 1)
        for begin in range(0, len(users), size):
            some = users[begin : begin + size]
            yield some, rows[stop[some, None] + np.arange(-length, 0)]


def add_pairs(total: Floats, first: Ids, second: Ids, values: Floats) -> None:
    """total[i, j] += value, for each of many pairs.

    Args:
        total: (n, n), contiguous.
        first: i of each pair; first, second and values are broadcast to one shape.
        second: j of each pair.
        values: the values.
    """
    keys = first * total.shape[1] + second
    np.add.at(total.reshape(-1), keys.reshape(-1), np.broadcast_to(values, keys.shape).reshape(-1))


def event_days(log: Log) -> Floats | None:
    """(R,) the time of each row of the log's columns in days since the first; None if the log has no times.

    Times that are no dates are taken as days.
    """
    if log.time is None or not len(log.time):
        return None
    ticks = 1 if log.time_unit is None else SECONDS_PER_DAY * log.ticks_per_second
    return np.asarray((log.time - log.time.min()) / ticks)
