"""`in_time`: requests wait for the store, but not without limit: a server that hangs sends no answer, and no error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from segue.errors import DataError

STORE_SECONDS = 15.0  # that a request waits for the store
CHANGE_ADVICE = "the change may be made or not: send it again"
Value = TypeVar("Value")


async def in_time(answer: Awaitable[Value], advice: str = "ask again later") -> Value:
    """What the store answers. What has not begun when the time is over is not done.

    Args:
        answer: waits for the store.
        advice: what to do without an answer.

    Raises:
        DataError: there is no answer within `STORE_SECONDS`.
    """
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await answer
    except TimeoutError as error:
        raise DataError(f"no answer of the store within {STORE_SECONDS:g} seconds; {advice}") from error
