"""Copies the histories of a saved model into a store, so that a new service knows the users whom the model knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from segue.data.log import Ids, Log
from segue.data.time_units import TICKS_PER_SECOND
from segue.event_store.clock import MICROSECONDS
from segue.event_store.store import Store
from segue.serving.saved_model import SavedModel


def needs_import(store: Store, saved: SavedModel) -> bool:
    """Whether the events of a model's log are not in the store yet; those of a model that was trained on it are."""
    trained_on = saved.about.get("store")
    if trained_on is not None and trained_on["id"] == store.make_id():
        return False
    return not store.imports.has(saved.about["log"]["fingerprint"])


def import_histories(store: Store, saved: SavedModel, advance: Callable[[int], object] = lambda count: None) -> int:
    """Copy the events of a model's log, except those of users who were erased from the store.

    Args:
        store: the store.
        saved: the model.
        advance: is called with the number of events of each block that is stored.

    Returns:
        The number of events that are new.
    """
    erased = store.events.erased()
    log = saved.log
    tokens = [str(token) for token in log.users.tokens]
    kept = np.array([False, *(token not in erased for token in tokens)])
    return store.imports.add(
        _rows(log, tokens, kept),
        fingerprint=saved.about["log"]["fingerprint"],
        name=log.name,
        advance=advance,
    )


def event_times(log: Log) -> Ids:
    """The times of all events in microseconds since 1970, as a store has them.

    Times that are no dates stay as they are, and a log without times has the positions of its rows: both come before
    everything that happens from now on.
    """
    if log.time is None:
        return np.arange(len(log))
    times = log.column(log.time).astype(np.int64)
    ticks = TICKS_PER_SECOND[log.time_unit] if log.time_unit else MICROSECONDS
    return times * (MICROSECONDS // ticks) if ticks <= MICROSECONDS else times // (ticks // MICROSECONDS)


def _rows(log: Log, users: list[str], kept: np.ndarray) -> Iterator[tuple[str, str, int, float | None]]:
    """User, item, time in microseconds and rating of each event."""
    items = [str(token) for token in log.items.tokens]
    user, item = log.events()
    times = event_times(log)
    for row in range(len(user)):
        if kept[user[row]]:
            rating = None if log.rating is None else float(log.rating[row])
            yield users[user[row] - 1], items[item[row] - 1], int(times[row]), rating
