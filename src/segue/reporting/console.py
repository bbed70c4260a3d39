"""The one place for what people read while they wait.

    stdout   answers: tables, recommendations, reports; a pipe gets them unadorned
    stderr   remarks and progress: a bar on a terminal, otherwise a plain line now and then

`SEGUE_QUIET=1` silences the remarks and the progress, never the answers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 30.0


@cache
def stdout() -> Console:
    """The console for answers."""
    from rich.console import Console

    return Console(emoji=False)


@cache
def stderr() -> Console:
    """The console for remarks and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def quiet() -> bool:
    """Whether `SEGUE_QUIET` asks for silence (anything but empty or 0)."""
    return os.environ.get("SEGUE_QUIET", "") not in ("", "0")


def say(message: str) -> None:
    """One remark on stderr, unless quiet. Square brackets are plain text."""
    if not quiet():
        stderr().print(message, markup=False, soft_wrap=True)


@runtime_checkable
class Bar(Protocol):
    """What `progress` hands out."""

    def advance(self, amount: float = 1) -> None:
        """`amount` more units are done."""

    def note(self, text: str) -> None:
        """A few words on where things stand, shown beside the bar."""


class _Silent:
    def advance(self, amount: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class _Lines:
    """Progress where there is no terminal: a line when enough time has gone by since the last."""

    def __init__(self, title: str, total: float | None, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done: float = 0
        self.text = ""
        self.last = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            of = "" if self.total is None else f" of {self.total:,.0f}"
            say(f"{self.title}: {self.done:,.0f}{of} {self.unit} {self.text}".rstrip())

    def note(self, text: str) -> None:
        self.text = text


class _Drawn:
    """Progress on a terminal."""

    def __init__(self, drawing: Progress, task: TaskID) -> None:
        self.drawing, self.task = drawing, task

    def advance(self, amount: float = 1) -> None:
        self.drawing.advance(self.task, amount)

    def note(self, text: str) -> None:
        self.drawing.update(self.task, text=text)


@contextmanager
def progress(title: str, total: float | None = None, *, unit: str = "steps") -> Iterator[Bar]:
    """A bar for work of `total` units (None: unknown), gone when the work is done.

    `unit="bytes"` shows sizes and speed. Off a terminal it becomes a plain line every half minute at most.

    >>> with progress("epochs", total=3) as bar:
    ...     for loss in (0.7, 0.6, 0.5):
    ...         bar.note(f"loss {loss}")
    ...         bar.advance()
    """
    if quiet():
        yield _Silent()
    elif not stderr().is_terminal or stderr().is_dumb_terminal:
        yield _Lines(title, total, unit)
    else:
        with _drawing(unit, counted=total is not None) as drawing:
            yield _Drawn(drawing, drawing.add_task(title, total=total, text=""))


def _drawing(unit: str, *, counted: bool) -> Progress:
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=30)]
    if unit == "bytes":
        columns += [DownloadColumn(), TransferSpeedColumn()]
    elif counted:
        columns += [MofNCompleteColumn(), TextColumn(escape(unit))]
    columns.append(TimeRemainingColumn(compact=True) if counted else TimeElapsedColumn())
    columns.append(TextColumn("{task.fields[text]}", markup=False))
    return Progress(*columns, console=stderr(), transient=True)
