"""`time_limit`: ends a block of code after so many seconds, in the middle of an epoch too.

The block is ended by an exception that a timer raises. Two kinds of code are never interrupted: clean-up that runs on
account of this exception (`finally`, `except`, and the end of `with`), and blocks of `uninterrupted`.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SHORTEST = 1e-3  # zero seconds would switch the timer off
_AGAIN = 1.0  # seconds until the timer fires again, if it came at a bad moment or its exception was lost in a callback
_protected: list[object] = []  # an entry for each running block of `uninterrupted`


class TimeIsUp(BaseException):
    """Raised in a block of `time_limit` whose time is up."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeIsUp` in the block after so many seconds of wall time.

    Outside the main thread, and on systems without timer signals (Windows), the block runs to its end.

    Args:
        seconds: the limit; infinity for none.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if math.isinf(seconds) or not in_main_thread or not hasattr(signal, "setitimer"):
        yield
        return
    has_ended = False

    def stop(number: int, frame: FrameType | None) -> None:
        if not (has_ended or _protected or _is_handling_the_end()):
            raise TimeIsUp

    earlier = signal.signal(signal.SIGALRM, stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, _SHORTEST), _AGAIN)
            yield
        finally:  # what fires before the next line is handled by the outer `finally`
            has_ended = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, earlier)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no `time_limit` end this block, which must be short: a limit that passes meanwhile counts after it."""
    _protected.append(None)
    try:
        yield
    finally:
        _protected.pop()


def _is_handling_the_end() -> bool:
    """Whether the interrupted code runs on account of `TimeIsUp`, or of an error that was raised meanwhile."""
    error = sys.exception()
    while error is not None and not isinstance(error, TimeIsUp):
        error = error.__context__
    return error is not None
