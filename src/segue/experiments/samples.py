"""`take_samples`: the time of a piece of work on a log, from its time for a few users.

    users       64     256    1,024   ...   all          each sample is of four times as many users as the one before;
    CPU s       .02    .06     .21          2.3          after `limit` seconds, the line through the last two goes on

The first time, some work loads libraries, which a later call does not. Such a sample is taken again, and what it took
more counts once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segue.resource_usage import PeakMemory, Stopwatch, stopwatch

FIRST, GROWTH = 64, 4  # users of the first sample, and how many times as many the next one has


@dataclass(frozen=True)
class Time:
    """Processor time and wall time, in seconds."""

    cpu_seconds: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, watch: Stopwatch) -> Time:
        """What a stopwatch has measured."""
        return cls(watch.cpu_seconds, watch.seconds)

    def __add__(self, other: Time) -> Time:
        return Time(self.cpu_seconds + other.cpu_seconds, self.seconds + other.seconds)

    def __mul__(self, factor: float) -> Time:
        return Time(self.cpu_seconds * factor, self.seconds * factor)

    def beyond(self, other: Time) -> Time:
        """What this is longer than another time; never below 0."""
        return Time(max(0.0, self.cpu_seconds - other.cpu_seconds), max(0.0, self.seconds - other.seconds))

    def at_most(self, other: Time) -> Time:
        """The shorter one of both."""
        return Time(min(self.cpu_seconds, other.cpu_seconds), min(self.seconds, other.seconds))


@dataclass(frozen=True)
class Sample:
    """What a part of some work took.

    Attributes:
        size: how much of it was done, such as a number of events.
        time: what that took.
        peak_mb: peak memory of the process meanwhile; None if it is unknown.
    """

    size: int
    time: Time
    peak_mb: int | None


@dataclass(frozen=True)
class Samples:
    """Samples of some work, the smallest first.

    Attributes:
        taken: the samples.
        loading: what libraries took that were loaded meanwhile.
    """

    taken: Sequence[Sample]
    loading: Time

    def time(self, size: int) -> Time:
        """The time of work of another size: on a line through the last two samples, and at most in proportion."""
        last = self.taken[-1]
        proportional = last.time * (size / max(last.size, 1))
        if size <= last.size or len(self.taken) < 2 or self.taken[-2].size >= last.size:
            return proportional
        before = self.taken[-2]
        more = last.time.beyond(before.time) * ((size - last.size) / (last.size - before.size))
        return (last.time + more).at_most(proportional)

    def peak_mb(self, size: int) -> int | None:
        """The peak memory of the process with work of another size: on a line through the last two samples."""
        last = self.taken[-1]
        if last.peak_mb is None or len(self.taken) < 2 or size <= last.size:
            return last.peak_mb
        before = self.taken[-2]
        mb_of_one = (last.peak_mb - (before.peak_mb or 0)) / max(last.size - before.size, 1)
        return round(last.peak_mb + max(0.0, mb_of_one) * (size - last.size))


def take_samples(work: Callable[[int], object], size: Callable[[int], int], num_users: int, limit: float) -> Samples:
    """Do some work for more and more users, or other units of work.

    Args:
        work: does it for a number of users.
        size: how much work that is; it is not timed.
        num_users: how many there are; the last sample is of all of them, if there is time.
        limit: CPU seconds after which no further sample is taken.
    """
    taken: list[Sample] = []
    loading, spent, users = Time(), 0.0, min(FIRST, num_users)
    while True:
        sample, has_loaded = _take(work, size, users)
        if has_loaded:
            again, _ = _take(work, size, users)
            loading += sample.time.beyond(again.time)
            taken, sample = [], again
        taken.append(sample)
        spent += sample.time.cpu_seconds
        if users == num_users or spent >= limit:
            return Samples(taken, loading)
        users = min(num_users, GROWTH * users)


def _take(work: Callable[[int], object], size: Callable[[int], int], users: int) -> tuple[Sample, bool]:
    """A sample, and whether modules were imported for it."""
    with PeakMemory() as memory, stopwatch() as watch:
        modules = len(sys.modules)
        work(users)
        has_loaded = len(sys.modules) > modules
    return Sample(size(users), Time.of(watch), memory.mb), has_loaded
