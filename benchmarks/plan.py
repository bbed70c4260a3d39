"""What is measured, how often, and what is expected of it.

Row    "epoch-ce"     a group that is measured together, its sides in turn: A B C A B C A B C
Side   "RecBole"      one program with one setting; the medians are taken over its runs
Line   "... per_row=16"   one line of the table: a side of segue's, RecBole's where there is one, a target
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import ROOT, Job, digest

PEER = "RecBole"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Where RecBole is: its Python, the folder with its data, and the versions of what it runs on."""

    python: Path
    root: Path
    versions: str


@dataclass(frozen=True)
class Side:
    """One program with one setting.

    Attributes:
        label: RecBole, or how segue is set.
        arguments: of peer_recbole.py or of segue_side.py.
        usual: seconds that a run takes.
        seed: of the first run; each further run has the next.
        times: runs a round.
        quick: further arguments of a quick run; None leaves this side out of it.
    """

    label: str
    arguments: str
    usual: float
    seed: int = 0
    times: int = 1
    quick: str | None = "--repeat 1"

    def command(self, seed: int, peer: Peer | None, *, quick: bool) -> tuple[str, ...]:
        """What to run."""
        own = (sys.executable, "-m", "benchmarks.segue_side")
        arguments = (*self.arguments.split(), *(self.quick or "").split() * quick, "--seed", str(seed))
        if self.label != PEER:
            return (*own, *arguments)
        assert peer is not None
        return (str(peer.python), str(ROOT / "benchmarks/peer_recbole.py"), *arguments, "--root", str(peer.root))


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table.

    Attributes:
        what: is measured.
        side: of segue's.
        part: of what the process said, each entry with its seconds; None: the process as a whole, from outside.
        faster: how many times fewer CPU seconds than RecBole are the target.
        cpu_s: the target in seconds.
        peak_mb: the target in megabytes.
        quality: test metrics that must be no worse than RecBole's, on average over the runs.
        elsewhere: CPU s, wall s, peak MB of another program, measured elsewhere.
    """

    what: str
    side: str
    part: str | None
    faster: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    quality: tuple[str, ...] = ()
    elsewhere: tuple[str, str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is measured together.

    Attributes:
        data: names of the data sets that it needs.
        sides: in the order in which they take turns.
        rounds: how often.
        lines: what the table says of it.
    """

    data: tuple[str, ...]
    sides: tuple[Side, ...]
    rounds: int
    lines: tuple[Line, ...]

    def jobs(self, name: str, version: str, peer: Peer | None, *, quick: bool) -> Iterator[tuple[Side, Job]]:
        """All measurements in their order; `version` is segue's. Where there is no RecBole, its own are left out."""
        for turn in range(1 if quick else self.rounds):
            for side in self.sides:
                if (side.label == PEER and peer is None) or (quick and side.quick is None):
                    continue
                measured = peer_version(peer) if side.label == PEER and peer else version
                for run in range(turn * side.times, (turn + 1) * side.times):
                    label = side.label.lower().replace(" ", "-").replace("=", "-")
                    command = side.command(side.seed + run, peer, quick=quick)
                    yield side, Job(f"{name}.{label}.{run}", command, measured, side.usual)


def own_version() -> str:
    """Of all that a measurement of segue runs through."""
    measured = [ROOT / "benchmarks" / name for name in ("segue_side.py", "ingest.py")]
    return digest([*(ROOT / "src/segue").rglob("*.py"), *measured])


def peer_version(peer: Peer) -> str:
    """Of all that a measurement of RecBole runs through."""
    return digest([ROOT / "benchmarks/peer_recbole.py"], peer.versions)


ROWS: dict[str, Row] = {
    "whole": Row(
        data=("ml-100k",),
        sides=(
            Side(PEER, "whole", 540, seed=2020, quick=None),
            Side("segue", "whole", 60, times=3, quick="--quick --repeat 2"),
        ),
        rounds=1,
        lines=(
            Line(
                what="whole command, ml-100k: from process start to the test figures",
                side="segue",
                part=None,
                faster=10,
                quality=("recall@10", "ndcg@10"),
            ),
        ),
    ),
    "epoch-ce": Row(
        data=("ml-100k",),
        sides=(
            Side(PEER, "epoch --data ml-100k --loss CE", 35, seed=2020),
            Side("per_row=1", "epoch --data ml-100k --loss CE --per-row 1 --repeat 2", 25),
            Side("per_row=16", "epoch --data ml-100k --loss CE --per-row 16", 15),
        ),
        rounds=3,
        lines=tuple(
            Line(what=f"epoch, CE, ml-100k, window 50, {side}", side=side, part="epochs", faster=4)
            for side in ("per_row=1", "per_row=16")
        ),
    ),
    "epoch-bpr": Row(
        data=("ml-1m",),
        sides=(
            Side(PEER, "epoch --data ml-1m --loss BPR", 60, seed=2020),
            Side("per_row=1", "epoch --data ml-1m --loss BPR --per-row 1 --repeat 3", 20),
            Side("per_row=16", "epoch --data ml-1m --loss BPR --per-row 16 --repeat 3", 12),
        ),
        rounds=3,
        lines=tuple(
            Line(what=f"epoch, BPR, ml-1m, window 5, {side}", side=side, part="epochs", faster=6)
            for side in ("per_row=1", "per_row=16")
        ),
    ),
    "eval": Row(
        data=("ml-1m",),
        sides=(
            Side(PEER, "eval --data ml-1m --loss BPR --repeat 5", 25, seed=2020),
            Side("segue", "eval --data ml-1m --loss BPR --repeat 9", 6),
        ),
        rounds=3,
        lines=(Line(what="full ranking of ml-1m's test part, window 5", side="segue", part="test", faster=2.5),),
    ),
    "cds": Row(
        data=("hgn-cds",),
        sides=(
            Side("per_row=1", "cds --per-row 1 --repeat 5", 30),
            Side("per_row=4", "cds --per-row 4 --repeat 5", 20),
            Side("floor per_row=1", "floor --per-row 1", 8),
            Side("floor per_row=4", "floor --per-row 4", 8),
        ),
        rounds=1,
        lines=(
            *(
                Line(
                    what=f"epoch, BPR, Amazon CDs, windows of 5 then 3, {side}",
                    side=side,
                    part="epochs",
                    cpu_s=1.0,
                    peak_mb=700,
                    elsewhere=("4.8", "–", "2,000"),
                )
                for side in ("per_row=1", "per_row=4")
            ),
            Line(
                what="full ranking of Amazon CDs' test part",
                side="per_row=1",
                part="test",
                cpu_s=1.5,
                peak_mb=700,
                elsewhere=("26 to 32", "–", "2,000"),
            ),
        ),
    ),
    "ingest": Row(
        data=(),
        sides=(Side("segue", "ingest --repeat 3", 120, quick="--quick --repeat 1"),),
        rounds=1,
        lines=(
            Line(
                what="reading 20 million events: CSV, 5-core, sort, save",
                side="segue",
                part="readings",
                cpu_s=15,
                peak_mb=2000,
            ),
        ),
    ),
}
