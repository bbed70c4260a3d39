"""`Job`: one measurement in a process of its own, stored as a JSON file.

.bench/results/epoch-ce.recbole.0.json
{"command": [...], "version": "9f2c...", "when": "2026-01-31T12:00:00", "load": 0.8,
 "wall_s": 31.2, "cpu_s": 29.8, "peak_mb": 702.4,          the whole process, measured from outside by os.wait4
 "output": {...}}                                            the JSON line that it printed
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
BENCH = ROOT / ".bench"
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
Record = dict[str, Any]


class MeasurementFailed(Exception):
    """A measurement that ended without a result."""


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        name: of its file.
        command: run in the root folder of the project.
        version: of the measured program; a stored result of another version or command is ignored.
        expected_seconds: its approximate duration.
    """

    name: str
    command: tuple[str, ...]
    version: str
    expected_seconds: float

    def load(self, folder: Path) -> Record | None:
        """The stored result of exactly this measurement, or None."""
        try:
            record: Record = json.loads((folder / f"{self.name}.json").read_text())
        except (OSError, ValueError):
            return None
        matches = (record.get("command"), record.get("version")) == (list(self.command), self.version)
        return record if matches else None

    def run(self, folder: Path) -> Record:
        """Run the measurement and store its result.

        Raises:
            MeasurementFailed: the process failed or printed no JSON line; the message ends with its last lines.
        """
        record = {"command": list(self.command), "version": self.version, **measure(self.command)}
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{self.name}.json", json.dumps(record, indent=1) + "\n")
        return record


def measure(command: Iterable[str]) -> Record:
    """Run a command with one thread; returns its time, its peak memory and the JSON line that it printed last."""
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "SEGUE_QUIET": "1"}
    if {"whole", "epoch", "eval", "sequence", "item-knn", "bprmf", "export"} & set(command):
        environment.pop("SEGUE_DATA", None)  # MovieLens is in the cache, memory-mapped, as in any second run
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a normal start reads compiled modules
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        )
        assert process.stdout is not None
        with process.stdout as pipe:
            standard_output = pipe.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        lines = standard_output.strip().splitlines()
        if process.returncode or not lines:
            errors.seek(0)
            last = "\n".join(errors.read().strip().splitlines()[-5:])
            raise MeasurementFailed(f"exit code {process.returncode}; its last lines:\n{last}")
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": load,
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        "output": json.loads(lines[-1]),
    }


def files_hash(paths: Iterable[Path], *texts: str) -> str:
    """16 hex digits of the content of files and of some texts."""
    digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=8)
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write(path: Path, text: str) -> None:
    """Write a file atomically."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, "utf-8")
    os.replace(temporary, path)
