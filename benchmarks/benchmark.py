"""The parts of a benchmark: what is measured, how often, and the targets.

Benchmark  "epoch-ce"                   variants that are measured together, in turn: A B C A B C A B C
Variant    "RecBole"                    a program with certain settings; figures are medians over its runs
TableRow   "... windows_per_row=16"     a variant of segue, all peers, and a target
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.jobs import ROOT, Job, files_hash, measure
from benchmarks.peer_setups import PEER_SETUPS, Peers, peer_version


@dataclass(frozen=True)
class Variant:
    """A program with certain settings.

    Attributes:
        label: the name of a peer in PEER_SETUPS, or a label for the settings of segue.
        arguments: of the peer's script or of `segue_side`.
        expected_seconds: approximate duration of a run that is not quick.
        seed: of the first run; further runs have the next seeds.
        runs_per_round: number of runs in each round.
        quick: further arguments of a quick run; None leaves the variant out of quick runs.
    """

    label: str
    arguments: str
    expected_seconds: float
    seed: int = 0
    runs_per_round: int = 1
    quick: str | None = "--repeat 1"

    @property
    def is_peer(self) -> bool:
        """Whether another program than segue is measured."""
        return self.label in PEER_SETUPS

    def command(self, seed: int, peers: Peers, *, quick: bool) -> tuple[str, ...]:
        """The command of a run."""
        arguments = (*self.arguments.split(), *(self.quick or "").split() * quick, "--seed", str(seed))
        if not self.is_peer:
            return (sys.executable, "-m", "benchmarks.segue_side", *arguments)
        peer = peers[self.label]
        return (str(peer.python), "-m", PEER_SETUPS[self.label].module, *arguments, *peer.arguments)


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row of the table.

    Attributes:
        label: describes what is measured.
        variant: the label of a variant of segue.
        part: the list in the output of the process that holds the measured seconds; None for the whole process.
        min_speedup: target: CPU seconds of every peer divided by those of segue; below 1, segue may be slower.
        cpu_s: target in CPU seconds.
        peak_mb: target in megabytes.
        quality_metrics: test metrics whose mean over the runs must be at least that of every peer.
        reported_elsewhere: CPU s, wall s and peak MB of another program, measured on another machine.
        target_note: why the target is no higher, for a target that was lowered, or that is below 1.
    """

    label: str
    variant: str
    part: str | None
    min_speedup: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    quality_metrics: tuple[str, ...] = ()
    reported_elsewhere: tuple[str, str, str] | None = None
    target_note: str = ""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Measurements that are made together.

    Attributes:
        data: names of the required data sets.
        variants: in the order in which they are run.
        rounds: number of rounds; each runs all variants in turn.
        table_rows: the rows of the table that report it.
    """

    data: tuple[str, ...]
    variants: tuple[Variant, ...]
    rounds: int
    table_rows: tuple[TableRow, ...]

    def jobs(self, name: str, version: str, peers: Peers, *, quick: bool) -> Iterator[tuple[Variant, Job]]:
        """All measurements in order; `version` is that of segue. Peers that are not installed are left out."""
        for turn in range(1 if quick else self.rounds):
            for variant in self.variants:
                if (variant.is_peer and variant.label not in peers) or (quick and variant.quick is None):
                    continue
                measured = peer_version(variant.label, peers[variant.label]) if variant.is_peer else version
                for run in range(turn * variant.runs_per_round, (turn + 1) * variant.runs_per_round):
                    label = variant.label.lower().replace(" ", "-").replace("=", "-")
                    command = variant.command(variant.seed + run, peers, quick=quick)
                    seconds = None if quick else variant.expected_seconds
                    yield variant, Job(f"{name}.{label}.{run}", command, measured, seconds)

    @property
    def peers(self) -> list[str]:
        """The names of the peers that are compared."""
        return [variant.label for variant in self.variants if variant.is_peer]


def segue_version() -> str:
    """A hash of everything that a measurement of segue runs."""
    folders = ROOT / "src/segue", ROOT / "benchmarks/segue_side", ROOT / "benchmarks/handwritten"
    modules = (ROOT / f"benchmarks/{name}.py" for name in ("measurement", "process", "ingest"))
    return files_hash([*(path for folder in folders for path in folder.rglob("*.py")), *modules])


def unavailable_data() -> dict[str, str]:
    """The data sets that are not available, with the reason; those that can be downloaded are."""
    print("data sets: downloaded if they are missing", flush=True)
    missing: dict[str, str] = measure([sys.executable, "-m", "benchmarks.segue_side", "fetch"])["output"]["missing"]
    for reason in missing.values():
        print(reason)
    return missing
