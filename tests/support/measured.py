"""Prepared measurements, as the benchmarks store them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.jobs import Record
from benchmarks.peer_setups import PEER_SETUPS

PEERS = {
    label: replace(setup.peer(Path("peers")), versions=f"{setup.name} 1.2.1") for label, setup in PEER_SETUPS.items()
}


def record(cpu: float = 1.0, *, peak: float = 100.0, **output: object) -> Record:
    """A run with so many CPU seconds, twice as many wall seconds, and its output."""
    measured = {"cpu_s": cpu, "wall_s": 2 * cpu, "peak_mb": peak, "output": output}
    return {"when": "2026-01-31T12:00:00+00:00", "load": 0.5, **measured}


def entries(*seconds: float) -> list[dict[str, float]]:
    """Epochs or rankings with so many CPU seconds."""
    return [{"cpu_s": cpu, "wall_s": 2 * cpu} for cpu in seconds]


def cells(table: str, label: str, below: int = 0) -> list[str]:
    """The cells of the line with this label, or of a line below it, which is that of a peer."""
    lines = table.splitlines()
    (found,) = [number for number, line in enumerate(lines) if line.startswith(f"| {label}")]
    return [cell.strip() for cell in lines[found + below].removeprefix("|").removesuffix("|").split("|")]
