"""segue beside its peers, in one run, one thread each.

    python -m benchmarks                                       everything: about an hour
    python -m benchmarks --only epoch-ce,eval                  some rows
    python -m benchmarks --quick                               does everything run? the figures mean nothing

Every measurement is kept in .bench/results: a run that was stopped is taken up, and only what is missing, or was
measured with another version of the code, is measured. When all rows are there, benchmarks/README.md gets the table.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.jobs import ROOT, Failed, Job, measure
from benchmarks.plan import ROWS, Side, own_version
from benchmarks.programs import PROGRAMS, Peer

Jobs = list[tuple[Side, Job]]

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
    """Measure what is missing; print the table, and write it where it is complete."""
    args = parse(sys.argv[1:] if argv is None else argv)
    folder = BENCH / ("quick" if args.quick else "results")
    if args.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    missing = unavailable()
    wanted = {program: None for name in args.only if name not in missing for program in ROWS[name].programs}
    peers = {} if args.no_peer else find_peers(list(wanted), args.peers)
    version = own_version()
    plan = {name: list(row.jobs(name, version, peers, quick=args.quick)) for name, row in ROWS.items()}
    failed: dict[str, str] = {}
    for name in args.only:
        if name not in missing:
            failed |= measure_row(name, plan[name], folder)
    results = kept(plan, folder)
    told = report.block(results, missing | failed, peers)
    print(f"\n{told}")
    against = "--quick measures too little" if args.quick else objection(results, missing, version)
    if against:
        print(f"{README.name} is as it was: {against}")
    else:
        report.replace(README, told)
        print(f"wrote {README}")
    if failed:
        raise SystemExit(1)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=rows, default=list(ROWS), metavar="ROW,...", help=f"of {', '.join(ROWS)}")
    parser.add_argument(
        "--quick", action="store_true", help="little of everything, kept apart, never written to README.md"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what was measured")
    parser.add_argument("--no-peer", action="store_true", help="leave the peers out")
    parser.add_argument(
        "--peers", type=Path, default=BENCH, help="the folder of their folders, which the *_setup.sh make (.bench)"
    )
    return parser.parse_args(argv)


def rows(text: str) -> list[str]:
    """Names of rows, in the order of the table."""
    names = text.split(",")
    for name in names:
        if name not in ROWS:
            raise argparse.ArgumentTypeError(f"no row {name!r}; there are: {', '.join(ROWS)}")
    return [name for name in ROWS if name in names]


def find_peers(names: list[str], folder: Path) -> dict[str, Peer]:
    """The environments of these peers; each is made where it is not there. Who cannot be had is told and left out."""
    found = {}
    for name in names:
        program = PROGRAMS[name]
        print(f"{name} in {folder / program.folder}: made if it is not there ({program.size})", flush=True)
        setup = ROOT / f"benchmarks/{program.folder}_setup.sh"
        done = subprocess.run(["bash", setup, folder / program.folder], check=False)
        # not resolved: a virtual environment's Python is a link to another
        python = (folder / program.environment / "venv/bin/python").absolute()
        try:
            if done.returncode:
                raise Failed("its set-up ended early")
            versions = measure([str(python), "-c", VERSIONS, *program.packages])["said"]
        except (OSError, Failed) as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        places = {"folder": str((folder / program.folder).absolute()), "events": str(EVENTS)}
        arguments = tuple(word.format(**places) for word in program.arguments.split())
        found[name] = Peer(python=python, arguments=arguments, versions=versions)
    if any("{events}" in PROGRAMS[name].arguments for name in found):
        measure([sys.executable, "-m", "benchmarks.segue_side", "export", "--events", str(EVENTS)])
    return found


def unavailable() -> dict[str, str]:
    """Rows whose data cannot be had, and why."""
    print("data sets: fetched if they are not there", flush=True)
    missing = measure([sys.executable, "-m", "benchmarks.segue_side", "fetch"])["said"]["missing"]
    for why in missing.values():
        print(why)
    found = {}
    for name, row in ROWS.items():
        lacking = [data for data in row.data if data in missing]
        if lacking:
            found[name] = f"not measured: {', '.join(lacking)} is not here"
    return found


def measure_row(name: str, jobs: Jobs, folder: Path) -> dict[str, str]:
    """Measure what is not kept; {name: why} if a measurement failed, which ends the row."""
    for count, (side, job) in enumerate(jobs, 1):
        say = f"{name} {count}/{len(jobs)}: {side.label}"
        if job.kept(folder):
            print(f"{say}: kept", flush=True)
            continue
        print(f"{say}, usually {job.usual:.0f} s ...", end=" ", flush=True)
        try:
            record = job.run(folder)
        except Failed as error:
            print(f"failed: {error}", flush=True)
            return {name: f"failed: {side.label}"}
        print(f"{record['cpu_s']:.1f} CPU s, {record['wall_s']:.1f} s, {record['peak_mb']:,.0f} MB", flush=True)
    return {}


def kept(plan: dict[str, Jobs], folder: Path) -> report.Results:
    """All results that count."""
    results: report.Results = {}
    for name, jobs in plan.items():
        for side, job in jobs:
            record = job.kept(folder)
            if record:
                results.setdefault(name, {}).setdefault(side.label, []).append(record)
    return results


def objection(results: report.Results, missing: dict[str, str], version: str) -> str:
    """Why the results are not for the page, or nothing: all rows that can be had, of one version of the source."""
    if own_version() != version:
        return "the source was changed while it was measured; run it again"
    lacking = [name for name in ROWS if name not in missing and not complete(name, results)]
    return f"not measured: {', '.join(lacking)}" if lacking else ""


def complete(name: str, results: report.Results) -> bool:
    """Whether a row has every run of every side."""
    row = ROWS[name]
    have = {label: len(records) for label, records in results.get(name, {}).items()}
    return have == {side.label: row.rounds * side.times for side in row.sides}


if __name__ == "__main__":
    main()
