"""Selects events by the values of further columns, and says when a log mixes several types of events.

user  item  event      where = {"event": ["purchase"]} keeps one row. Without it, all rows are events, and a warning
u1    i7    view       says that the column `event` holds several types.
u1    i7    purchase
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from segue.data.readers.columns import simplify
from segue.data.readers.table import ColumnKind, Kinds, Table
from segue.errors import DataError, did_you_mean

# usual names of a column that says what kind of event a row is, compared without case and punctuation
TYPE_COLUMNS = "event eventtype eventname action actiontype behavior behaviour behaviortype interactiontype type kind"
MOST_TYPES = 50  # a column with more values does not hold types of events
SHOWN = 5

Selection = Mapping[str, Sequence[str]]


def select_events(table: Table, where: Mapping[str, str | Sequence[str]]) -> Table:
    """A table of the rows whose value in each column of `where` is one of those given; values are compared as text.

    The table warns if a column that is not in `where` holds several types of events.

    Raises:
        DataError: a column does not exist. When the rows are loaded: a value occurs in no row, or no row is left.
    """
    selection = {column: [values] if isinstance(values, str) else values for column, values in where.items()}
    for name in selection:
        if name not in table.columns:
            hint = did_you_mean(name, table.columns) or "."
            raise DataError(
                f"{table.where}: no column {name!r} to select rows by{hint} The columns are {', '.join(table.columns)}"
            )

    def load(kinds: Kinds) -> pl.DataFrame:
        types = [column for column in type_columns(table.columns) if column not in kinds and column not in selection]
        further: dict[str, ColumnKind] = dict.fromkeys((*types, *selection), "text")
        frame = table.load({**further, **kinds})
        if selection:
            frame = select_rows(frame, selection, table.where)
        table.warnings.extend(filter(None, (mixed_types(frame[column]) for column in types)))
        return frame.select(list(kinds))

    name = f"{table.where}, rows with {describe(selection)}" if selection else table.where
    return replace(table, where=name, load=load)


def select_rows(frame: pl.DataFrame, where: Selection, source: str) -> pl.DataFrame:
    """The rows whose value in each column of `where` is one of those given; values are compared as text.

    Raises:
        DataError: a value occurs in no row, or no row has all of the values.
    """
    mask = pl.Series([True]).new_from_index(0, frame.height)
    for column, values in where.items():
        text = frame[column].cast(pl.String)
        for value in values:
            if not (text == value).any():
                known = text.drop_nulls().unique().sort().to_list()
                listed = ", ".join(map(repr, known[:10])) + (" ..." if len(known) > 10 else "")
                hint = did_you_mean(value, known)
                raise DataError(f"{source}: column {column!r} never has the value {value!r}{hint}; it has {listed}")
        mask &= text.is_in(list(values)).fill_null(False)
    if not mask.any():
        raise DataError(f"{source}: no row has {describe(where)}; select by fewer columns")
    return frame.filter(mask)


def describe(where: Selection) -> str:
    """The selection in words.

    >>> describe({"event": ["view", "purchase"], "shop": ["uk"]})
    "event = 'view' or 'purchase', shop = 'uk'"
    """
    return ", ".join(f"{name} = {' or '.join(map(repr, values))}" for name, values in where.items())


def type_columns(columns: Sequence[str]) -> list[str]:
    """The columns that may say what kind of event a row is."""
    known = TYPE_COLUMNS.split()
    return [column for column in columns if simplify(column) in known]


def mixed_types(values: pl.Series) -> str | None:
    """A warning if a column holds several types of events; None if it holds one, or values of another kind."""
    counts = values.cast(pl.String).drop_nulls().value_counts(sort=True)
    if not 2 <= counts.height <= MOST_TYPES:
        return None
    shares = [f"{value!r} {count / len(values):.0%}" for value, count in counts.head(SHOWN).iter_rows()]
    more = f", {counts.height - SHOWN} more" if counts.height > SHOWN else ""
    return (
        f"the column {values.name!r} has {counts.height} types of events ({', '.join(shares)}{more}), and every row "
        f"counts as an event; to select some, give --where {values.name}=VALUE (where={{...}} in Python)"
    )
