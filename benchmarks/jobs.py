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
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measurement import ONE_THREAD
from benchmarks.process import wait

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"
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
        expected_seconds: its approximate duration; None if it is unknown.
    """

    name: str
    command: tuple[str, ...]
    version: str
    expected_seconds: float | None = None

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
            MeasurementFailed: as `measure`.
        """
        record = {"command": list(self.command), "version": self.version, **measure(self.command)}
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{self.name}.json", json.dumps(record, indent=1) + "\n")
        return record


def measure(command: Sequence[str]) -> Record:
    """Run a command with one thread; returns its time, its peak memory and the JSON line that it printed last.

    Raises:
        MeasurementFailed: the process failed or printed nothing; the message ends with its last lines.
    """
    environment = {**os.environ, **ONE_THREAD, "SEGUE_QUIET": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a normal start reads compiled modules
    load, begin = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment)
        assert process.stdout is not None
        with process.stdout as pipe:
            lines = pipe.read().strip().splitlines()
        cost = wait(process, begin)
        if process.returncode or not lines:
            errors.seek(0)
            last = "\n".join(errors.read().strip().splitlines()[-5:])
            raise MeasurementFailed(f"exit code {process.returncode}; its last lines:\n{last}")
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {"when": when, "load": load, **asdict(cost), "output": json.loads(lines[-1])}


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
