"""What is measured, how often, and what is expected of it.

Row    "epoch-ce"     a group that is measured together, its sides in turn: A B C A B C A B C
Side   "RecBole"      one program with one setting; the medians are taken over its runs
Line   "... per_row=16"   one line of the table: a side of segue's, the fastest peer's where there is one, a target
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.jobs import ROOT, Job, digest
from benchmarks.programs import PROGRAMS, Peers, peer_version


@dataclass(frozen=True)
class Side:
    """One program with one setting.

    Attributes:
        label: a peer's name in PROGRAMS, or how segue is set.
        arguments: of the peer's script or of segue_side.py.
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

    def command(self, seed: int, peers: Peers, *, quick: bool) -> tuple[str, ...]:
        """What to run."""
        arguments = (*self.arguments.split(), *(self.quick or "").split() * quick, "--seed", str(seed))
        if self.label not in PROGRAMS:
            return (sys.executable, "-m", "benchmarks.segue_side", *arguments)
        peer = peers[self.label]
        return (str(peer.python), "-m", f"benchmarks.{PROGRAMS[self.label].script}", *arguments, *peer.arguments)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table.

    Attributes:
        what: is measured.
        side: of segue's.
        part: of what the process said, each entry with its seconds; None: the process as a whole, from outside.
        faster: how many times fewer CPU seconds than the fastest peer are the target.
        cpu_s: the target in seconds.
        peak_mb: the target in megabytes.
        quality: test metrics that must be no worse than any peer's, on average over the runs.
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

    def jobs(self, name: str, version: str, peers: Peers, *, quick: bool) -> Iterator[tuple[Side, Job]]:
        """All measurements in their order; `version` is segue's. Those of peers that are not here are left out."""
        for turn in range(1 if quick else self.rounds):
            for side in self.sides:
                if (side.label in PROGRAMS and side.label not in peers) or (quick and side.quick is None):
                    continue
                measured = peer_version(side.label, peers[side.label]) if side.label in PROGRAMS else version
                for run in range(turn * side.times, (turn + 1) * side.times):
                    label = side.label.lower().replace(" ", "-").replace("=", "-")
                    command = side.command(side.seed + run, peers, quick=quick)
                    yield side, Job(f"{name}.{label}.{run}", command, measured, side.usual)

    @property
    def programs(self) -> list[str]:
        """The peers that it needs."""
        return [side.label for side in self.sides if side.label in PROGRAMS]


def own_version() -> str:
    """Of all that a measurement of segue runs through."""
    measured = [ROOT / "benchmarks" / name for name in ("segue_side.py", "sequence.py", "ingest.py")]
    return digest([*(ROOT / "src/segue").rglob("*.py"), *measured])


def prefixes(model: str, faster: float, *sides: Side, data: str = "ml-1m") -> Row:
    """RecBole copies every prefix: a few of its batches, scaled, beside segue's."""
    peer = Side(
        "RecBole", f"epoch --data {data} --model {model} --batches 3", 60, seed=2020, quick="--batches 1 --repeat 1"
    )
    lines = tuple(
        Line(
            what=f"epoch, CE, {data}, {model}, every prefix of 50{_told(side)}",
            side=side.label,
            part="epochs",
            faster=faster,
        )
        for side in sides
    )
    return Row(data=(data,), sides=(peer, *sides), rounds=1, lines=lines)


def sessions(loss: str, setting: str) -> Row:
    """GRU4Rec's author's program beside segue: 100 units, 64 sessions side by side, 2,048 shared negatives."""
    return Row(
        data=("ml-1m",),
        sides=(
            Side("GRU4Rec", f"--loss {loss} --batches 500 --repeat 3", 15, quick="--batches 50 --repeat 1"),
            Side(
                "segue", f"sequence --setting {setting} --batches 2000 --repeat 2", 25, quick="--batches 50 --repeat 1"
            ),
        ),
        rounds=3,
        lines=(
            Line(
                what=f"epoch, {loss}, ml-1m, GRU4Rec, 64 sessions side by side",
                side="segue",
                part="epochs",
                faster=3,
            ),
        ),
    )


def _told(side: Side) -> str:
    return "" if side.label == "segue" else f", {side.label}"


ROWS: dict[str, Row] = {
    "whole": Row(
        data=("ml-100k",),
        sides=(
            Side("RecBole", "whole", 540, seed=2020, quick=None),
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
            Side("RecBole", "epoch --data ml-100k --loss CE", 35, seed=2020),
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
            Side("RecBole", "epoch --data ml-1m --loss BPR", 60, seed=2020),
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
            Side("RecBole", "eval --data ml-1m --loss BPR --repeat 5", 25, seed=2020),
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
    "sasrec-bce": Row(
        data=("ml-1m",),
        sides=(
            Side("RecTools", "--loss BCE --repeat 9", 130),
            Side("segue", "sequence --setting sasrec-bce --repeat 9", 60),
        ),
        rounds=1,
        lines=(
            Line(
                what="epoch, BCE, ml-1m, SASRec, the last 100 of each user",
                side="segue",
                part="epochs",
                faster=1.5,
                quality=("ndcg@10",),
            ),
        ),
    ),
    "sasrec-ce": Row(
        data=("ml-1m",),
        sides=(
            Side("RecTools", "--loss softmax --repeat 4", 360),
            Side("RePlay", "--repeat 4", 240),
            Side("segue", "sequence --setting sasrec-ce --repeat 4", 80),
        ),
        rounds=1,
        lines=(
            Line(
                what="epoch, CE, ml-1m, SASRec, the last 100 of each user",
                side="segue",
                part="epochs",
                faster=1.5,
                quality=("ndcg@10",),
            ),
        ),
    ),
    "sasrec-50": prefixes("SASRec", 50, Side("segue", "sequence --setting sasrec-50 --batches 100 --repeat 2", 35)),
    "gru4rec-50": prefixes("GRU4Rec", 50, Side("segue", "sequence --setting gru4rec-50 --batches 100 --repeat 2", 25)),
    "nextitnet-50": prefixes(
        "NextItNet", 50, Side("segue", "sequence --setting nextitnet-50 --batches 100 --repeat 2", 45)
    ),
    "narm-50": prefixes(
        "NARM", 3, Side("segue", "sequence --setting narm-50 --batches 40 --repeat 2", 35), data="ml-100k"
    ),
    "stamp-50": prefixes(
        "STAMP", 3, Side("segue", "sequence --setting stamp-50 --batches 40 --repeat 2", 20), data="ml-100k"
    ),
    "caser-50": prefixes(
        "Caser",
        5,
        Side(
            "per_row=1",
            "sequence --setting caser-50 --per-row 1 --batches 4 --repeat 2",
            80,
            quick="--batches 1 --repeat 1",
        ),
        Side(
            "per_row=16",
            "sequence --setting caser-50 --per-row 16 --batches 40 --repeat 2",
            90,
            quick="--batches 1 --repeat 1",
        ),
    ),
    "gru4rec-ce": sessions("cross-entropy", "gru4rec-ce"),
    "gru4rec-bprmax": sessions("bpr-max", "gru4rec-bprmax"),
}
