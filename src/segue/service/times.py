"""`Time`: a time in a request: ISO 8601 with a zone, within the years 1 to 9999."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)  # in every zone, too


def not_a_number(value: object) -> object:
    """Refuse numbers, of which nobody can tell whether they are seconds or milliseconds.

    Raises:
        ValueError: it is one.
    """
    is_text = isinstance(value, str) and not value.strip().lstrip("+-").replace(".", "").isdecimal()
    if not (is_text or isinstance(value, datetime)):
        raise ValueError("give a time as ISO 8601 with a zone, such as 2026-11-29T10:00:00Z")
    return value


Time = Annotated[AwareDatetime, Field(ge=FIRST, le=LAST), BeforeValidator(not_a_number)]
