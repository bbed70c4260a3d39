"""Measures segue and peer libraries in one run, with one thread each.

    python -m benchmarks                                       all benchmarks: about an hour
    python -m benchmarks --only epoch-ce,eval                  some of them
    python -m benchmarks --quick                               a test that everything runs; its figures mean nothing

Every measurement is stored in .bench/results. An interrupted run is resumed: only what is missing, or was measured
with another version of the code, is measured. When all benchmarks are complete, the table in benchmarks/README.md is
updated.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.benchmark import Variant, segue_version
from benchmarks.jobs import ROOT, Job, MeasurementFailed, measure
from benchmarks.peer_setups import PEER_SETUPS, Peer
from benchmarks.plan import BENCHMARKS

Jobs = list[tuple[Variant, Job]]

BENCH = ROOT / ".bench"
README = ROOT / "benchmarks" / "README.md"
EVENTS = BENCH / "ml-1m.npz"
VERSIONS = """
import json, platform, sys
from importlib.metadata import version
packages = ", ".join(f"{name} {version(name)}" for name in sys.argv[1:])
print(json.dumps(f"Python {platform.python_version()}, {packages}"))
"""


def main(argv: list[str] | None = None) -> None:
    """Measure what is missing, print the table, and write it to the README if it is complete."""
    args = parse(sys.argv[1:] if argv is None else argv)
    folder = BENCH / ("quick" if args.quick else "results")
    if args.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    missing = missing_data()
    peer_names = {peer: None for name in args.only if name not in missing for peer in BENCHMARKS[name].peers}
    peers = {} if args.no_peer else find_peers(list(peer_names), args.peers)
    version = segue_version()
    plan = {
        name: list(benchmark.jobs(name, version, peers, quick=args.quick)) for name, benchmark in BENCHMARKS.items()
    }
    failed: dict[str, str] = {}
    for name in args.only:
        if name not in missing:
            failed |= run_benchmark(name, plan[name], folder)
    results = load_results(plan, folder)
    text = report.block(results, missing | failed, peers)
    print(f"\n{text}")
    reason = "--quick measures too little" if args.quick else reason_not_to_publish(results, missing, version)
    if reason:
        print(f"{README.name} is unchanged: {reason}")
    else:
        report.replace(README, text)
        print(f"wrote {README}")
    if failed:
        raise SystemExit(1)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=benchmark_names, default=list(BENCHMARKS), metavar="NAME,...", help=f"of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="short runs, stored separately, never written to README.md"
    )
    parser.add_argument("--fresh", action="store_true", help="delete the stored measurements")
    parser.add_argument("--no-peer", action="store_true", help="leave the peers out")
    parser.add_argument(
        "--peers", type=Path, default=BENCH, help="the folder of the peers, which the *_setup.sh scripts fill (.bench)"
    )
    return parser.parse_args(argv)


def benchmark_names(text: str) -> list[str]:
    """The names in a comma-separated list, in the order of the table."""
    names = text.split(",")
    for name in names:
        if name not in BENCHMARKS:
            raise argparse.ArgumentTypeError(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    return [name for name in BENCHMARKS if name in names]


def find_peers(names: list[str], folder: Path) -> dict[str, Peer]:
    """The environments of these peers; missing ones are set up. A peer whose set-up fails is left out."""
    peers = {}
    for name in names:
        setup = PEER_SETUPS[name]
        print(f"{name} in {folder / setup.folder}: set up if it is missing ({setup.size})", flush=True)
        script = ROOT / f"benchmarks/{setup.folder}_setup.sh"
        done = subprocess.run(["bash", script, folder / setup.folder], check=False)
        # not resolved: the Python of a virtual environment is a symbolic link
        python = (folder / setup.environment / "venv/bin/python").absolute()
        try:
            if done.returncode:
                raise MeasurementFailed("its set-up failed")
            versions = measure([str(python), "-c", VERSIONS, *setup.packages])["output"]
        except (OSError, MeasurementFailed) as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        paths = {"folder": str((folder / setup.folder).absolute()), "events": str(EVENTS)}
        arguments = tuple(word.format(**paths) for word in setup.arguments.split())
        peers[name] = Peer(python=python, arguments=arguments, versions=versions)
    if any("{events}" in PEER_SETUPS[name].arguments for name in peers):
        measure([sys.executable, "-m", "benchmarks.segue_side", "export", "--events", str(EVENTS)])
    return peers


def missing_data() -> dict[str, str]:
    """The benchmarks whose data sets are not available, with the reason."""
    print("data sets: downloaded if they are missing", flush=True)
    missing = measure([sys.executable, "-m", "benchmarks.segue_side", "fetch"])["output"]["missing"]
    for reason in missing.values():
        print(reason)
    unavailable = {}
    for name, benchmark in BENCHMARKS.items():
        lacking = [data for data in benchmark.data if data in missing]
        if lacking:
            unavailable[name] = f"not measured: {', '.join(lacking)} is not available"
    return unavailable


def run_benchmark(name: str, jobs: Jobs, folder: Path) -> dict[str, str]:
    """Measure what is not stored. Returns {name: reason} if a measurement failed, which ends the benchmark."""
    for count, (variant, job) in enumerate(jobs, 1):
        title = f"{name} {count}/{len(jobs)}: {variant.label}"
        if job.load(folder):
            print(f"{title}: stored", flush=True)
            continue
        print(f"{title}, usually {job.expected_seconds:.0f} s ...", end=" ", flush=True)
        try:
            record = job.run(folder)
        except MeasurementFailed as error:
            print(f"failed: {error}", flush=True)
            return {name: f"failed: {variant.label}"}
        print(f"{record['cpu_s']:.1f} CPU s, {record['wall_s']:.1f} s, {record['peak_mb']:,.0f} MB", flush=True)
    return {}


def load_results(plan: dict[str, Jobs], folder: Path) -> report.Results:
    """All valid stored results."""
    results: report.Results = {}
    for name, jobs in plan.items():
        for variant, job in jobs:
            record = job.load(folder)
            if record:
                results.setdefault(name, {}).setdefault(variant.label, []).append(record)
    return results


def reason_not_to_publish(results: report.Results, missing: dict[str, str], version: str) -> str:
    """The reason not to publish the table; empty if all available benchmarks are complete for one version."""
    if segue_version() != version:
        return "the source was changed while it was measured; run it again"
    lacking = [name for name in BENCHMARKS if name not in missing and not is_complete(name, results)]
    return f"not measured: {', '.join(lacking)}" if lacking else ""


def is_complete(name: str, results: report.Results) -> bool:
    """Whether a benchmark has every run of every variant."""
    benchmark = BENCHMARKS[name]
    num_runs = {label: len(records) for label, records in results.get(name, {}).items()}
    return num_runs == {variant.label: benchmark.rounds * variant.runs_per_round for variant in benchmark.variants}


if __name__ == "__main__":
    main()
