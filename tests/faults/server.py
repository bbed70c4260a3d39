"""Runs `segue` commands in copies of a process that has imported everything; each copy may be killed. See injector.py.

Reads one request a line (JSON: arguments, folder, seconds) and answers each with the exit code of the command, or None
if it did not end within its seconds. Its stdout and stderr are files beside the shared page.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def preload() -> None:
    """Import what commands need, and start no thread: a copy of a process has none but the one that copies it."""
    import optuna
    import scipy.special
    import torch

    import segue.cli.app
    import segue.data.datasets.catalog
    import segue.experiments.blend
    import segue.experiments.rerank
    import segue.models.registry
    import segue.serving.batch
    import segue.training.state
    import segue.tuning.comparison
    import segue.tuning.importance
    from support.sequential_pool import SequentialPool

    assert optuna
    assert scipy.special
    assert [*segue.models.registry.MODELS.values()]  # which imports them
    segue.training.state.SAVE_EVERY = 0  # after every epoch, so that equal runs make equal changes
    torch.set_num_threads(1)
    segue.tuning.comparison.WorkerPool = SequentialPool  # type: ignore[assignment,misc]  processes take seconds
    for name in ("altair", "vl_convert"):  # as if the extra `viz` was not installed: charts take seconds
        sys.modules[name] = None  # type: ignore[assignment]


def command(arguments: list[str], folder: str) -> None:
    """Run a command in this process, which then ends."""
    os.setsid()
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{os.environ['FAULTS_PAGE']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from segue.__main__ import main

    sys.argv = ["segue", *arguments]
    code: int | str | None = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code if isinstance(code, int) else 0)


def wait(process: int, seconds: float) -> int | None:
    """The exit code of a process, a signal as a negative number; None, after its end, if it took too long."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)  # the processes that it started
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def main() -> None:
    """Answer requests until there are no more."""
    preload()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            command(request["arguments"], request["folder"])
        code = wait(process, request["seconds"])
        print(json.dumps(code), file=answers, flush=True)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    main()
