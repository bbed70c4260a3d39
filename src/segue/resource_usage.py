"""What a part of the program takes: wall time, processor time, and the peak memory of the process meanwhile.

with stopwatch() as watch, PeakMemory() as memory:
    model.fit(log)
print(watch.cpu_seconds, memory.mb)
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

SAMPLE_EVERY = 0.02  # seconds; reading the memory takes some 30 microseconds


@dataclass
class Stopwatch:
    """The time of a block; 0 until it ends.

    Attributes:
        seconds: wall time.
        cpu_seconds: processor time of all threads of this process.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure the wall time and the processor time of a block."""
    watch = Stopwatch()
    wall, cpu = time.perf_counter(), time.process_time()
    yield watch
    watch.seconds, watch.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu


class PeakMemory:
    """The peak resident memory of this process within a block.

    The operating system keeps the peak since the process began. If the block raises it, that is the peak of the block,
    exactly. Otherwise it is the largest of samples, which a thread takes while the block runs.
    """

    def __init__(self) -> None:
        self._before, self._sampled = peak_memory_mb(), memory_mb()
        self._mb: int | None = None  # when the block has ended
        self._ended = Event()
        self._thread = Thread(target=self._take_samples, name="peak memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        if self._sampled is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._sampled is not None:
            self._thread.join()
            self._sample()
        self._mb = self._so_far()

    @property
    def mb(self) -> int | None:
        """The peak of the block in MB, before its end that so far; None where the system does not report it."""
        return self._mb if self._ended.is_set() else self._so_far()

    def _so_far(self) -> int | None:
        now = peak_memory_mb()
        if now is not None and self._before is not None and now > self._before:
            return now
        return self._sampled

    def _take_samples(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY):
            self._sample()

    def _sample(self) -> None:
        self._sampled = max(self._sampled or 0, memory_mb() or 0)


def total(*times: float | None) -> float | None:
    """The sum of several times; None if one of them is unknown."""
    known = [seconds for seconds in times if seconds is not None]
    return sum(known) if len(known) == len(times) else None


def largest(*peaks: int | None) -> int | None:
    """The largest of several peaks; None if one of them is unknown."""
    known = [peak for peak in peaks if peak is not None]
    return max(known) if known and len(known) == len(peaks) else None


def memory_mb() -> int | None:
    """The resident memory of this process now, in MB; None where it is unknown."""
    return _status_mb("VmRSS")


def peak_memory_mb() -> int | None:
    """The peak resident memory of this process in MB; None where the operating system does not report it."""
    # getrusage is the second choice: on Linux it also counts the process that this one was forked from
    return _status_mb("VmHWM") or _peak_memory_mb_by_getrusage()


def _status_mb(name: str) -> int | None:
    """A value of Linux's status file of this process, in MB; None elsewhere."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6) if found else None


def _peak_memory_mb_by_getrusage() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_per_unit / 1e6)
