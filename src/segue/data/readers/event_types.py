"""Selects events by the values of further columns, and says when a log mixes several types of events.

user  item  event      where = {"event": ["purchase"]} keeps one row. Without it, all rows are events, and a warning
u1    i7    view       says that the column `event` holds several types.
u1    i7    purchase
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from segue.data.conditions import as_conditions, check_columns, describe, matching_rows
from segue.data.readers.roles import simplify
from segue.data.readers.table import ColumnKind, Kinds, Table
from segue.data.readers.text import Loaded
from segue.errors import DataError

# usual names of a column that says what kind of event a row is, compared without case and punctuation
TYPE_COLUMNS = "event eventtype eventname action actiontype behavior behaviour behaviortype interactiontype type kind"
MAX_TYPES = 50  # a column with more values does not hold types of events
SHOWN = 5


def select_events(table: Table, where: Mapping[str, Any]) -> Table:
    """A table of the rows whose value in each column of `where` is one of those given (see `segue.data.conditions`).

    When the rows are loaded, there is a warning if a column that is not in `where` holds several types of events.

    Raises:
        DataError: a column does not exist. When the rows are loaded: a value occurs in no row, or no row is left.
    """
    selection = as_conditions(where)
    check_columns(selection, table.columns, table.where)

    def load(kinds: Kinds) -> Loaded:
        types = [column for column in type_columns(table.columns) if column not in kinds and column not in selection]
        further: dict[str, ColumnKind] = dict.fromkeys((*types, *selection), "text")
        frame, warnings = table.load({**further, **kinds})
        if selection:
            frame = frame.filter(matching_rows(frame, selection, table.where))
            if frame.is_empty():
                raise DataError(f"{table.where}: no row has {describe(selection)}; select by fewer columns")
        mixed = (mixed_types(frame[column]) for column in types)
        return frame.select(list(kinds)), (*warnings, *filter(None, mixed))

    name = f"{table.where}, rows with {describe(selection)}" if selection else table.where
    return replace(table, where=name, load=load)


def with_values(table: Table, column: str) -> Table:
    """A table in which a column has no empty values where it is read: other rows are left out, and counted."""

    def load(kinds: Kinds) -> Loaded:
        frame, notes = table.load(kinds)
        if column not in kinds or not (empty := frame[column].null_count()):
            return frame, notes
        said = f"{empty:,} of {frame.height:,} events have no value and are left out, since the {column}s are read"
        return frame.drop_nulls(column), (*notes, said)

    return replace(table, load=load)


def type_columns(columns: Sequence[str]) -> list[str]:
    """The columns that may say what kind of event a row is."""
    known = TYPE_COLUMNS.split()
    return [column for column in columns if simplify(column) in known]


def mixed_types(values: pl.Series) -> str | None:
    """A warning if a column holds several types of events; None if it holds one, or values of another kind."""
    if values.dtype.is_nested() or values.dtype.is_temporal() or values.dtype == pl.Binary:
        return None
    counts = values.cast(pl.String).drop_nulls().value_counts(sort=True)
    if not 2 <= counts.height <= MAX_TYPES:
        return None
    shares = [f"{value!r} {count / len(values):.0%}" for value, count in counts.head(SHOWN).iter_rows()]
    more = f", {counts.height - SHOWN} more" if counts.height > SHOWN else ""
    return (
        f"the column {values.name!r} has {counts.height} types of events ({', '.join(shares)}{more}), and every row "
        f"counts as an event; to select some, give --where {values.name}=VALUE (where={{...}} in Python), or to keep "
        f"them apart, --event-col {values.name} (event={values.name!r})"
    )
