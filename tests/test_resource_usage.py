"""Time and memory of a block: what is known is measured, and what is unknown stays unknown."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from segue import resource_usage
from segue.resource_usage import PeakMemory, largest, memory_mb, peak_memory_mb, stopwatch, total


def test_a_stopwatch_measures_wall_and_processor_time_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, cpu = iter((10.0, 13.0)), iter((1.0, 3.0))
    monkeypatch.setattr(time, "perf_counter", lambda: next(wall))
    monkeypatch.setattr(time, "process_time", lambda: next(cpu))
    with stopwatch() as watch:
        assert (watch.seconds, watch.cpu_seconds) == (0.0, 0.0)
    assert (watch.seconds, watch.cpu_seconds) == (3.0, 2.0)


def test_peak_memory_is_in_megabytes() -> None:
    memory = peak_memory_mb()
    assert memory is None or 50 < memory < 50_000


@pytest.mark.skipif(memory_mb() is None, reason="the operating system does not report the memory")
def test_a_block_that_raises_the_peak_of_the_process_has_that_peak() -> None:
    code = """
import numpy as np
from segue.resource_usage import PeakMemory, peak_memory_mb

before = peak_memory_mb()
with PeakMemory() as memory:
    np.ones((before + 200) * 125_000)  # 8 bytes each
print(before, memory.mb, peak_memory_mb())
"""  # in a process of its own, since it takes more than the process has ever taken
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    before, within, peak = map(int, printed.split())
    assert within == peak
    assert before + 200 <= within < 2 * before + 400


def test_the_peak_of_a_block_stays_when_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"VmHWM": 900, "VmRSS": 300}
    monkeypatch.setattr(resource_usage, "_status_mb", lambda name: now[name])
    with PeakMemory() as memory:
        now["VmHWM"] = 950
        assert memory.mb == 950
    now["VmHWM"] = 2000
    assert memory.mb == 950


def test_a_later_block_has_its_own_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"VmHWM": 900, "VmRSS": 300}
    monkeypatch.setattr(resource_usage, "_status_mb", lambda name: now[name])
    monkeypatch.setattr(resource_usage, "SAMPLE_EVERY", 0.001)
    taken = threading.Event()
    sample = PeakMemory._sample

    def sampled(self: PeakMemory) -> None:
        sample(self)
        if now["VmRSS"] == 500:
            taken.set()

    monkeypatch.setattr(PeakMemory, "_sample", sampled)
    with PeakMemory() as memory:
        now["VmRSS"] = 500
        assert taken.wait(10)
        now["VmRSS"] = 400
    assert memory.mb == 500
    with PeakMemory() as memory:
        now["VmHWM"] = 950
    assert memory.mb == 950


def test_no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), PeakMemory():
        raise KeyboardInterrupt
    assert threading.active_count() == before


def test_what_the_system_does_not_report_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown: Any = lambda *_: None  # noqa: E731
    monkeypatch.setattr(resource_usage, "_status_mb", unknown)
    monkeypatch.setattr(resource_usage, "_peak_memory_mb_by_getrusage", unknown)
    with PeakMemory() as memory:
        pass
    assert memory.mb is None


def test_sums_and_maxima_with_an_unknown_part_are_unknown() -> None:
    assert (total(1.0, 2.5), total(1.0, None), total()) == (3.5, None, 0)
    assert (largest(3, 7), largest(3, None), largest(None)) == (7, None, None)
