"""`time_limit`: ends a block of code after so many seconds, in the middle of an epoch too."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SHORTEST = 1e-3  # zero seconds would switch the timer off
_AGAIN = 1.0  # seconds until the timer fires again, should the first exception be lost in a callback


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

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    earlier = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, _SHORTEST), _AGAIN)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, earlier)
