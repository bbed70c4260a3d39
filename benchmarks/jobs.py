"""A job is one measurement in a process of its own, and the JSON file that it leaves.

.bench/results/epoch-ce.recbole.0.json
{"command": [...], "version": "9f2c...", "when": "2026-01-31T12:00:00",
 "wall_s": 31.2, "cpu_s": 29.8, "peak_mb": 702.4,          the whole process, from outside: os.wait4
 "said": {...}}                                            the JSON line that it printed
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
Record = dict[str, Any]


class Failed(Exception):
    """A measurement ended without a result."""


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        name: of its file.
        command: what is run, in the project's root.
        version: of the measured program; a kept result of another version or command does not count.
        usual: how many seconds it takes.
    """

    name: str
    command: tuple[str, ...]
    version: str
    usual: float

    def kept(self, folder: Path) -> Record | None:
        """The result of an earlier run, if it is of this very measurement."""
        try:
            record: Record = json.loads((folder / f"{self.name}.json").read_text())
        except (OSError, ValueError):
            return None
        same = (record.get("command"), record.get("version")) == (list(self.command), self.version)
        return record if same else None

    def run(self, folder: Path) -> Record:
        """Measure, and keep the result.

        Raises:
            Failed: the process failed or printed no JSON line; the message ends with its last words.
        """
        record = {"command": list(self.command), "version": self.version, **measure(self.command)}
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{self.name}.json", json.dumps(record, indent=1) + "\n")
        return record


def measure(command: Iterable[str]) -> Record:
    """Run a command on one thread: what it took as a whole, and the JSON line that it printed last."""
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "SEGUE_QUIET": "1"}
    if {"whole", "epoch", "eval", "sequence", "export"} & set(command):
        environment.pop("SEGUE_DATA", None)  # MovieLens is in the cache by now, mapped, as on anybody's second run
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling every module anew is nobody's usual start
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        )
        assert process.stdout is not None
        with process.stdout as pipe:
            printed = pipe.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        lines = printed.strip().splitlines()
        if process.returncode or not lines:
            errors.seek(0)
            last = "\n".join(errors.read().strip().splitlines()[-5:])
            raise Failed(f"exit code {process.returncode}; it said:\n{last}")
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        "said": json.loads(lines[-1]),
    }


def digest(paths: Iterable[Path], *words: str) -> str:
    """16 hex digits of the content of files, and of some words."""
    found = hashlib.blake2b("\n".join(words).encode(), digest_size=8)
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()


def write(path: Path, text: str) -> None:
    """Replace a file as a whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, "utf-8")
    os.replace(temporary, path)
