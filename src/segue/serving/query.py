"""`Query`: what a recommendation is made for, as ids: a user and a history, and names that the log does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.event_features import NOTHING, Features, encode_features
from segue.data.log import Ids, Log
from segue.data.sessions import SessionRule
from segue.errors import DataError, did_you_mean
from segue.models.base.model import Model
from segue.models.base.score_buffer import device_of
from segue.serving.score_rules import ScoreRules


@dataclass(frozen=True, eq=False)
class Query:
    """A user and a history.

    Attributes:
        user: id of the user; 0 for an anonymous or unknown one.
        items: (P,) ids of the items of the history, oldest first; items that the log does not know are left out.
        times: (P,) the times of these events, in the unit of the log; None for that of the request.
        types: (P,) the types of these events, 0 for an unknown one; None for that of all.
        features: (P, F) the features of these events, see `Log.event_features`; None for unknown ones.
        sessions: (P,) the sessions of these events, see `Log.session`; None where the log has none.
        time: when the next item is requested, in the same unit; None for the time of the newest event of the log.
        ignored: the names that were left out of the history.
        unknown_user: the name of a user that the log does not know; None for a known or an anonymous user.
        empty_reason: why there is no history, as part of a sentence; None if there is one.
        hidden: ids of further items that may not be recommended; None for no others.
        exclude_seen: whether items of the history are left out; None for the rule of the finder.
        rules: further items that may not be recommended, and boosts; None for none.
    """

    user: int
    items: Ids
    times: Ids | None = field(default=None, kw_only=True)
    types: Ids | None = field(default=None, kw_only=True)
    features: Features | None = field(default=None, kw_only=True)
    sessions: Ids | None = field(default=None, kw_only=True)
    time: int | None = field(default=None, kw_only=True)
    ignored: tuple[Any, ...] = ()
    unknown_user: Any = None
    empty_reason: str | None = None
    hidden: Ids | None = None
    exclude_seen: bool | None = None
    rules: ScoreRules | None = None

    def excluded(self, exclude_seen: bool) -> Ids:
        """The ids of the items that may not be recommended; `exclude_seen` is the rule where the query has none."""
        seen = self.items if (exclude_seen if self.exclude_seen is None else self.exclude_seen) else self.items[:0]
        return seen if self.hidden is None else np.concatenate([seen, self.hidden])


def make_batch(model: Model, log: Log, queries: Sequence[Query], width: int) -> Batch:
    """The queries as a batch, on the device of the model, with the newest `width` events of each history.

    Args:
        model: it decides whether the batch has times, types, features and sessions of events.
        log: has the times that a query leaves open.
        queries: the queries.
        width: number of events; shorter histories are padded with 0 on the left.

    Raises:
        DataError: the model reads times, or sessions by times, and the log has none.
    """
    histories = [query.items[max(0, len(query.items) - width) :] for query in queries]
    batch = Batch(torch.tensor([query.user for query in queries]), _padded(histories, width))
    if model.reads_times or model.reads_request_time:
        requests = [log.newest_time if query.time is None else query.time for query in queries]
        times = [
            np.full(len(history), request) if query.times is None else query.times[len(query.times) - len(history) :]
            for query, history, request in zip(queries, histories, requests, strict=True)
        ]
        batch = replace(
            batch,
            times=_padded(times, width) if model.reads_times else None,
            time=torch.tensor(requests) if model.reads_request_time else None,
        )
    if model.reads_event_types:
        types = [
            np.zeros(len(history), np.int64) if query.types is None else query.types[len(query.types) - len(history) :]
            for query, history in zip(queries, histories, strict=True)
        ]
        batch = replace(batch, types=_padded(types, width))
    if model.reads_event_features:
        batch = replace(batch, features=_features(queries, width, len(log.event_feature_columns)))
    if (rule := model.session_rule) is not None:
        sessions = [_sessions(query, rule, log)[max(0, len(query.items) - width) :] for query in queries]
        batch = replace(batch, sessions=_padded(sessions, width))
    return batch.to(device_of(model))


def _features(queries: Sequence[Query], width: int, columns: int) -> Float[Tensor, "B P F"]:
    """The features of the newest events of each query; NaN where they are unknown."""
    table = np.full((len(queries), width, columns), NOTHING)
    for place, query in zip(table, queries, strict=True):
        if query.features is not None:
            newest = query.features[max(0, len(query.features) - width) :]
            place[width - len(newest) :] = newest
    return torch.from_numpy(table)


def _sessions(query: Query, rule: SessionRule, log: Log) -> Ids:
    """(P,) the sessions of the events of a query by a rule; 0 where they are unknown."""
    if rule.gap is None and query.sessions is not None:
        return query.sessions
    if query.times is None:
        return np.zeros(len(query.items), np.int64)
    return rule.of_times(query.times, log.ticks_per_second)


def _padded(rows: Sequence[Ids], width: int) -> Int[Tensor, "B P"]:
    table = np.zeros((len(rows), width), np.int64)
    for place, row in zip(table, rows, strict=True):
        place[width - len(row) :] = row
    return torch.from_numpy(table)


def make_query(
    log: Log,
    user: Any = None,
    history: Sequence[Any] | None = None,
    *,
    times: Sequence[int] | None = None,
    types: Sequence[str] | None = None,
    features: Sequence[Mapping[str, Any]] | None = None,
    time: int | None = None,
    strict: bool = False,
) -> Query:
    """The ids of a user and of a history.

    An unknown user is taken as an anonymous one, and unknown items are left out of the history; the query names both.

    Args:
        log: the names of users and items, and the histories of known users.
        user: the name of a user, or None for an anonymous user.
        history: names of items, oldest first; by default the user's history in the log.
        times: when these events were, in the unit of the log; None for the time of the request.
        types: the types of these events, such as "view"; None for unknown ones.
        features: the features of these events, such as {"device": "mobile"}; None for unknown ones.
        time: when the next item is requested; None for the time of the newest event of the log.
        strict: whether an unknown user or item is an error.

    Raises:
        DataError: neither a user nor a history is given, or a text in place of a list of items; there are other times,
            types or features than items, or a type or the name of a feature is unknown; with `strict`, a name is
            unknown.
    """
    if isinstance(history, str):
        raise DataError(f"history={history!r}: must be a list of items, such as [{history!r}]")
    if user is None and history is None:
        raise DataError(
            "no user and no history given: pass --user USER or --history ITEMS (user= or history= in Python)"
        )
    if strict:
        lookup_ids(log, "user", [] if user is None else [user])
        lookup_ids(log, "item", list(history or ()))
    user_id = 0 if user is None else int(log.users.ids([user])[0])
    unknown_user = user if user is not None and user_id == 0 else None
    if history is None:
        query = replace(user_query(log, user_id), time=time, unknown_user=unknown_user)
        no_events = f"user {user} has no events" if unknown_user is None else unknown_text(log, "user", user)
        return query if len(query.items) else replace(query, empty_reason=no_events)
    names = list(history)
    for what, values in (("times", times), ("types", types), ("features", features)):
        if values is not None and len(values) != len(names):
            raise DataError(f"{len(values):,} {what} for {len(names):,} items of the history: each needs its own")
    ids = log.items.ids(names)
    ignored = tuple(name for name, index in zip(names, ids, strict=True) if index == 0)
    empty = "no item of the history is known" if names else "the history is empty"
    items = ids[ids > 0]
    known = None if times is None else np.array(times, np.int64)[ids > 0]
    reason = None if len(items) else empty
    return Query(
        user_id,
        items,
        times=known,
        types=None if types is None else type_ids(log, types)[ids > 0],
        features=None if features is None else encode_features(log.event_feature_columns, features)[ids > 0],
        time=time,
        ignored=ignored,
        unknown_user=unknown_user,
        empty_reason=reason,
    )


def user_query(log: Log, user: int) -> Query:
    """The query of a user, by id, with the user's history and all that the log knows of its events."""
    rows = slice(log.start[user], log.stop[user])
    return Query(
        user,
        log.item[rows].astype(np.int64),
        times=None if log.time is None else log.time[rows],
        types=None if log.event_type is None else log.event_type[rows].astype(np.int64),
        features=None if log.event_features is None else log.event_features[rows],
        sessions=None if log.session is None else log.session[rows].astype(np.int64),
    )


def type_ids(log: Log, names: Sequence[str]) -> Ids:
    """(len(names),) the ids of types of events.

    Raises:
        DataError: a type is unknown.
    """
    known = {name: number for number, name in enumerate(log.event_types, 1)}
    for name in names:
        if name not in known:
            raise DataError(
                f"unknown type of event {name!r}{did_you_mean(str(name), known)}; {log.name} has: "
                f"{', '.join(known) or 'none'}"
            )
    return np.array([known[name] for name in names], np.int64)


def lookup_ids(log: Log, kind: str, names: Sequence[Any]) -> list[int]:
    """The ids of names of users or of items.

    Args:
        log: holds the vocabularies.
        kind: "user" or "item".
        names: the names.

    Raises:
        DataError: a name is unknown.
    """
    vocab = log.users if kind == "user" else log.items
    ids = vocab.ids(names)
    for name, index in zip(names, ids, strict=True):
        if index == 0:
            examples = ", ".join(str(n) for n in vocab.tokens.head(3))
            raise DataError(
                f"unknown {kind} {name!r}{_hint(log, kind, name)}; {log.name} knows {len(vocab):,} {kind}s, such as "
                f"{examples}"
            )
    return [int(index) for index in ids]


def unknown_text(log: Log, kind: str, name: Any) -> str:
    """`"user 'U3' is unknown, did you mean 'u3'?"`, without the question where no name is similar."""
    return f"{kind} {name!r} is unknown{_hint(log, kind, name)}"


def _hint(log: Log, kind: str, name: Any) -> str:
    vocab = log.users if kind == "user" else log.items
    return did_you_mean(str(name), (str(n) for n in vocab.tokens.head(100_000)))
