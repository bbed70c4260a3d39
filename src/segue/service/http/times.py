"""`Time`: a time in a request: ISO 8601 with a zone, within the years 1 to 9999.

`PastTime` is the time of what has happened. An event with a time to come would stay the newest of its user until then,
and hide all that the user really does in between.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from segue.event_store.clock import MAX_AHEAD

FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)  # in every zone, too


def not_a_number(value: object) -> object:
    """Refuse numbers: they could be seconds or milliseconds.

    Raises:
        ValueError: it is one.
    """
    is_text = isinstance(value, str) and not value.strip().lstrip("+-").replace(".", "").isdecimal()
    if not (is_text or isinstance(value, datetime)):
        raise ValueError("give a time as ISO 8601 with a zone, such as 2026-11-29T10:00:00Z")
    return value


Time = Annotated[AwareDatetime, Field(ge=FIRST, le=LAST), BeforeValidator(not_a_number)]


def not_to_come(value: datetime) -> datetime:
    """Refuse a time that is still to come by the clock of this machine.

    Raises:
        ValueError: it is; the message has both times.
    """
    now = datetime.now(UTC)
    if value > now + MAX_AHEAD:
        raise ValueError(
            f"{value.isoformat()} is to come, the clock of the service says {now.isoformat(timespec='seconds')}; give "
            "the time of the event with its zone, or none for the time of arrival"
        )
    return value


PastTime = Annotated[Time, AfterValidator(not_to_come)]
