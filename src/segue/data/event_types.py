"""Targets among the events of a log: events of some types, such as purchases among views.

item         7     3     3     9     7         target_types = ("buy",)
event_type   view  view  buy   view  buy
is_target    0     0     1     0     1         all events are read in histories; only these are asked for and learnt
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segue.data.log import Ids, Log
from segue.errors import DataError, did_you_mean


def with_targets(log: Log, target_types: Sequence[str]) -> Log:
    """The log in which only events of some types are targets; with no types given, all events are.

    Raises:
        DataError: the log has no types of events, or not one of these.
    """
    if not target_types:
        return log
    if log.event_type is None:
        raise DataError(
            f"{log.name}: has no types of events, so that there are no targets {', '.join(target_types)}; name their "
            'column: event="..." (--event-col)'
        )
    for name in target_types:
        if name not in log.event_types:
            raise DataError(
                f"{log.name}: no events of type {name!r}{did_you_mean(name, log.event_types)}; it has: "
                f"{', '.join(log.event_types)}"
            )
    wanted = [number for number, name in enumerate(log.event_types, 1) if name in target_types]
    return replace(log, is_target=np.isin(log.event_type, wanted))


def target_rows(log: Log) -> Ids:
    """(n,) the rows of this view whose events are targets, user by user: all rows where nothing else is said."""
    rows = log.rows()
    return rows if log.is_target is None else rows[log.is_target[rows]]


def target_counts(log: Log) -> Ids:
    """(I + 1,) how often each item is a target; 0 for item 0."""
    return np.bincount(log.item[target_rows(log)], minlength=log.num_items + 1)
