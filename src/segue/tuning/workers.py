"""`WorkerPool`: functions run in processes of their own and report back by messages.

    with WorkerPool(jobs=2) as pool:
        pool.start("hgn", tune, log, plan)           calls tune(log, plan, send=...) in a new process
        pool.start("pop", tune, log, other)
        for message in pool.messages():              progress, results and failures
            ...

A worker that crashes, or that leaves memory behind, does not affect the others. Functions, arguments and results are
pickled.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from types import MappingProxyType
from typing import Any, Literal

from segue.errors import ConfigError, SegueError


@dataclass(frozen=True)
class Message:
    """A message from a worker process.

    Attributes:
        name: the name given to `WorkerPool.start`.
        kind: "progress" while the worker runs; its last message is "done" or "failed".
        content: what the worker sent, the result of its function, or the reason of the failure.
        details: the traceback of an unexpected failure; empty for errors that the user can correct.
    """

    name: str
    kind: Literal["progress", "done", "failed"]
    content: Any
    details: str = ""


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


MAX_JOBS = 64  # processes, or twice the number of processors; each takes some hundred MB

# pickle cannot serialise a MappingProxyType by itself
ForkingPickler.register(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


def check_jobs(jobs: int) -> None:
    """Raise `ConfigError` for a number of processes below 1, or one that no machine of this kind can run at once."""
    most = max(MAX_JOBS, 2 * (os.cpu_count() or 1))
    if not 1 <= jobs <= most:
        raise ConfigError(f"jobs={jobs}: must be at least 1 and at most {most}")


class WorkerPool:
    """At most `jobs` worker processes at a time. Leaving the `with` block terminates those that are still running."""

    def __init__(self, jobs: int) -> None:
        check_jobs(jobs)
        self.jobs = jobs
        self._workers: dict[Connection, tuple[str, BaseProcess]] = {}

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for _name, process in self._workers.values():
            process.terminate()
        for connection in list(self._workers):
            self._close(connection)

    @property
    def running(self) -> list[str]:
        """The names of the running workers."""
        return [name for name, _ in self._workers.values()]

    def stop(self, name: str) -> None:
        """End a running worker at once; nothing more arrives from it."""
        for connection, (running, process) in list(self._workers.items()):
            if running == name:
                process.terminate()
                self._close(connection)

    def start(self, name: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function(*arguments, send=...)` in a new process; what it passes to `send` arrives as a message."""
        assert len(self._workers) < self.jobs, "all workers are busy"
        context = _context()
        connection, worker_connection = context.Pipe()
        process = context.Process(target=_run_worker, args=(worker_connection, self.jobs), name=name, daemon=True)
        process.start()
        worker_connection.close()
        self._workers[connection] = (name, process)
        # Not sent as arguments of the process: if it died before it had read them all, `start` would wait forever.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send((function, arguments, dict(os.environ)))

    def messages(self, timeout: float | None = None) -> list[Message]:
        """Wait for messages and return them; an empty list if no worker is running or after `timeout` seconds."""
        ready = wait(list(self._workers), timeout) if self._workers else []
        return [self._receive(connection) for connection in ready if isinstance(connection, Connection)]

    def _receive(self, connection: Connection) -> Message:
        name = self._workers[connection][0]
        try:
            message = Message(name, *connection.recv())
        except (EOFError, OSError):
            code = self._close(connection)
            cause = f"exit code {code}"
            if code < 0:
                cause = f"killed by signal {-code}{', perhaps out of memory' if code == -9 else ''}"
            return Message(name, "failed", f"its process ended unexpectedly ({cause})")
        if message.kind != "progress":
            self._close(connection)
        return message

    def _close(self, connection: Connection) -> int:
        """Wait for the end of a worker and return its exit code."""
        process = self._workers.pop(connection)[1]
        process.join()
        connection.close()
        code = process.exitcode or 0
        process.close()
        return code


def _context() -> ForkServerContext | SpawnContext:
    """How processes are started: on Linux as copies of a clean one that has loaded torch, which saves seconds each."""
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch", "optuna"])
    return context


def _run_worker(connection: Connection, jobs: int) -> None:
    """The main function of a worker process. It prints nothing and uses its share of the cores."""
    import torch

    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    try:
        function, arguments, environment = connection.recv()
        os.environ.update({**environment, "SEGUE_QUIET": "1"})  # that of the clean process may be older
        result = function(*arguments, send=lambda content: connection.send(("progress", content)))
        connection.send(("done", result))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except SegueError as error:
        connection.send(("failed", str(error)))
    except BaseException as error:
        connection.send(("failed", f"{type(error).__name__}: {error}".partition("\n")[0], traceback.format_exc()))
    finally:
        connection.close()


def _exit_with_parent() -> None:
    """End this process when its parent ends, even if the parent was killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
