"""Reads the events of a store, which a service fills, as a table like any other.

sqlite:///segue-events.db                   the file of a service on this machine
postgresql://user:password@host/database    the database that services share

The columns are user, item, timestamp (microseconds since 1970), event (the type), rating (the value) and, as text, the
event features that are asked for. There is no event if no row has a type, and no rating if a row has no value, unless
they are asked for: a log with ratings goes on with clicks. The type of events that a service copied from the log of its
model is "imported". Rows are in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

from segue.data.event_features import category_name
from segue.data.readers.table import Table, polars_table
from segue.errors import DataError

SCHEMA: Mapping[str, Any] = {
    **{"user": pl.String, "item": pl.String, "timestamp": pl.Int64, "event": pl.String, "rating": pl.Float64}
}


def store_table(url: str, needed: Collection[str] = ()) -> Table:
    """The events of a store.

    Args:
        url: its address.
        needed: columns that stay, even if no row has a type or some have no value; others are features of events.

    Raises:
        DataError: the extra `serve` is not installed, the store cannot be opened, or it has no events.
    """
    frame = _events(url, [name for name in needed if name and name not in SCHEMA])
    if frame.is_empty():
        raise DataError(f"{url}: the store has no events yet")
    unused = [name for name, is_unused in _unused(frame).items() if is_unused and name not in needed]
    return polars_table(frame.drop(unused).lazy(), url)


def _events(url: str, features: Sequence[str]) -> pl.DataFrame:
    try:
        from segue.event_store.store import open_store
    except ImportError as error:
        raise DataError(
            f'{url}: reading a store needs the extra serve: pip install "segue[serve]" ({error})'
        ) from error
    schema = {**SCHEMA, **dict.fromkeys(features, pl.String)}
    store = open_store(url, create=False)
    try:
        blocks = [
            pl.DataFrame([(*tuple(row)[:5], *_texts(row.features, features)) for row in block], schema, orient="row")
            for block in store.events.blocks()
        ]
    except (TypeError, pl.exceptions.PolarsError) as error:  # SQLite keeps values of any type
        raise DataError(f"{url}: an event has a value of another type; restore the store from its backup") from error
    finally:
        store.close()
    events = pl.concat(blocks) if blocks else pl.DataFrame(schema=schema)
    return events.drop([name for name in features if events[name].null_count() == len(events)])


def _texts(of_event: Mapping[str, Any] | None, names: Sequence[str]) -> list[str | None]:
    """Some features of an event as text; None where there is none."""
    values = [(of_event or {}).get(name) for name in names]
    return [None if value is None else category_name(value) for value in values]


def _unused(frame: pl.DataFrame) -> dict[str, bool]:
    """For each column that events may lack, whether it is left out."""
    from segue.event_store.event import IMPORTED

    return {"event": frame["event"].is_in(["", IMPORTED]).all(), "rating": frame["rating"].is_null().any()}
