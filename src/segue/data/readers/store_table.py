"""Reads the events of a store, which a service fills, as a table like any other.

sqlite:///segue-events.db                   the file of a service on this machine
postgresql://user:password@host/database    the database that services share

The columns are user, item, timestamp (microseconds since 1970), event (the type) and rating (the value). There is no
event if no row has a type, and no rating if a row has no value, unless they are asked for: a log with ratings goes on
with clicks. The type of events that a service copied from the log of its model is "imported". Rows are in the order of
arrival.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from segue.data.readers.table import Table, polars_table
from segue.errors import DataError


def store_table(url: str, needed: Collection[str] = ()) -> Table:
    """The events of a store.

    Args:
        url: its address.
        needed: columns that stay, even if no row has a type or some have no value.

    Raises:
        DataError: the extra `serve` is not installed, the store cannot be opened, or it has no events.
    """
    frame = _events(url)
    if frame.is_empty():
        raise DataError(f"{url}: the store has no events yet")
    unused = [name for name, is_unused in _unused(frame).items() if is_unused and name not in needed]
    return polars_table(frame.drop(unused).lazy(), url)


def _events(url: str) -> pl.DataFrame:
    try:
        from segue.event_store.store import open_store
    except ImportError as error:
        raise DataError(
            f'{url}: reading a store needs the extra serve: pip install "segue[serve]" ({error})'
        ) from error
    store = open_store(url, create=False)
    try:
        schema = {"user": pl.String, "item": pl.String, "timestamp": pl.Int64, "event": pl.String, "rating": pl.Float64}
        blocks = [
            pl.DataFrame([tuple(row)[:5] for row in block], schema, orient="row") for block in store.events.blocks()
        ]
    except (TypeError, pl.exceptions.PolarsError) as error:  # SQLite keeps values of any type
        raise DataError(f"{url}: an event has a value of another type; restore the store from its backup") from error
    finally:
        store.close()
    return pl.concat(blocks) if blocks else pl.DataFrame(schema=schema)


def _unused(frame: pl.DataFrame) -> dict[str, bool]:
    """For each column that events may lack, whether it is left out."""
    from segue.event_store.event import IMPORTED

    return {"event": frame["event"].is_in(["", IMPORTED]).all(), "rating": frame["rating"].is_null().any()}
