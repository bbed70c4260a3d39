"""Copies the histories of a saved model into a store, so that a new service knows the users whom the model knows.

Events stay in a store for ever. So a log is copied without being asked only into a store that has no other events:

    store                                   log of the model                           copied
    empty                                   any                                        all
    the first half of the same log          a log that went on                         the rest
    any                                     the log of `segue retrain` on this store   nothing: all is there
    a backup that was put back              the same, made after the backup            the rest if somebody says so
    events of another log                   users of the same names, other events      only if somebody says so
    any                                     one that somebody refused                  only if somebody says so
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from segue.data.event_features import named_features
from segue.data.log import Ids, Log, ranges
from segue.data.time_units import in_microseconds, time_text
from segue.errors import ConfigError
from segue.event_store.clock import MAX_AHEAD, now
from segue.event_store.imports import Imported, Row
from segue.event_store.store import Store
from segue.serving.saved_model import SavedModel


class NotImportedError(ConfigError):
    """The events of a model's log are not copied into a store, and somebody must say what is to be done.

    Attributes:
        can_be_copied: whether they are when somebody says so.
    """

    def __init__(self, message: str, *, can_be_copied: bool) -> None:
        super().__init__(message)
        self.can_be_copied = can_be_copied

    def advice(self, model: str, *, copy: str, leave: str) -> str:
        """The message with what can be done.

        Args:
            model: name of the model.
            copy: what to give so that the events are copied.
            leave: what to give so that they are not.
        """
        copying = f"{copy} to copy them all into the store, which cannot be undone, or " if self.can_be_copied else ""
        return f"{model}: {self}. Give {copying}{leave} to go on with the events that the store has"


@dataclass(frozen=True)
class Overlap:
    """How much of a log a store has.

    Attributes:
        events: number of events of the log.
        present: how many of them the store has.
        users: number of users of the log.
        known: how many of them have events in the store.
        stored: number of events of the store.
    """

    events: int
    present: int
    users: int
    known: int
    stored: int

    @property
    def is_same_log(self) -> bool:
        """Whether one is most of the other: an empty store, a log that went on, or a copy that was interrupted."""
        return 2 * self.present >= min(self.events, self.stored)

    def __str__(self) -> str:
        return (
            f"its log has {self.events:,} events of {self.users:,} users; the store has {self.present:,} of these "
            f"events and {self.known:,} of these users, and {self.stored - self.present:,} other events"
        )


def import_histories(store: Store, saved: SavedModel, wanted: bool | None = None) -> Imported | None:
    """Copy the events of a model's log, except those of users who were erased from the store.

    Args:
        store: the store.
        saved: the model.
        wanted: whether somebody wants it; None if nobody says so. The store remembers a refusal.

    Returns:
        What was copied; None if nothing had to be.

    Raises:
        NotImportedError: the log seems not to be the one that the store has, or it has times to come.
    """
    fingerprint, name = saved.about["log"]["fingerprint"], saved.log.name
    if wanted is False:
        store.imports.refuse(fingerprint, name)
        return None
    if not (wanted or _is_missing(store, saved)):
        return None
    _check_times(saved.log)
    if wanted is None and len(store.events) and not (overlap := find_overlap(store, saved)).is_same_log:
        raise NotImportedError(str(overlap), can_be_copied=True)
    rows, _ = _kept_rows(store, saved.log)
    return store.imports.add(rows, fingerprint=fingerprint, name=name)


def _is_missing(store: Store, saved: SavedModel) -> bool:
    """Whether nothing says that a store has the log of a model, as it has that of a model that was trained on it."""
    return _newest_seq(store, saved) is None and not store.imports.has(saved.about["log"]["fingerprint"])


def _check_times(log: Log) -> None:
    """Check that the events of a log have happened: one to come would hide all that its user really does until then.

    Raises:
        NotImportedError: some are to come.
    """
    times = event_times(log)
    num_ahead = int((times > now() + MAX_AHEAD // timedelta(microseconds=1)).sum())
    if num_ahead:
        latest = time_text(int(times.max()), "microseconds")
        raise NotImportedError(
            f"{num_ahead:,} of the {len(log):,} events of its log are to come, the latest at {latest}; check the unit "
            "and the zone of the time column, and train the model on the corrected log",
            can_be_copied=False,
        )


def lacks_events(store: Store, saved: SavedModel) -> bool:
    """Whether a model was trained on newer events of the store than there are: a backup was put back."""
    newest_seq = _newest_seq(store, saved)
    return newest_seq is not None and newest_seq > store.events.newest_seq()


def _newest_seq(store: Store, saved: SavedModel) -> int | None:
    """The `seq` of the newest event of the store that a model was trained on; None for a model of another log."""
    trained_on = saved.about.get("store")
    if trained_on is None or trained_on["id"] != store.make_id():
        return None
    return int(trained_on["newest_seq"])


def find_overlap(store: Store, saved: SavedModel) -> Overlap:
    """How much of a model's log, without users who were erased, a store has."""
    rows, users = _kept_rows(store, saved.log)
    events, present = store.imports.count(rows)
    return Overlap(events, present, len(users), store.events.num_known(users), len(store.events))


def _kept_rows(store: Store, log: Log) -> tuple[Iterator[Row], list[str]]:
    """The events of a log, and the names of their users, without those who were erased from the store."""
    tokens = [str(token) for token in log.users.tokens]
    erased = store.erasures.names().among(tokens)
    kept = np.array([False, *(token not in erased for token in tokens)])
    return _rows(log, tokens, kept), [token for token in tokens if token not in erased]


def event_times(log: Log) -> Ids:
    """The times of all events in microseconds since 1970, as a store has them.

    Times that are no dates stay as they are, and an event of a log without times has its position in the history of its
    user, which stays the same when the log goes on. Both come before everything that happens from now on.
    """
    if log.time is None:
        return ranges(np.zeros_like(log.lengths), log.lengths)
    return in_microseconds(log.column(log.time), log.time_unit)


def _rows(log: Log, users: list[str], kept: np.ndarray) -> Iterator[Row]:
    """User, item, time in microseconds, rating, type and features of each event."""
    items = [str(token) for token in log.items.tokens]
    user, item = log.events()
    times = event_times(log)
    for row, features in enumerate(named_features(log)):
        if kept[user[row]]:
            rating = None if log.rating is None else float(log.rating[row])
            kind = "" if log.event_type is None else log.event_types[log.event_type[row] - 1]
            yield users[user[row] - 1], items[item[row] - 1], int(times[row]), rating, kind, features
