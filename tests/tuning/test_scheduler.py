"""The scheduler of a comparison with a clock of the test: whose time is up, what is counted, who goes first."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segue.tuning.budget import Budget
from segue.tuning.scheduler import GRACE, READY, Progress, Scheduler, refit_and_test_in_worker, tune_in_worker
from segue.tuning.trial import Trial
from segue.tuning.workers import Message

TRIAL = Trial(0, {}, "complete", 0.1)


class Records:
    """A pool, a bar and a state that write down what they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spent = folder, dict[str, float]()
        self.workers: list[str] = []
        self.stopped: list[str] = []
        self.works: list[Any] = []
        self.notes: list[str] = []
        self.advanced: list[int] = []

    @property
    def running(self) -> list[str]:
        return list(self.workers)

    def start(self, name: str, work: Any, *arguments: Any) -> None:
        self.workers.append(name)
        self.works.append((name, work))

    def stop(self, name: str) -> None:
        self.workers.remove(name)
        self.stopped.append(name)

    def add(self, name: str, seconds: float) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + seconds

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, number: int) -> None:
        self.advanced.append(number)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`now.value` is what `time.monotonic` tells."""
    clock = SimpleNamespace(value=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.value)
    return clock


@pytest.fixture
def made(tmp_path: Path, now: Any) -> tuple[Scheduler, Records]:
    """Models a, b, c; two processes; three trials for each, of which those of b have a metric; 300 seconds."""
    records = Records(tmp_path)

    def search(name: str, seconds: float | None) -> Any:
        trials = SimpleNamespace(trials=lambda: [TRIAL] if name == "b" else [])
        return SimpleNamespace(max_trials=3, study=lambda log, folder: trials)

    budget = Budget(300.0, 2, started=now.value, spent=0.0)
    state: Any = records
    scheduler = Scheduler("abc", search, SimpleNamespace(), state, budget=budget)  # type: ignore[arg-type]
    return scheduler, records


def test_trials_advance_the_bar_until_all_of_a_model_have(made: tuple[Scheduler, Records], now: Any) -> None:
    """Trials that are continued are reported again."""
    scheduler, records = made
    scheduler.progress["a"] = Progress(3, share=20.0, granted=20.0)
    bar: Any = records
    scheduler._handle_progress(Message("a", "progress", READY), bar)
    assert scheduler.progress["a"].end == now.value + 20.0 + GRACE
    assert records.notes == []
    for trials in (1, 0, 1, 1, 1, 1):
        scheduler._handle_progress(Message("a", "progress", ("epoch 1", trials)), bar)
    assert records.notes == ["a: epoch 1"] * 6
    assert sum(records.advanced) == 3
    scheduler.progress["a"].share = 1000.0
    scheduler._handle_progress(Message("a", "progress", READY), bar)
    assert scheduler.progress["a"].end == scheduler.budget.deadline


def test_workers_whose_time_is_up_are_ended_and_no_others(
    made: tuple[Scheduler, Records], now: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler, records = made
    pool: Any = records
    for name, end in (("a", 130.0), ("b", 130.0), ("c", 131.0)):
        records.workers.append(name)
        scheduler.progress[name] = Progress(3, 10.0, 10.0, started=100.0, end=end)
    assert scheduler._patience() == 30.0
    now.value = 129.9
    scheduler._end_late_workers(pool)
    assert records.stopped == []
    now.value = 130.0
    assert scheduler._patience() == 0.0
    scheduler._end_late_workers(pool)
    assert records.stopped == ["a", "b"]
    assert records.running == ["c"]
    assert records.spent == {"a": 30.0, "b": 30.0}
    assert scheduler.to_test == ["b"], "its trial has a metric, and remains"
    assert scheduler.progress["b"].trials == [TRIAL]
    reason = "no validation within the 30 s that it had; give more with --minutes"
    assert {name: entry.reason for name, entry in scheduler.finished.items()} == {"a": reason}
    assert scheduler._patience() == 1.0, "until the time of c is up"


def test_a_best_model_is_tested_before_another_is_tuned(made: tuple[Scheduler, Records], now: Any) -> None:
    scheduler, records = made
    pool: Any = records
    scheduler._start_workers(pool)
    assert records.works == [("a", tune_in_worker), ("b", tune_in_worker)], "as many as there are processes"
    assert scheduler.progress["a"].share == 2 * 300.0 / 3
    records.workers.remove("a")
    scheduler._tuned("a", [TRIAL])
    now.value += 50.0
    scheduler._start_workers(pool)
    assert records.works[2:] == [("a", refit_and_test_in_worker)]
    assert (scheduler.progress["a"].started, scheduler.progress["a"].end) == (150.0, scheduler.budget.deadline)
    assert scheduler.to_tune == ["c"]
