"""`SequentialPool`: in place of `WorkerPool`, runs the work in this process, when its messages are waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from segue.errors import DataError, TrainingError
from segue.tuning.workers import Message


class SequentialPool:
    """A `WorkerPool` without processes; `started` records the work."""

    started: ClassVar[list[tuple[str, str, float | None]]] = []

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.waiting: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []

    def __enter__(self) -> SequentialPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.waiting.clear()

    @property
    def running(self) -> list[str]:
        return [name for name, _, _ in self.waiting]

    def start(self, name: str, work: Callable[..., Any], *arguments: Any) -> None:
        assert len(self.waiting) < self.jobs
        self.started.append((name, work.__name__, arguments[0].seconds))
        self.waiting.append((name, work, arguments))

    def stop(self, name: str) -> None:
        self.waiting = [waiting for waiting in self.waiting if waiting[0] != name]

    def messages(self, timeout: float | None = None) -> Iterator[Message]:
        name, work, arguments = self.waiting[0]
        sent: list[str] = []
        try:
            last = Message(name, "done", work(*arguments, send=sent.append))
        except (DataError, TrainingError) as error:
            last = Message(name, "failed", str(error))
        except RuntimeError as error:
            last = Message(name, "failed", f"RuntimeError: {error}", "Traceback: here")
        del self.waiting[0]
        return iter([*(Message(name, "progress", text) for text in sent), last])
