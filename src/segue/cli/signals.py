"""Signals that ask a process to end: `kill`, a time limit of a cluster, a terminal that closes.

They end a command as Ctrl-C does: what is half done is cleaned up, and one message says so. The exit code is the number
of the signal, plus 128.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


class Terminated(KeyboardInterrupt):
    """A signal asked the process to end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def prepare_signals() -> None:
    """Raise `Terminated` when a signal asks this process to end. One that is ignored, as by nohup, stays so.

    A second signal ends the process at once. Under torchrun nothing is changed: a process that waits for another one
    would not see the exception.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated(number)
