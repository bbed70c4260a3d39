"""Measures segue and peer libraries in one run, with one thread each.

    python -m benchmarks                                       all benchmarks: about an hour
    python -m benchmarks --only epoch-ce,eval                  some of them
    python -m benchmarks --quick                               a test that everything runs; its figures mean nothing
    python -m benchmarks --only hstu --add                     adds some of them to the results of an earlier run
    python -m benchmarks --page                                only writes the tables of README.md again

Every measurement is stored in .bench/results. An interrupted run is resumed: only what is missing, or was measured
with another version of the code, is measured. When all benchmarks are complete, the results are written to
benchmarks/results/complete.json, which is committed, and the tables in benchmarks/README.md are made from it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.benchmark import Variant, segue_version, unavailable_data
from benchmarks.jobs import BENCH, ROOT, Job, MeasurementFailed
from benchmarks.only import add_only
from benchmarks.peer_setups import find_peers
from benchmarks.plan import BENCHMARKS
from benchmarks.results_file import COMPLETE, CompleteRun, Results

Jobs = list[tuple[Variant, Job]]

README = ROOT / "benchmarks" / "README.md"


def main(argv: list[str] | None = None) -> None:
    """Measure what is missing, print the table, and store it if it is complete."""
    args = parse(sys.argv[1:] if argv is None else argv)
    if args.page:
        return write_page()
    folder = BENCH / ("quick" if args.quick else "results")
    if args.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    missing = missing_data()
    peer_names = {peer: None for name in args.only if name not in missing for peer in BENCHMARKS[name].peers}
    peers = {} if args.no_peer else find_peers(list(peer_names), args.peers, set_up=not args.quick)
    version = segue_version()
    plan = {
        name: list(benchmark.jobs(name, version, peers, quick=args.quick)) for name, benchmark in BENCHMARKS.items()
    }
    failed: dict[str, str] = {}
    for name in args.only:
        if name not in missing:
            failed |= run_benchmark(name, plan[name], folder)
    versions = {name: peer.versions for name, peer in peers.items()}
    run = CompleteRun.here(load_results(plan, folder), missing | failed, versions)
    print("\n" + "\n".join(report.blocks(run).values()))
    published = CompleteRun.read(COMPLETE) if COMPLETE.exists() else None
    if args.add:
        if published is None:
            raise SystemExit(f"--add: {COMPLETE}: there is none; a complete run of the benchmarks writes it")
        run, wanted = published.with_results(run, args.only), args.only
    elif args.incomplete:
        wanted = []
    else:
        wanted = [name for name in BENCHMARKS if name not in missing or (published and name in published.results)]
    reason = "--quick measures too little" if args.quick else reason_not_to_publish(run.results, wanted, version)
    if reason:
        print(f"{README.name} is unchanged: {reason}")
    else:
        run.write(COMPLETE)
        write_page()
    without_data = [] if args.only == list(BENCHMARKS) else [name for name in args.only if name in missing]
    if failed or without_data:
        raise SystemExit(1)


def write_page() -> None:
    """Write the tables of README.md from the committed results."""
    if not COMPLETE.exists():
        raise SystemExit(f"{COMPLETE}: there is none; a complete run of the benchmarks writes it")
    report.replace(README, report.blocks(CompleteRun.read(COMPLETE)))
    print(f"wrote {README}")


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_only(parser, BENCHMARKS, "benchmark")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="short runs with the peers that are set up, stored separately, never written to README.md",
    )
    parser.add_argument(
        "--incomplete",
        action="store_true",
        help="store the results and write README.md although some are missing",
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="store the benchmarks of --only beside those of the committed file, which stay as they are",
    )
    parser.add_argument("--page", action="store_true", help="measure nothing; write README.md from the stored results")
    parser.add_argument("--fresh", action="store_true", help="delete the stored measurements")
    parser.add_argument("--no-peer", action="store_true", help="leave the peers out")
    parser.add_argument(
        "--peers", type=Path, default=BENCH, help="the folder of the peers, which the *_setup.sh scripts fill (.bench)"
    )
    return parser.parse_args(argv)


def missing_data() -> dict[str, str]:
    """The benchmarks whose data sets are not available, with the reason."""
    missing = unavailable_data()
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
        usual = f", usually {job.expected_seconds:.0f} s" if job.expected_seconds else ""
        print(f"{title}{usual} ...", end=" ", flush=True)
        try:
            record = job.run(folder)
        except MeasurementFailed as error:
            print(f"failed: {error}", flush=True)
            return {name: f"failed: {variant.label}"}
        print(f"{record['cpu_s']:.1f} CPU s, {record['wall_s']:.1f} s, {record['peak_mb']:,.0f} MB", flush=True)
    return {}


def load_results(plan: dict[str, Jobs], folder: Path) -> Results:
    """All valid stored results."""
    results: Results = {}
    for name, jobs in plan.items():
        for variant, job in jobs:
            record = job.load(folder)
            if record:
                results.setdefault(name, {}).setdefault(variant.label, []).append(record)
    return results


def reason_not_to_publish(results: Results, wanted: list[str], version: str) -> str:
    """The reason not to publish the table; empty if all wanted benchmarks are complete for one version."""
    if segue_version() != version:
        return "the source was changed while it was measured; run it again"
    lacking = [name for name in wanted if not is_complete(name, results)]
    return f"not measured: {', '.join(lacking)}" if lacking else ""


def is_complete(name: str, results: Results) -> bool:
    """Whether a benchmark has every run of every variant."""
    benchmark = BENCHMARKS[name]
    num_runs = {label: len(records) for label, records in results.get(name, {}).items()}
    return num_runs == {variant.label: benchmark.rounds * variant.runs_per_round for variant in benchmark.variants}


if __name__ == "__main__":
    main()
