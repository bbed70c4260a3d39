"""`Cost`: the time and the memory of a whole process, measured from outside.

cost = run(["segue", "run", "pop", "ml-100k"])
print(cost.cpu_s, cost.peak_mb)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """What a process took from its start to its end.

    Attributes:
        cpu_s: seconds of user and system time, all threads and child processes together.
        wall_s: seconds.
        peak_mb: largest memory (`ru_maxrss`), in megabytes of 10^6 bytes.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float


def wait(process: subprocess.Popen[Any], begin: float) -> Cost:
    """Wait until a process ends that began at `begin` by `time.perf_counter`, and set its `returncode`."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    cpu_s, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss * bytes_per_unit / 1e6
    return Cost(cpu_s, time.perf_counter() - begin, peak_mb)


def run(command: Sequence[str], folder: Path | None = None, **streams: int) -> Cost:
    """Run a command in a folder to its end.

    Args:
        command: the program and its arguments.
        folder: its current folder; that of this process by default.
        streams: `stdout` and `stderr`, as of `subprocess.Popen`; by default those of this process.

    Raises:
        SystemExit: the command failed.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, **streams)
    cost = wait(process, begin)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return cost


def elsewhere(work: Callable[..., None], *args: object, **kwargs: object) -> None:
    """Do some work in a process of its own, so that this one stays small: the peak memory of a child starts at that of
    its parent.

    Raises:
        SystemExit: the work failed.
    """
    process = get_context("spawn").Process(target=work, args=args, kwargs=kwargs)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__}: exit code {process.exitcode}")
