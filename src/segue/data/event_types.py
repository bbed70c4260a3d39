"""Targets among the events of a log: events of some types, such as purchases among views; and their weights.

item         7     3     3     9     7         target_types = ("buy",)
event_type   view  view  buy   view  buy
is_target    0     0     1     0     1         all events are read in histories; only these are asked for and learnt
weight       .2    .2    1     .2    1         views of the weight .2 are learnt too, but still not asked for
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from segue.data.log import Floats, Ids, Log, distinct
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
    wanted = [_type_id(log, name) for name in target_types]
    return replace(log, is_target=np.isin(log.event_type, wanted))


def target_weights(log: Log, of_types: Mapping[str, float]) -> Floats:
    """(R,) what each row of the log's columns counts in training: the weight of its type.

    An event of another type counts 1 if it may be a target, and 0 if not.

    Raises:
        DataError: there are weights, and the log has no types of events, or not one of these.
    """
    weights = np.ones(len(log.item)) if log.is_target is None else log.is_target.astype(np.float64)
    for name, weight in of_types.items():
        types = log.known_event_types  # or the error
        weights[types == _type_id(log, name)] = weight
    return weights


def _type_id(log: Log, name: str) -> int:
    if name not in log.event_types:
        raise DataError(
            f"{log.name}: no events of type {name!r}{did_you_mean(name, log.event_types)}; it has: "
            f"{', '.join(log.event_types)}"
        )
    return 1 + log.event_types.index(name)


def target_rows(log: Log) -> Ids:
    """(n,) the rows of this view whose events are targets, user by user: all rows where nothing else is said."""
    rows = log.rows()
    return rows if log.is_target is None else rows[log.is_target[rows]]


def item_weights(log: Log, weights: Floats) -> Floats:
    """(I + 1,) the sum of the weights (R,) of the events of each item; 0 for item 0."""
    return np.bincount(log.column(log.item), log.column(weights), log.num_items + 1).astype(np.float64)


def heaviest(keys: Ids, weights: Floats) -> tuple[Ids, Floats]:
    """The distinct keys of events that count, ascending, and the largest weight of each."""
    if (weights == 1).all():
        found = distinct(keys)
        return found, np.ones(len(found))
    keys, weights = keys[weights > 0], weights[weights > 0]
    found = distinct(keys)
    largest = np.zeros(len(found))
    np.maximum.at(largest, np.searchsorted(found, keys), weights)
    return found, largest
