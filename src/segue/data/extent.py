"""`Extent`: how much of a log a model was trained on: the number of events, and the time of the newest one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from segue.data.log import Log
from segue.data.time_units import TICKS_PER_SECOND
from segue.json_files import Whole, read_strictly


@read_strictly
@dataclass(frozen=True)
class Extent:
    """The number of events of a part of a log, and its newest event.

    Attributes:
        part: the part in words, such as "training".
        events: number of events.
        newest: time of the newest event, in the unit of the log; None if the log has no times.
        newest_date: the same as an ISO date and time in UTC; None if the times are no dates.
    """

    part: str
    events: Whole
    newest: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    newest_date: str | None = None

    @classmethod
    def of(cls, rows: Log, part: str) -> Extent:
        """The extent of the rows of a log or of a view of it.

        >>> from segue.data import synthetic
        >>> Extent.of(synthetic.cycle(num_users=3, num_items=5, length=4), "whole log").events
        12
        """
        if rows.time is None or not len(rows):
            return cls(part, len(rows))
        times = rows.column(rows.time)
        newest, unit = int(times.max()), rows.time_unit
        if unit is None:
            return cls(part, len(rows), newest)
        date = datetime.fromtimestamp(newest // TICKS_PER_SECOND[unit], UTC)
        return cls(part, len(rows), newest, f"{date:%Y-%m-%dT%H:%M:%SZ}")

    @property
    def newest_text(self) -> str:
        """The time of the newest event for people; empty if it is unknown.

        >>> Extent("training", 2, 889_393_978, "1998-03-08T21:52:58Z").newest_text
        '1998-03-08 21:52:58'
        """
        if self.newest_date is not None:
            return self.newest_date.replace("T", " ").removesuffix("Z")
        return "" if self.newest is None else f"time {self.newest:,}"

    def describe(self, total: int) -> str:
        """The extent in a few words, beside the number of events of the whole log.

        >>> Extent("training", 60, 100).describe(72)
        '60 of 72 events, the newest at time 100'
        """
        of = f"{self.events:,} of {total:,}" if self.events < total else f"all {total:,}"
        newest = f", the newest at {self.newest_text}" if self.newest_text else ""
        return f"{of} events{newest}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dict(vars(self))
