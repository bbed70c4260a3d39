"""Terminal output: results on stdout, messages and progress on stderr.

    stdout   results: tables, recommendations, reports; without colours if it is not a terminal
    stderr   messages and progress: a progress bar on a terminal, otherwise a line of text from time to time

`SEGUE_QUIET=1` suppresses messages and progress, but not results.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BEFORE_FIRST_LINE = 5.0
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
SIZE = "[1-9][0-9]{0,4}"  # of a terminal, in characters
WIDTH = 80  # of results that do not go to a terminal


@cache
def stdout() -> Console:
    """The console for results.

    Without a terminal it is `WIDTH` characters wide, so that a file does not depend on the window of the moment; the
    environment variable `COLUMNS` sets another width.
    """
    from rich.console import Console

    is_terminal = sys.stdout.isatty() or re.fullmatch(SIZE, os.environ.get("COLUMNS", "")) is not None
    return Console(emoji=False, width=None if is_terminal else WIDTH)


@cache
def stderr() -> Console:
    """The console for messages and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def quiet() -> bool:
    """Whether `SEGUE_QUIET` is set to anything other than empty or 0, or this is not the first process of torchrun."""
    return os.environ.get("SEGUE_QUIET", "") not in ("", "0") or os.environ.get("RANK", "0") != "0"


def printable(text: str) -> str:
    """The text with a replacement character for each control character, which could change what a terminal shows.

    >>> printable("two\\tcolumns\\x1b[2J")
    'two\\tcolumns\ufffd[2J'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def say(message: str) -> None:
    """Print a message on stderr, unless quiet. Square brackets are plain text, not markup."""
    if not quiet():
        stderr().print(printable(message), markup=False, soft_wrap=True)


@runtime_checkable
class Bar(Protocol):
    """A progress bar, as `progress` returns it."""

    def advance(self, amount: float = 1) -> None:
        """Add `amount` finished units."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""


class _NoProgress:
    def advance(self, amount: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class _TextProgress:
    """Progress without a terminal: a line of text from time to time, with the time that is left.

    The time that is left follows from the mean time of the units so far. With `seconds`, it is at most what remains of
    them.
    """

    def __init__(
        self, title: str, total: float | None, unit: str, *, at_most: bool, done: float, seconds: float | None
    ) -> None:
        self.title, self.total, self.unit, self.at_most, self.seconds = title, total, unit, at_most, seconds
        self.of = "" if total is None else f" of {'at most ' if at_most else ''}{total:,.0f}"
        self.first = self.done = done
        self.text = ""
        self.started = time.monotonic()
        self.due = self.started + SECONDS_BEFORE_FIRST_LINE

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        now = time.monotonic()
        if now >= self.due and self.done != self.total:
            self.due = now + SECONDS_BETWEEN_LINES
            note = f", {self.text}" if self.text else ""
            say(f"{self.title}: {self.done:,.0f}{self.of} {self.unit}{note}{self._time_left(now - self.started)}")

    def _time_left(self, elapsed: float) -> str:
        if self.total is None or self.done <= self.first:
            return ""
        left = elapsed / (self.done - self.first) * (self.total - self.done)
        if self.seconds is not None:
            left = min(left, max(self.seconds - elapsed, 0.0))
        return f"; {'at most ' if self.at_most else ''}{format_duration(left)} left"

    def note(self, text: str) -> None:
        self.text = text


def format_duration(seconds: float) -> str:
    """A time in seconds, minutes or hours.

    >>> [format_duration(seconds) for seconds in (8.2, 95, 7260)]
    ['8 s', '1 min 35 s', '2 h 1 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


class _BarProgress:
    """A progress bar on a terminal."""

    def __init__(self, rich_progress: Progress, task: TaskID) -> None:
        self.rich_progress, self.task = rich_progress, task

    def advance(self, amount: float = 1) -> None:
        self.rich_progress.advance(self.task, amount)

    def note(self, text: str) -> None:
        self.rich_progress.update(self.task, text=text)


@contextmanager
def progress(
    title: str,
    total: float | None = None,
    *,
    unit: str = "steps",
    at_most: bool = False,
    done: float = 0,
    seconds: float | None = None,
) -> Iterator[Bar]:
    """Show progress while the block runs; a bar is erased at the end.

    Args:
        title: text before the bar.
        total: number of units of the work; None if it is unknown.
        unit: name of the units; "bytes" shows sizes and speed.
        at_most: whether the work may end before `total`.
        done: number of units that were finished before, which say nothing about the speed.
        seconds: a limit on the time of the work; None for none.

    >>> with progress("epochs", total=3) as bar:
    ...     for loss in (0.7, 0.6, 0.5):
    ...         bar.note(f"loss {loss}")
    ...         bar.advance()
    """
    if quiet():
        yield _NoProgress()
    elif not stderr().is_terminal or stderr().is_dumb_terminal:
        yield _TextProgress(title, total, unit, at_most=at_most, done=done, seconds=seconds)
    else:
        with _rich_progress(f"{unit} at most" if at_most else unit, counted=total is not None) as rich_progress:
            yield _BarProgress(rich_progress, rich_progress.add_task(title, total=total, completed=int(done), text=""))


def _rich_progress(unit: str, *, counted: bool) -> Progress:
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
