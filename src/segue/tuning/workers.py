"""`WorkerPool`: work in processes of its own. What one of them leaves behind, or dies of, does not touch the others.

    with Crew(jobs=2) as crew:
        crew.start("hgn", tune, log, plan)           tune(log, plan, tell=...) runs elsewhere
        crew.start("pop", tune, log, other)
        for news in crew.news():                     what they told, returned, or failed of
            ...

Functions, arguments and results travel by pickle.
"""

from __future__ import annotations

import os
import re
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from segue.errors import ConfigError, SegueError


@dataclass(frozen=True)
class Message:
    """One message of a process.

    Attributes:
        name: as given to `start`.
        kind: "told" on the way; "done" or "failed" is its last.
        content: what was told, what the work returned, or why it failed.
        details: of a failure that is no error of the input: where it happened.
    """

    name: str
    kind: Literal["told", "done", "failed"]
    content: Any
    details: str = ""


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


# which pickle does not know by itself
ForkingPickler.register(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


class WorkerPool:
    """At most `jobs` processes at work; on leaving the block, those that still are end."""

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise ConfigError(f"jobs={jobs}: must be at least 1")
        self.jobs = jobs
        self._at_work: dict[Connection, tuple[str, BaseProcess]] = {}

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._at_work.values():
            worker[1].terminate()
        for connection in list(self._at_work):
            self._part(connection)

    @property
    def names(self) -> list[str]:
        """Who is at work."""
        return [name for name, _ in self._at_work.values()]

    def start(self, name: str, work: Callable[..., Any], *arguments: Any) -> None:
        """Call `work(*arguments, tell=...)` in a process of its own; `tell` sends news from there."""
        assert len(self._at_work) < self.jobs, "nobody is free"
        context = get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, self.jobs), name=name, daemon=True)
        process.start()
        there.close()
        self._at_work[here] = (name, process)
        # not as arguments of the process: one that dies before it has read all of them would be waited for, for ever
        with suppress(BrokenPipeError, ConnectionResetError):
            here.send((work, arguments))

    def news(self, timeout: float | None = None) -> list[Message]:
        """What has come in, waiting for it if need be; nothing when nobody is at work or the time is over."""
        ready = wait(list(self._at_work), timeout) if self._at_work else []
        return [self._hear(connection) for connection in ready if isinstance(connection, Connection)]

    def _hear(self, connection: Connection) -> Message:
        name = self._at_work[connection][0]
        try:
            news = Message(name, *connection.recv())
        except (EOFError, OSError):
            code = self._part(connection)
            killed = f"killed by signal {-code}{', for want of memory?' if code == -9 else ''}" if code < 0 else code
            return Message(name, "failed", f"its process ended without a word ({killed})")
        if news.kind != "told":
            self._part(connection)
        return news

    def _part(self, connection: Connection) -> int:
        process = self._at_work.pop(connection)[1]
        process.join()
        connection.close()
        code = process.exitcode or 0
        process.close()
        return code


def _serve(connection: Connection, jobs: int) -> None:
    """The life of a process: quiet on the terminal, with its share of the processor's cores."""
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["SEGUE_QUIET"] = "1"
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    try:
        work, arguments = connection.recv()
        result = work(*arguments, tell=lambda content: connection.send(("told", content)))
        connection.send(("done", result))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except SegueError as error:
        connection.send(("failed", str(error)))
    except BaseException as error:
        connection.send(("failed", f"{type(error).__name__}: {error}".partition("\n")[0], traceback.format_exc()))
    finally:
        connection.close()


def _end_with_parent() -> None:
    """A parent that was killed leaves nobody behind."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def peak_mb() -> int | None:
    """The most memory that this process has had in use, in MB; None where the system does not say."""
    try:  # not getrusage, which counts what the process was forked from
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return round(int(found[1]) / 1000 * 1.024) if found else None
