"""Worker processes: messages, failures, crashes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from segue.errors import ConfigError
from segue.tuning.workers import WorkerPool, check_jobs


def echo(value: Any, *, send: Any) -> Any:
    send(f"got {value}")
    if value == "bad":
        raise ConfigError("bad value")
    if value == "bug":
        raise ZeroDivisionError("a bug\nof two lines")
    if value == "death":
        os.kill(os.getpid(), 9)
    return value


def test_results_failures_and_crashes_of_workers_arrive_as_messages() -> None:
    messages: dict[str, list[Any]] = {}
    values = ["good", "bad", "bug", "death"]
    with WorkerPool(2) as pool:
        while values or pool.running:
            while values and len(pool.running) < 2:
                pool.start(values[0], echo, values.pop(0))
            for message in pool.messages():
                messages.setdefault(message.name, []).append(message)
    received = {name: [(m.kind, m.content) for m in listed] for name, listed in messages.items()}
    assert received == {
        "good": [("progress", "got good"), ("done", "good")],
        "bad": [("progress", "got bad"), ("failed", "bad value")],
        "bug": [("progress", "got bug"), ("failed", "ZeroDivisionError: a bug")],
        "death": [
            ("progress", "got death"),
            ("failed", "its process ended unexpectedly (killed by signal 9, perhaps out of memory)"),
        ],
    }
    assert "test_workers.py" in messages["bug"][1].details
    with pytest.raises(ConfigError, match="jobs=0"):
        WorkerPool(0)


class Unreadable:
    """An argument that cannot be unpickled by the worker."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number", self.content)


def test_arguments_that_cannot_be_unpickled_fail_without_waiting() -> None:
    with WorkerPool(1) as pool:
        pool.start("x", echo, Unreadable(bytes(1 << 22)))
        (message,) = pool.messages()
        assert message.kind == "failed"
        assert pool.running == []


@pytest.mark.parametrize(("processors", "most"), [(None, 64), (8, 64), (48, 96)])
def test_the_number_of_processes_is_bounded(processors: int | None, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    check_jobs(1)
    check_jobs(most)
    for jobs in (0, most + 1):
        with pytest.raises(ConfigError, match=rf"jobs={jobs}: must be at least 1 and at most {most}$"):
            check_jobs(jobs)
