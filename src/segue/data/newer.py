"""`merge_newer`: the histories that saved models hold, continued by the events of a newer log.

    saved    u1: a b c              u2: d
    newer    u1:     c e f          u2: g      u3: a            c at the same time is the same event
    merged   u1: a b c | e f        u2: d |    u3: | a          | after the last event of the training; g is unknown

Users and items are matched by name. The merged log has the items that every saved model knows, because only these can
be ranked by all of them, and the users of all logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from segue.data.event_features import EventFeature, Features, check_same
from segue.data.log import Ids, Log, Vocab
from segue.data.time_units import day_of
from segue.errors import DataError

EVENT = ("user", "item", "time", "event_type")
_KNOWN_ITEM = pl.col("item") > 0


@dataclass(frozen=True, eq=False)
class NewerEvents:
    """A merged log, and which of its events are newer than the training.

    Attributes:
        log: all events of the saved and of the newer log, without unknown items.
        after: the newest time that is not evaluated, in the unit of the log.
        events: number of events of the newer log after that time.
        unknown_events: number of these that are left out because a model does not know their item.
        unknown_items: number of these items.
        new_users: number of users of these events whom no model knows.
    """

    log: Log
    after: int
    events: int
    unknown_events: int
    unknown_items: int
    new_users: int


def merge_newer(saved: Sequence[Log], trained_until: Sequence[int], newer: Log) -> NewerEvents:
    """Continue the histories of saved models by the events of a newer log.

    The evaluated events are those of the newer log after the training of every model. Where the newer log lacks later
    events of a saved log, it is a continuation of that log, and only what comes after them is evaluated.

    Args:
        saved: the log of each saved model.
        trained_until: the time of the newest event that each model was trained on.
        newer: the newer log.

    Raises:
        DataError: a log has no times, times of another unit, no item that all know, or no newer event; or only some
            logs have types of events.
    """
    _check_times(saved, newer)
    _check_types(saved, newer)
    items = _common_items(saved)
    users = _all_users([*saved, newer])
    *frames, new = (_events(log, users, items) for log in (*saved, newer))
    _check_known(new, newer, items)
    frames = [frame.filter(_KNOWN_ITEM) for frame in frames]
    after = _not_evaluated_until(frames, max(trained_until), new)
    evaluated = new.filter(pl.col("time") > after)
    if not evaluated.height or _newest(new) <= min(map(_newest, frames)):
        raise _no_newer_events(newer, _newest(new), after)
    unknown = evaluated.filter(~_KNOWN_ITEM)
    if unknown.height == evaluated.height:
        raise DataError(f"{newer.name}: the model knows none of the items of its {unknown.height:,} newer events")
    return NewerEvents(
        log=_log(_union([*frames, new.filter(_KNOWN_ITEM)]), users, items, saved[0], newer.name),
        after=after,
        events=evaluated.height,
        unknown_events=unknown.height,
        unknown_items=unknown["item_name"].n_unique(),
        new_users=_num_new(evaluated["user"], users, saved),
    )


def _check_known(new: pl.DataFrame, newer: Log, items: Vocab) -> None:
    """Raise `DataError` if no event is of a known item."""
    if not len(items):
        raise DataError(
            f"{newer.name}: the models have no item in common, so no list can be compared; one has another log"
        )
    if not (new["item"] > 0).any():
        raise DataError(
            f"{newer.name}: none of its {newer.num_items:,} items is known to the model; it knows "
            f"{', '.join(map(str, items.tokens.head(3)))} and others, and this log has "
            f"{', '.join(map(str, newer.items.tokens.head(3)))} and others"
        )


def _not_evaluated_until(frames: Sequence[pl.DataFrame], trained_until: int, new: pl.DataFrame) -> int:
    """The time of the last event that a model was trained on, or that a saved log has and the newer one lacks."""
    after = trained_until
    for frame in frames:
        missing = frame.filter(pl.col("time") > after).join(new, on=EVENT, how="anti")
        if missing.height:
            after = int(missing["time"].max())  # type: ignore[arg-type]  # of a column of whole numbers
    return after


def _no_newer_events(newer: Log, newest: int, after: int) -> DataError:
    texts = [f"{day_of(time, newer.time_unit)} (time {time})" for time in (newest, after)]
    return DataError(
        f"{newer.name}: has no newer events: its newest is of {texts[0]}, and the model was trained or has "
        f"histories up to {texts[1]}; give the data and the reading options that it was trained with, or a log "
        "with newer events"
    )


def _union(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The events of all frames, sorted by user and time. An event of one frame counts once, copies in a frame stay."""
    merged = frames[0]
    for frame in frames[1:]:
        merged = pl.concat([merged, frame.join(merged, on=EVENT, how="anti", maintain_order="left")])
    return merged.sort("user", "time", maintain_order=True)


def _num_new(user: pl.Series, users: Vocab, saved: Sequence[Log]) -> int:
    """How many of the users no saved log has."""
    known = np.zeros(len(users) + 1, np.bool_)
    for log in saved:
        known[users.ids(log.users.tokens.to_list())] = True
    return int((~known[user.unique().to_numpy()]).sum())


def _check_times(saved: Sequence[Log], newer: Log) -> None:
    for log in (*saved, newer):
        if log.time is None:
            raise DataError(
                f"{log.name}: has no times, so it is unknown which events are newer; give the log that the model was "
                "trained with, read with the same options"
            )
    units = {log.time_unit for log in saved if len(log)}
    unit = units.pop() if len(units) == 1 else None
    if unit != newer.time_unit:
        raise DataError(
            f"{newer.name}: its times are in {newer.time_unit or 'an unknown unit'}, and those of the model in "
            f"{unit or 'an unknown unit'}; read it with times of the same unit"
        )


def _newest(events: pl.DataFrame) -> int:
    return int(events["time"].max() or 0)  # type: ignore[arg-type]  # of a column of whole numbers


def _common_items(saved: Sequence[Log]) -> Vocab:
    """The items that all saved logs have, in the order of the first."""
    tokens = saved[0].items.tokens
    known = np.ones(len(tokens), np.bool_)
    for log in saved[1:]:
        known &= log.items.ids(tokens.to_list()) > 0
    return Vocab(tokens.filter(pl.Series(known)))


def _all_users(logs: Sequence[Log]) -> Vocab:
    """The users of all logs; numbers stay numbers if they are numbers everywhere."""
    names = [log.users.tokens for log in logs]
    if not all(one.dtype.is_integer() for one in names):
        names = [one.cast(pl.String) for one in names]
    return Vocab(pl.concat([one.cast(names[0].dtype) for one in names]).unique(maintain_order=True))


def _events(log: Log, users: Vocab, items: Vocab) -> pl.DataFrame:
    """One row per event: user, item (0 if unknown) and time in the merged vocabularies, the name of the item, that of
    the type, empty in a log without types, and what the features are."""
    user, item = log.events()
    assert log.time is not None
    user_ids, item_ids = (
        np.concatenate([[0], target.ids(source.tokens.to_list())])
        for target, source in ((users, log.users), (items, log.items))
    )
    names = log.items.tokens.cast(pl.String).gather(item.astype(np.int64) - 1)
    columns = {"user": user_ids[user], "item": item_ids[item], "time": log.column(log.time).astype(np.int64)}
    types = pl.Series([*log.event_types], dtype=pl.String)
    kind = pl.repeat("", len(log), eager=True) if log.event_type is None else types.gather(_zero_based(log))
    features = {} if log.event_features is None else dict(enumerate(log.column(log.event_features).T))
    decoded = {
        f"feature {place}": pl.Series(one.decode(features[place]), dtype=pl.String if one.categories else pl.Float32)
        for place, one in enumerate(log.event_feature_columns)
    }
    return pl.DataFrame({**columns, "item_name": names, "event_type": kind, **decoded})


def _zero_based(log: Log) -> Ids:
    """(len(log),) the type of each event as an index."""
    return log.column(log.known_event_types).astype(np.int64) - 1


def _check_types(saved: Sequence[Log], newer: Log) -> None:
    typed = {log.event_type is not None for log in (*saved, newer)}
    if len(typed) > 1:
        has = newer.event_type is not None
        raise DataError(
            f"{newer.name}: its events {'have' if has else 'do not have'} types, and those of "
            f"{'a' if has else 'the'} model {'do not' if has else 'do'}; read it with the options of the training "
            "(--event-col, --events)"
        )
    for log in (*saved[1:], newer):
        check_same(saved[0].event_feature_columns, log.event_feature_columns, log.name)


def _log(events: pl.DataFrame, users: Vocab, items: Vocab, first: Log, name: str) -> Log:
    rows = first.items.ids(items.tokens.to_list()) - 1
    metadata = first.item_metadata
    known = () if first.event_type is None else first.event_types
    names = events["event_type"].unique(maintain_order=True).to_list() if known else []
    types = (*known, *(name for name in names if name not in known))
    kinds = (
        events["event_type"].replace_strict(types, range(1, len(types) + 1), return_dtype=pl.Int8) if types else None
    )
    features = [_feature(one, events[f"feature {place}"]) for place, one in enumerate(first.event_feature_columns)]
    return Log.from_columns(
        users=users,
        items=items,
        lengths=np.bincount(events["user"].to_numpy(), minlength=len(users) + 1),
        item=events["item"].to_numpy().astype(np.int32),
        time=events["time"].to_numpy(),
        event_type=None if kinds is None else kinds.to_numpy(),
        event_types=types,
        event_features=np.stack([values for _, values in features], 1) if features else None,
        event_feature_columns=tuple(one for one, _ in features),
        name=name,
        item_metadata=None if metadata is None else metadata[rows.tolist()],
    )


def _feature(known: EventFeature, values: pl.Series) -> tuple[EventFeature, Features]:
    """A column with the categories that were known before, and new ones after them."""
    if not known.categories:
        return known, values.fill_null(np.nan).to_numpy()
    names = values.drop_nulls().unique(maintain_order=True).to_list()
    merged = EventFeature(known.name, (*known.categories, *(one for one in names if one not in set(known.categories))))
    return merged, merged.encode(values.to_list())
