"""Whether segue is still as far ahead of its peers as the committed ratios say.

    python -m benchmarks.check                          compares with results/ratios.json; exit code 1 if one fell
    python -m benchmarks.check --only implicit-bprmf    some of them
    python -m benchmarks.check --write                  measures them and writes the file, which is committed

A ratio is the CPU time of a peer, of the lower bound, or of the plain way in torch, divided by that of segue. Both are
short forms of a benchmark and run in turns in the same run, so that a slow or busy machine slows both. A ratio that is
more than 15% below the committed one is measured again, up to twice: other work makes a ratio low once, a slower segue
makes it low each time. It has failed if it was low all three times.

Ratios depend on the processor: the committed ones are those of the machine in the file. Peers that are not set up
(`python -m benchmarks` does that) are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.benchmark import Variant, unavailable_data
from benchmarks.jobs import BENCH, MeasurementFailed, Record, measure, write
from benchmarks.only import add_only
from benchmarks.peer_setups import PEER_SETUPS, Peers, find_peers
from benchmarks.results_file import RESULTS, machine

RATIOS = RESULTS / "ratios.json"
MAX_FALL = 0.15
TRIES = 3
Ratios = dict[str, float]  # "implicit-item-knn: fits" -> ratio


@dataclass(frozen=True)
class Check:
    """Two short measurements whose times are compared.

    Attributes:
        other: the peer, or the lower bound.
        segue: the same work.
        parts: the lists of seconds in the output of both, each of which gives a ratio.
        rounds: number of runs of each, in turns.
        data: the data set.
    """

    other: Variant
    segue: Variant
    parts: tuple[str, ...] = ("epochs",)
    rounds: int = 3
    data: str = "ml-1m"

    def measure(self, name: str, peers: Peers) -> Ratios:
        """The ratios of medians."""
        records: dict[str, list[Record]] = {"other": [], "segue": []}
        for _ in range(self.rounds):
            for side, variant in (("other", self.other), ("segue", self.segue)):
                records[side].append(measure(variant.command(variant.seed, peers, quick=False)))
        seconds = {(side, part): median_seconds(runs, part) for side, runs in records.items() for part in self.parts}
        return {f"{name}: {part}": seconds["other", part] / seconds["segue", part] for part in self.parts}


@dataclass(frozen=True)
class PlainCheck:
    """The layer of every hand-written part against the plain way, in one process (`handwritten/`)."""

    segue: Variant
    data: str | None = None

    def measure(self, name: str, peers: Peers) -> Ratios:
        """The ratios of all layers."""
        parts = measure(self.segue.command(0, peers, quick=False))["output"]["parts"]
        return {f"{name}: {part}": times["layer"]["ratio"] for part, times in parts.items()}


def median_seconds(records: list[Record], part: str) -> float:
    """The median over runs of the median CPU seconds within a run."""
    return median(median(entry["cpu_s"] for entry in record["output"][part]) for record in records)


def own(arguments: str, seconds: float) -> Variant:
    """A measurement of segue."""
    return Variant("segue", arguments, seconds)


CHECKS: dict[str, Check | PlainCheck] = {
    "recbole-hgn": Check(
        Variant("RecBole", "epoch --data ml-1m --loss BPR --batches 40 --repeat 3", 25, seed=2020),
        own("epoch --data ml-1m --loss BPR --windows-per-row 16 --repeat 2", 12),
        rounds=2,
    ),
    "recbole-ranking": Check(
        Variant("RecBole", "eval --data ml-1m --loss BPR --repeat 5", 20, seed=2020),
        own("eval --data ml-1m --loss BPR --repeat 9", 6),
        ("rankings",),
        rounds=2,
    ),
    "warprec-gru4rec": Check(
        Variant("WarpRec", "--model GRU4Rec --batches 3 --repeat 2", 40),
        own("sequence --setting gru4rec-50 --batches 40 --repeat 2", 15),
        rounds=2,
    ),
    "rectools-sasrec": Check(
        Variant("RecTools", "--loss BCE --repeat 2", 60),
        own("sequence --setting sasrec-bce --repeat 2", 25),
        rounds=2,
    ),
    "gru4rec-sessions": Check(
        Variant("GRU4Rec", "--loss cross-entropy --batches 1000 --repeat 1", 12),
        own("sequence --setting gru4rec-ce --batches 1000 --repeat 1", 10),
    ),
    "implicit-item-knn": Check(
        Variant("implicit", "item-knn", 8), own("item-knn --repeat 3", 15), ("fits", "rankings")
    ),
    "implicit-bprmf": Check(Variant("implicit", "bprmf --repeat 5", 5), own("bprmf --preset learnbpr --repeat 5", 6)),
    "floor-hgn-cds": Check(
        own("floor --windows-per-row 4", 8),
        own("cds --windows-per-row 4 --repeat 3", 15),
        ("epochs", "rankings"),
        data="hgn-cds",
    ),
    "plain": PlainCheck(own("handwritten --repeat 9 --layers", 60)),
}


def peers_of(names: list[str]) -> list[str]:
    """The peers that some checks need."""
    sides = [check.other.label for check in map(CHECKS.__getitem__, names) if isinstance(check, Check)]
    return [label for label in dict.fromkeys(sides) if label in PEER_SETUPS]


def fallen(measured: Ratios, committed: Mapping[str, float]) -> list[str]:
    """The names of the ratios that are more than MAX_FALL below the committed ones."""
    return [name for name, ratio in measured.items() if name in committed and ratio < committed[name] * (1 - MAX_FALL)]


def best_ratios(measure_once: Callable[[], Ratios], committed: Mapping[str, float]) -> Ratios:
    """The highest ratios of up to TRIES measurements; there is a further one only while a ratio is low in all."""
    best = measure_once()
    for _ in range(TRIES - 1):
        if not fallen(best, committed):
            break
        best = {name: max(ratio, best[name]) for name, ratio in measure_once().items()}
    return best


def table(measured: Ratios, committed: Mapping[str, float]) -> str:
    """All ratios as Markdown."""
    low = fallen(measured, committed)
    lines = ["| what | committed | now | change | |", "|---|---:|---:|---:|---|"]
    for name, ratio in measured.items():
        if name not in committed:
            lines.append(f"| {name} | – | {ratio:.2f} | – | not committed |")
            continue
        verdict = "FELL" if name in low else "ok"
        change = f"{ratio / committed[name] - 1:+.0%}"
        lines.append(f"| {name} | {committed[name]:.2f} | {ratio:.2f} | {change} | {verdict} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, and end with 1 if a ratio fell or a measurement failed."""
    args = parse(sys.argv[1:] if argv is None else argv)
    if not (args.write or RATIOS.exists()):
        raise SystemExit(f"{RATIOS}: there is none to compare with; --write measures the ratios and writes it")
    stored, measured_on = read_ratios()
    committed = {} if args.write else stored
    if measured_on != machine():
        print(f"the committed ratios are of another machine, {measured_on}; this is {machine()}")
    missing = unavailable_data()
    names = [name for name in args.only if CHECKS[name].data not in missing]
    peers = find_peers(peers_of(names), args.peers, set_up=False)
    measured, failed = measure_all(names, peers, committed)
    print(f"\n{table(measured, committed)}\n")
    if args.write and not failed:
        write_ratios({**stored, **measured})
    if failed or fallen(measured, committed):
        raise SystemExit(1)
    if not (args.write or committed.keys() & measured.keys()):
        raise SystemExit("nothing was compared: no peer is set up, no data is there, or no ratio is committed")


def measure_all(names: list[str], peers: Peers, committed: Mapping[str, float]) -> tuple[Ratios, list[str]]:
    """The ratios of the checks whose peers are there, and the names of those that failed to run."""
    measured: Ratios = {}
    failed = []
    for name in names:
        if any(peer not in peers for peer in peers_of([name])):
            print(f"{name}: left out", flush=True)
            continue
        print(f"{name} ...", flush=True)
        try:
            measured |= best_ratios(partial(CHECKS[name].measure, name, peers), committed)
        except MeasurementFailed as error:
            print(f"{name} failed: {error}", flush=True)
            failed.append(name)
    return measured, failed


def read_ratios() -> tuple[Ratios, str]:
    """The committed ratios and their machine; none and this one if there is no file."""
    if not RATIOS.exists():
        return {}, machine()
    try:
        stored = json.loads(RATIOS.read_text("utf-8"))
        return dict(stored["ratios"]), str(stored["machine"])
    except (ValueError, TypeError, KeyError) as error:
        raise SystemExit(f"{RATIOS}: not a file of ratios ({error!r}); restore it, or delete it and --write") from None


def write_ratios(ratios: Ratios) -> None:
    """Write the file that is committed."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    rounded = {name: round(ratio, 3) for name, ratio in ratios.items()}
    RATIOS.parent.mkdir(parents=True, exist_ok=True)
    write(RATIOS, json.dumps({"machine": machine(), "when": when, "ratios": rounded}, indent=1) + "\n")
    print(f"wrote {RATIOS}")


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_only(parser, CHECKS, "check")
    parser.add_argument("--write", action="store_true", help="commit the ratios instead of comparing with them")
    parser.add_argument("--peers", type=Path, default=BENCH, help="the folder of the peers (.bench)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
