"""`read_events`: the rows of a table as a log.

table ── names, times, ratings, parts ── ids 1..U, 1..I ── sorted by (user, time) ── Log
         EventColumns
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from segue.data.log import Codes, Ids, Log, Step, Vocab
from segue.data.readers.empty import complete_rows, marker_warnings
from segue.data.readers.event_features import check_feature_columns, read_event_features
from segue.data.readers.impressions import read_impressions
from segue.data.readers.name_checks import check_names, list_warnings
from segue.data.readers.names import as_names, encode, rounding_warnings
from segue.data.readers.roles import DOUBTFUL_RATINGS, assign_roles, simplify
from segue.data.readers.split_column import Parts, as_parts, check_order, order_by_part
from segue.data.readers.table import ColumnKind, Table
from segue.data.readers.time_column import clock_warnings, find_time_column
from segue.data.readers.times import Times, as_order, as_times
from segue.data.readers.type_column import TypeColumn, Types
from segue.data.readers.values import as_ratings, is_empty
from segue.data.sessions import number_sessions
from segue.errors import DataError

_COLUMN_KINDS: Mapping[str, ColumnKind] = {
    **{"user": "name", "item": "name", "time": "time", "rating": "rating", "split": "any", "event": "text"},
    **{"session": "name", "impressions": "text"},
}


@dataclass
class EventColumns:
    """The columns of a frame of events. Each is removed from the frame when it is read, which saves memory.

    Attributes:
        frame: the rows, with what is not read yet.
        columns: role -> column.
        where: the name of the source in messages.
        only_order: whether the column of times gives an order and no times.
        warnings: what was assumed about the columns that were read.
    """

    frame: pl.DataFrame
    columns: Mapping[str, str]
    where: str
    only_order: bool
    warnings: list[str] = field(default_factory=list)

    def names(self, role: str) -> tuple[Vocab, Codes]:
        """The names of users or items, and (R,) the id of each row."""
        column, where = self._take(role)
        names = as_names(column, where)
        vocab, codes = encode(names.values)
        check_names(vocab, where)
        self.warnings += [*names.warnings, *rounding_warnings(vocab, where), *marker_warnings(vocab, codes, where)]
        self.warnings += list_warnings(vocab, where)
        return vocab, codes

    def times(self, time_format: str | None) -> Times | None:
        """The times, or the values of a column of the order; None if there is neither."""
        if "time" not in self.columns:
            return None
        column, where = self._take("time")
        times = Times(as_order(column, where), "") if self.only_order else as_times(column, where, time_format)
        self.warnings += times.warnings
        return times

    def ratings(self, *, guessed: bool) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """(R,) the ratings, or None: also, with a warning, if a guess such as `value` has empty values."""
        if "rating" not in self.columns:
            return None
        name = self.columns["rating"]
        column, where = self._take("rating")
        if guessed and simplify(name) in DOUBTFUL_RATINGS and (empty := int(is_empty(column).sum())):
            self.warnings.append(
                f"{where}: empty in {empty:,} of {len(column):,} rows, so that the log has no ratings; if these are "
                f"ratings, fill them in and name the column: rating={name!r} (--rating-col)"
            )
            return None
        return as_ratings(column, where)

    def parts(self, *, guessed: bool) -> Parts | None:
        """(R,) the part of the split that each row is in, or None; `guessed` as for `as_parts`."""
        if "split" not in self.columns:
            return None
        parts, notes = as_parts(*self._take("split"), guessed=guessed)
        self.warnings += notes
        return parts

    def types(self, types: TypeColumn) -> tuple[Types | None, tuple[str, ...]]:
        """(R,) the type of each event, or None, and the names of the types."""
        return types.read(*self._take("event")) if "event" in self.columns else (None, ())

    def impressions(self, items: Vocab) -> Codes | None:
        """(R, M) the items that were shown at each event, or None."""
        if "impressions" not in self.columns:
            return None
        column, where = self._take("impressions")
        table, notes = read_impressions(column, items, where)
        self.warnings += notes
        return table

    def order(self, user: Codes, users: Vocab, time: Ids | None, parts: Parts | None) -> Ids | slice:
        """The rows in the order of the log: by user, time and part; otherwise as in the source.

        Raises:
            DataError: a user has a training row after a later part.
        """
        if parts is None:
            return _order(user, time)
        order = order_by_part(user, time, parts)
        check_order(user, parts, order, users, self._name("split"), timed=time is not None)
        return order

    def _take(self, role: str) -> tuple[pl.Series, str]:
        return self.frame.drop_in_place(self.columns[role]), self._name(role)

    def _name(self, role: str) -> str:
        return f"{self.where}, column {self.columns[role]!r}"


def read_events(
    table: Table,
    named: Mapping[str, str | None],
    name: str,
    time_format: str | None,
    *,
    types: TypeColumn,
    features: Sequence[str] = (),
    drop_empty: bool,
) -> tuple[Log, bool]:
    """The rows of a table as a log, and whether its times are times: otherwise they only say the order.

    Args:
        table: the source.
        named: role -> column, as the user named it; None to guess it.
        name: the name of the log.
        time_format: the strftime pattern of times in text; None to recognise it.
        types: the column of the types of events.
        features: the columns of event features.
        drop_empty: whether rows without a user, an item or a time are left out; otherwise they are an error.

    Raises:
        DataError: the table cannot be read as a log.
    """
    columns, unread = _columns(table, {**named, "event": types.column})
    only_order = _is_order(columns, time_format, table.where)
    feature_columns = check_feature_columns(features, table.columns, columns, table.where)
    kinds = {column: _COLUMN_KINDS[role] for role, column in columns.items()}
    frame, loading = table.load({**kinds, **dict.fromkeys(feature_columns.values(), "any")})
    if not frame.height:
        raise DataError(f"{table.where}: no rows")
    sizes = frame.height, *(_num_names(frame[columns[role]]) if drop_empty else 0 for role in ("user", "item"))
    frame, empty = complete_rows(frame, columns, table.where, drop=drop_empty)
    where = f"{table.where} without its empty rows" if empty else table.where
    of_features, values = read_event_features(frame, feature_columns, where)
    events = EventColumns(frame, columns, where, only_order)
    users, user = events.names("user")
    items, item = events.names("item")
    times = events.times(time_format)
    ticks = times.ticks if times else None
    rating = events.ratings(guessed=named["rating"] is None)
    parts = events.parts(guessed=named["split"] is None)
    event_type, event_types = events.types(types)
    session = events.names("session")[1] if "session" in columns else None
    impressions = events.impressions(items)
    order = events.order(user, users, ticks, parts)
    if rating is None:
        columns.pop("rating", None)
    described = {**columns, **({"event features": ", ".join(feature_columns)} if feature_columns else {})}
    read = Step(_description(table.where, described, times.unit if times else ""), len(item), len(users), len(items))
    log = Log.from_columns(
        users,
        items,
        np.bincount(user, minlength=len(users) + 1),
        item=item[order],
        time=None if ticks is None else ticks[order],
        rating=None if rating is None else rating[order],
        part=None if parts is None else parts[order],
        event_type=None if event_type is None else event_type[order],
        event_types=event_types,
        session=None if session is None else number_sessions(user[order], session[order]),
        event_features=None if values is None else values[order],
        event_feature_columns=of_features,
        impressions=None if impressions is None else impressions[order],
        name=name,
        steps=(Step(read.rule, *sizes), replace(read, rule=_emptied(empty))) if empty else (read,),
        warnings=(*loading, *unread, *events.warnings),
    )
    return log, ticks is not None and not only_order


def _columns(table: Table, named: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """The column of each role, and a warning if there are hours in a column that is not read."""
    try:
        columns = assign_roles(table.columns, named, table.where)
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}. {table.hint}" if table.hint else str(error)) from None
    if named["time"] is not None:
        return columns, []
    others = [column for column in table.columns if column not in columns.values()]

    def head(names: Sequence[str]) -> pl.DataFrame:
        return table.head(dict.fromkeys(names, "any"))

    time = find_time_column(others, head, table.where)
    if time is None:
        return columns, []
    return {**columns, "time": time}, clock_warnings(others, time, head, table.where)


def _is_order(columns: Mapping[str, str], time_format: str | None, where: str) -> bool:
    """Whether the column of times gives only an order; an error if a time format is given and there are no times."""
    only_order = simplify(columns.get("time", "")) == "order"
    if time_format is not None and ("time" not in columns or only_order):
        raise DataError(f'{where}: a time format needs a column of times; name it: time="..." (--time-col)')
    return only_order


def _num_names(column: pl.Series) -> int:
    return int(column.filter(~is_empty(column)).n_unique())


def _emptied(empty: Mapping[str, int]) -> str:
    """The rule that left out rows with empty values: "no empty user (12 rows), item (1 row)"."""
    counts = (f"{role} ({count:,} {'row' if count == 1 else 'rows'})" for role, count in empty.items())
    return f"no empty {', '.join(counts)}"


def _order(user: Codes, time: Ids | None) -> Ids | slice:
    """The stable order by (user, time); a slice of all rows if they are in that order already."""
    step = np.diff(user)
    if (step >= 0).all() and (time is None or ((step > 0) | (np.diff(time) >= 0)).all()):
        return slice(None)
    return np.argsort(user, kind="stable") if time is None else np.lexsort((time, user))


def _description(where: str, columns: Mapping[str, str], unit: str) -> str:
    """How the source was read, for the first entry of `Log.steps`."""
    parts = [f"{role} {column!r}" for role, column in columns.items() if role != "time"]
    if "time" not in columns:
        parts.append("in the order of the source")
    else:
        parts.append(f"time {columns['time']!r} in {unit}" if unit else f"in the order of {columns['time']!r}")
    return f"read {where}: {', '.join(parts)}"
