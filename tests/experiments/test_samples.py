"""Samples of some work go on to the whole of it; with a clock of the test, the arithmetic is exact."""

from __future__ import annotations

import sys
import time
from types import ModuleType

import pytest

from segue.experiments.samples import Sample, Samples, Time, take_samples


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "process_time", lambda: self.now)
        monkeypatch.setattr(time, "perf_counter", lambda: 2 * self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_work_with_a_fixed_part_is_extrapolated_exactly(clock: Clock) -> None:
    done = []

    def work(users: int) -> None:
        done.append(users)
        clock.now += 0.5 + 0.001 * 10 * users  # ten events a user

    samples = take_samples(work, lambda users: 10 * users, 100_000, limit=5.0)
    assert done == [64, 256, 1024]
    expected = samples.time(1_000_000)
    assert (expected.cpu_seconds, expected.seconds) == (pytest.approx(1000.5), pytest.approx(2001.0))


def test_all_of_it_is_done_if_there_is_time(clock: Clock) -> None:
    def work(users: int) -> None:
        clock.now += 0.001 * users**2

    samples = take_samples(work, int, 100, limit=100.0)
    assert [sample.size for sample in samples.taken] == [64, 100]
    assert samples.time(100).cpu_seconds == pytest.approx(10.0)


def test_finding_out_the_size_takes_no_time(clock: Clock) -> None:
    def work(users: int) -> None:
        clock.now += 0.001 * users

    def size(users: int) -> int:
        clock.now += 100.0
        return users

    assert take_samples(work, size, 100, limit=5.0).time(100).cpu_seconds == pytest.approx(0.1)


def test_no_sample_is_taken_after_the_limit(clock: Clock) -> None:
    def work(users: int) -> None:
        clock.now += 1.0

    assert [sample.size for sample in take_samples(work, int, 10_000, limit=0.5).taken] == [64]
    assert take_samples(work, int, 0, limit=0.5).time(0) == Time()


def test_what_loads_libraries_counts_once_and_not_in_proportion(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(users: int) -> None:
        if users > 64 and "loaded_late" not in sys.modules:
            monkeypatch.setitem(sys.modules, "loaded_late", ModuleType("loaded_late"))
            clock.now += 30.0
        clock.now += 0.01 * users

    samples = take_samples(work, int, 10_000, limit=4.0)
    assert samples.loading.cpu_seconds == pytest.approx(30.0)
    assert samples.time(10_000).cpu_seconds == pytest.approx(100.0)
    assert samples.taken[0].size == 256  # the sample before was taken in the slow form


def test_a_small_sample_that_was_delayed_or_fast_does_not_multiply() -> None:
    delayed = Samples([Sample(10, Time(5.0, 5.0), None), Sample(40, Time(2.0, 2.0), None)], Time())
    assert delayed.time(400).cpu_seconds == 2.0
    fast = Samples([Sample(38, Time(0.1, 0.1), None), Sample(40, Time(2.0, 2.0), None)], Time())
    assert fast.time(400).cpu_seconds == pytest.approx(20.0)  # in proportion, not 18 seconds a unit


def test_memory_goes_on_along_the_line_and_never_falls() -> None:
    growing = Samples([Sample(100, Time(), 300), Sample(400, Time(), 360)], Time())
    assert (growing.peak_mb(1000), growing.peak_mb(400)) == (480, 360)
    falling = Samples([Sample(100, Time(), 500), Sample(400, Time(), 400)], Time())
    assert falling.peak_mb(1000) == 400
    assert Samples([Sample(100, Time(), None)], Time()).peak_mb(1000) is None
