"""`CompleteRun`: the results of a complete run in one committed file, from which the tables in README.md are made.

benchmarks/results/complete.json
{"machine": "AMD EPYC, 2 cores, 24 GiB, Linux", "software": "Python 3.11.7, torch 2.13.0+cpu, ...",
 "peers": {"RecBole": "Python 3.11.7, recbole 1.2.1, ..."}, "missing": {},
 "results": {"epoch-ce": {"RecBole": [{"when": ..., "load": 0.9, "cpu_s": ..., "output": {...}}, ...], ...}, ...}}
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.jobs import ROOT, Record, write

Results = dict[str, dict[str, list[Record]]]  # benchmark -> variant -> runs
RESULTS = ROOT / "benchmarks" / "results"
COMPLETE = RESULTS / "complete.json"


@dataclass(frozen=True, kw_only=True)
class CompleteRun:
    """What was measured, and on what.

    Attributes:
        results: the records of all measurements.
        missing: the benchmarks that were not measured, with the reason.
        peers: the versions of each peer's packages.
        machine: processor, cores, memory.
        software: versions of Python and of the packages of segue.
    """

    results: Results
    missing: dict[str, str]
    peers: dict[str, str]
    machine: str
    software: str

    @classmethod
    def here(cls, results: Results, missing: dict[str, str], peers: dict[str, str]) -> CompleteRun:
        """Results measured on this machine."""
        return cls(results=results, missing=missing, peers=peers, machine=machine(), software=software())

    @classmethod
    def read(cls, path: Path) -> CompleteRun:
        """Read the file that `write` wrote. Ends the program if it is no such file."""
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise SystemExit(f"{path}: not a file of results ({error}); measure again, or restore it") from None

    def with_results(self, newer: CompleteRun, names: Iterable[str]) -> CompleteRun:
        """These results with those of `newer` for the named benchmarks; each record says when it was measured.

        Ends the program if they were measured on different machines.
        """
        if newer.machine != self.machine:
            raise SystemExit(f"--add: measured on {newer.machine}, the results that are there on {self.machine}")
        new = {name: newer.results[name] for name in names if name in newer.results}
        missing = {name: reason for name, reason in self.missing.items() if name not in new}
        return replace(self, results={**self.results, **new}, missing=missing, peers={**self.peers, **newer.peers})

    def write(self, path: Path) -> None:
        """Write the file. The commands are left out: they name folders of the machine, and the plan has them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        results = {
            name: {label: [_published(record) for record in runs] for label, runs in variants.items()}
            for name, variants in self.results.items()
        }
        write(path, json.dumps({**asdict(self), "results": results}, indent=1) + "\n")


def _published(record: Record) -> Record:
    return {key: value for key, value in record.items() if key not in ("command", "version")}


def provenance() -> dict[str, str]:
    """The date, the machine and the software, which are stored beside figures."""
    return {"date": date.today().isoformat(), "machine": machine(), "software": software()}


def machine() -> str:
    """Processor, cores, memory."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def software() -> str:
    """Versions of Python and of the packages that segue computes with."""
    found = [f"Python {platform.python_version()}"]
    for package in ("torch", "numpy", "scipy", "polars", "numba"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
