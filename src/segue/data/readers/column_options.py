"""`ColumnOptions`: what is said of the columns and rows of a source, and the log that is read accordingly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.data.item_features import CATEGORY
from segue.data.log import Log
from segue.data.readers.event_types import select_events, with_values
from segue.data.readers.events import read_events
from segue.data.readers.roles import guess_column
from segue.data.readers.source import open_table
from segue.data.readers.table import Table
from segue.data.readers.type_column import TypeColumn
from segue.errors import DataError
from segue.event_store.address import is_store_url

NEVER_GUESSED = "session", "impressions"


@dataclass(frozen=True, kw_only=True)
class ColumnOptions:
    """The arguments of `read_log` that choose columns or rows of a source; it describes them.

    Attributes:
        roles: role -> column, for user, item, time, rating, split, session and impressions; None if it is not named.
        event: the column of the types of events; None if it is not named.
        events: the types that are read; None if they are not named.
        event_features: the columns of event features.
        time_format: the format of times in text.
        drop_empty: whether rows without a user, an item or a time are left out.
        where: column -> the value, or the values, of the rows that are read.
    """

    roles: Mapping[str, str | None]
    event: str | None
    events: Sequence[str] | None
    event_features: Sequence[str]
    time_format: str | None
    drop_empty: bool
    where: Mapping[str, Any]

    def check_none(self, source: Any) -> None:
        """Refuse all of them for a saved log, whose columns and rows were chosen when it was read.

        Raises:
            DataError: one is set.
        """
        options: dict[str, Any] = {
            **self.roles,
            "where": self.where or None,
            "event": self.event,
            "events": self.events,
        }
        options |= {"event_features": self.event_features or None, "time_format": self.time_format}
        options |= {"drop_empty": self.drop_empty or None}
        # a saved log can do without the split that it brings
        given = [name for name, value in options.items() if value is not None and (name, value) != ("split", "")]
        if given:
            raise DataError(f"{source}: a saved log has its columns already; leave out {', '.join(given)}")

    def read(
        self, source: Any, *, delimiter: str | None, header: bool | None, needs_ratings: bool, verify: bool
    ) -> tuple[Log, bool]:
        """The events of a source, and whether their times are times: otherwise they only say the order.

        Args:
            source: anything but a saved log; see `open_table`.
            delimiter: the field separator of a text file; None to detect it.
            header: whether the first line of a text file is a header; None to detect it.
            needs_ratings: whether a column of ratings without a name is guessed, and must have a value in each row.
            verify: whether the hashes of a saved log are to be verified, which is an error here.

        Raises:
            DataError: the source cannot be read as a log.
        """
        if self.roles["impressions"] and is_store_url(source):
            raise DataError(f"{source}: a store keeps no impressions; leave out impressions (--impressions-col)")
        table, types = self._open(source, delimiter, header, needs_ratings=needs_ratings)
        if verify:
            raise DataError(f"{table.where}: no saved log, so it has no hashes to verify; leave out verify (--verify)")
        named = {**self.roles}
        for role in NEVER_GUESSED:
            named[role] = named[role] or ""
        if needs_ratings and named["rating"] is None:
            named["rating"] = guess_column("rating", table.columns)
        return read_events(
            table,
            named,
            _stem(source),
            self.time_format,
            types=types,
            features=list(self.event_features),
            drop_empty=self.drop_empty,
        )

    def _open(
        self, source: Any, delimiter: str | None, header: bool | None, *, needs_ratings: bool
    ) -> tuple[Table, TypeColumn]:
        """The rows that fit the conditions and have one of the types that are read, and the column of the types."""
        rating = self.roles["rating"] or ("rating" if needs_ratings else "")
        features = [name.removesuffix(CATEGORY) for name in self.event_features]
        event = self.event or ("event" if self.events else "")  # as a store calls it
        needed = {*self.where, rating, event, *features}
        table = open_table(source, delimiter=delimiter, header=header, needed=needed)
        types = TypeColumn.choose(self.event, self.events, table.columns, table.where)
        table = select_events(table, types.conditions(self.where))
        if is_store_url(source):  # which keeps ratings and clicks together
            table = with_values(table, "rating")
        return table, types


def _stem(source: Any) -> str:
    """The name of a log that gets none: that of its file, without the suffixes."""
    if is_store_url(source):
        return "store"
    if not isinstance(source, str | Path):
        return "log"
    return Path(source).resolve().name.lstrip(".").partition(".")[0] or str(source)
