"""`Injector`: runs a `segue` command and lets one change of the file system go wrong: a kill, a torn write, an error.

    with Injector(tmp_path) as injector:
        whole = injector.run("run pop events.csv", folder)               whole.changes: every change, in order
        cut = injector.run("run pop events.csv", other, Fault(at=17))    killed before the 17th change

A change is a call that creates, empties, writes, flushes, renames or removes something below the folder that the
command runs in: by Python, by Polars, by safetensors, or by a process that the command started. `shim.c` counts these
calls: it is compiled here and loaded before the C library, so it sees the calls of every library. What a process does
by a system call without the C library, or in memory that is mapped from a file, it does not see.

The command runs in a copy (fork) of a process that has imported everything, see `server.py`. So a run takes as long as
the command itself, without the seconds that imports take. A kill is SIGKILL to the process and to all that it started:
no clean-up runs.
"""

from __future__ import annotations

import json
import mmap
import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc")
POSSIBLE = sys.platform == "linux" and COMPILER is not None

_PAGE = struct.Struct("512s6i")  # the head of `struct page` in shim.c; the names of the changes follow
_MAX_CHANGES, _NAME = 16384, 128


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        at: the number of the change, from 1.
        signal: sent to the command and its processes before that change; none with `torn` or `error`.
        torn: that change is a write; half of it is done, and then the processes are killed.
        error: the errno with which that change fails; 0: none.
        lasting: whether every later change that needs space on the disk fails as well.
    """

    at: int
    signal: int = signal.SIGKILL
    torn: bool = False
    error: int = 0
    lasting: bool = False


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code, or a signal as a negative number; None if it did not end in time.
        stdout: what it printed.
        stderr: its messages.
        changes: such as "rename models/pop", in order.
    """

    code: int | None
    stdout: str
    stderr: str
    changes: list[str]


class Injector:
    """A process that runs commands and injects faults.

    Args:
        folder: for the compiled shim, the page and the output of the commands.
        seconds: how long a command may take.
    """

    def __init__(self, folder: Path, seconds: float = 120.0) -> None:
        self.folder, self.seconds = folder, seconds

    def __enter__(self) -> Injector:
        assert COMPILER
        shim, self._page_path = self.folder / "shim.so", self.folder / "page"
        source = str(HERE / "shim.c")
        subprocess.run([COMPILER, "-O1", "-shared", "-fPIC", "-o", str(shim), source, "-ldl"], check=True)
        size = _PAGE.size + _MAX_CHANGES * _NAME
        self._page_path.write_bytes(bytes(size))
        with self._page_path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), size)
        environment = {
            **os.environ,
            "FAULTS_PAGE": str(self._page_path),
            "LD_PRELOAD": str(shim),
            "OMP_NUM_THREADS": "1",
            "SEGUE_QUIET": "0",
        }
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()
        self._page.close()

    def run(self, command: str, folder: Path, fault: Fault | None = None) -> Ended:
        """Run a command (without the word segue) in `folder`, below which changes count."""
        watched = str(folder.resolve()).encode()
        numbers = (0, 0, 0, 0, 0, 0)
        if fault is not None:
            sent = 0 if fault.error or fault.torn else int(fault.signal)
            numbers = (0, fault.at, sent, int(fault.torn), fault.error, int(fault.lasting))
        _PAGE.pack_into(self._page, 0, watched, *numbers)
        request = {"arguments": shlex.split(command), "folder": str(folder), "seconds": self.seconds}
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps(request), file=self._server.stdin, flush=True)
        code = json.loads(self._server.stdout.readline())
        count = min(_PAGE.unpack_from(self._page)[1], _MAX_CHANGES)
        names = []
        for place in range(count):
            start = _PAGE.size + place * _NAME
            names.append(self._page[start : start + _NAME])
        changes = [name.split(b"\0", 1)[0].decode(errors="replace") for name in names]
        stdout, stderr = (Path(f"{self._page_path}.{name}").read_text() for name in ("stdout", "stderr"))
        return Ended(code, stdout, stderr, changes)
