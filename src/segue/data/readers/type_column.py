"""The column that says of what type an event is, such as a view or a purchase.

user  item  event              events = ("view", "buy")     type 1 is a view, type 2 a purchase; other rows are left out
u1    i7    view               events = None                all rows are read, the types in the sorted order of names
u1    i7    buy
u1    i3    search
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from segue.data.conditions import as_conditions, has_value
from segue.data.readers.event_types import MAX_TYPES, type_columns
from segue.data.readers.values import first_row, is_empty
from segue.errors import DataError

Types = np.ndarray[Any, np.dtype[np.int8]]
_WITHOUT = 'read the log without types: leave out event="..." (--event-col)'


@dataclass(frozen=True)
class TypeColumn:
    """Which column holds the types of events, and which types are read.

    Attributes:
        column: its name; empty for none.
        names: the types that are read, in the order of their ids; None for all, in sorted order.
    """

    column: str = ""
    names: tuple[str, ...] | None = None

    @classmethod
    def choose(cls, event: str | None, events: Sequence[str] | None, columns: Sequence[str], where: str) -> TypeColumn:
        """The named column or, where only `events` are named, the one whose name says that it holds types.

        Raises:
            DataError: no column, or more than one, may hold types; or a type is named twice.
        """
        if isinstance(events, str):
            events = [events]
        if events is not None and (not events or len(set(events)) < len(events)):
            raise DataError(f"events={list(events)}: name at least one type of event, and each once")
        if not event and events is None:
            return cls()
        if not event:
            found = type_columns(columns)
            if len(found) != 1:
                which = f"the columns {', '.join(found)} may hold" if found else "no column looks as if it held"
                raise DataError(
                    f"{where}: {which} types of events; the columns are {', '.join(columns)}. "
                    'Name it: event="..." (--event-col)'
                )
            event = found[0]
        return cls(event, None if events is None else tuple(map(str, events)))

    def conditions(self, where: Mapping[str, Any]) -> dict[str, list[Any]]:
        """`where`, and that an event has one of the types that are read."""
        own = {self.column: list(self.names)} if self.names else {}
        return {**as_conditions(own), **as_conditions(where)}

    def read(self, values: pl.Series, where: str) -> tuple[Types, tuple[str, ...]]:
        """(R,) the type of each row, from 1, and the names of the types.

        Raises:
            DataError: a value is missing, is no text or number, or is none of the types that are read; or there are too
                many different ones.
        """
        if values.dtype.is_nested() or values.dtype.is_temporal() or values.dtype == pl.Binary:
            raise DataError(f"{where}: {values.dtype} is no type of an event; name another column, or {_WITHOUT}")
        if (empty := is_empty(values)).any():
            raise DataError(
                f"{where}, row {first_row(empty)}: empty, as in {int(empty.sum()):,} of {len(values):,} rows; fill it "
                f"in, name the types that are read (--events), or {_WITHOUT}"
            )
        names = self.names or tuple(sorted(values.cast(pl.String).unique().to_list()))
        if len(names) > MAX_TYPES:
            raise DataError(
                f"{where}: {len(names):,} different values, such as {', '.join(names[:3])}, are no types of events "
                f"(at most {MAX_TYPES}); name another column, or {_WITHOUT}"
            )
        ids = np.zeros(len(values), np.int8)
        for number, name in enumerate(names, 1):
            ids[has_value(values, name).to_numpy()] = number
        if not ids.all():
            raise DataError(
                f"{where}: {str(values[int(ids.argmin())])!r} is selected, and is none of the types that are read "
                f"({', '.join(names)}); name it in events (--events) too, or leave it out of where (--where)"
            )
        return ids, names
