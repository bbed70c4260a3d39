"""Measures how long commands take to start: processor time, wall time and memory of whole processes.

    python -m benchmarks.startup models/hgn-cds models/seq-knn-cds
    python -m benchmarks.startup models/hgn-cds --against ../before/src --json startup.json

The commands run in turn, so that a busy phase of the machine meets all of them, with one thread each. With --against,
each also runs with another version of segue. The first run of each command is not counted: it writes the bytecode,
as an installation does, and copies the histories of the models into the store of the services, which then has a
million events.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple
from multiprocessing import get_context
from pathlib import Path
from random import Random
from urllib.request import urlopen

import psutil

import segue
from benchmarks.process import Cost, wait
from benchmarks.running_service import READY

SOURCE = Path(segue.__file__).parents[1]
EVENTS = 1_000_000
BLOCK = 50_000  # events that are stored at a time


def measure(arguments: list[str], source: Path, folder: Path) -> Cost:
    """The cost of a command of segue with the package in `source`; of a service, the seconds until it is ready."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command, begin, ready = [sys.executable, "-m", "segue", *arguments], time.perf_counter(), None
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    ) as process:
        assert process.stderr is not None
        message = ""
        for line in process.stderr:
            message += line
            if found := READY.search(line):
                with urlopen(f"http://127.0.0.1:{found[1]}/readyz") as answer:
                    assert answer.status == 200
                ready = sum(psutil.Process(process.pid).cpu_times()[:2]), time.perf_counter() - begin
                process.send_signal(signal.SIGTERM)
        cost = wait(process, begin)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{message}")
    return Cost(*ready, cost.peak_mb) if ready else cost


def fill_store(url: str) -> None:
    """Put events of random users and items into a store until it has a million."""
    from segue.event_store.clock import now
    from segue.event_store.event import Event
    from segue.event_store.store import open_store

    store, random = open_store(url), Random(0)
    start = now()
    for block in range(len(store.events), EVENTS, BLOCK):
        new = [
            Event(f"u{random.randrange(50_000)}", f"i{random.randrange(30_000)}", start + block + number)
            for number in range(min(BLOCK, EVENTS - block))
        ]
        store.events.append(new)
    store.close()


def first_user(model: Path) -> str:
    """The name of a user whom a saved model knows."""
    from segue.serving.saved_model import load

    return str(load(model).log.users.tokens[0])


def commands(users: Mapping[Path, str], store: str) -> Iterator[list[str]]:
    """The commands that are measured, with saved models and a user of each."""
    yield ["--help"]
    yield ["models"]
    for model, user in users.items():
        yield ["recommend", str(model), "--user", user]
    yield ["run", "item-knn", "ml-100k"]
    for model in users:
        yield ["serve", str(model), "--active", model.name, "--store", store, "--port", "0"]


def compare(models: list[Path], sources: list[Path], runs: int) -> dict[str, dict[str, Cost]]:
    """The median costs of each command with each version of segue: by the command, then by the folder of the source."""
    # the largest memory of a process counts that of its parent at the start, so this process stays small
    with tempfile.TemporaryDirectory() as name, get_context("spawn").Pool(1) as other:
        folder = Path(name)
        store = f"sqlite:///{folder}/events.db"
        users = {model: other.apply(first_user, (model,)) for model in models}
        for command in commands(users, store):
            for source in sources:
                measure(command, source, folder)
        other.apply(fill_store, (store,))
        costs: dict[tuple[str, ...], dict[Path, list[Cost]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(runs):
            for command in commands(users, store):
                for source in sources:
                    costs[tuple(command)][source].append(measure(command, source, folder))
    return {
        " ".join(command[:2]): {str(source): median(found) for source, found in by_source.items()}
        for command, by_source in costs.items()
    }


def median(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*(statistics.median(values) for values in zip(*map(astuple, costs), strict=True)))


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, nargs="+", help="folders of saved models")
    parser.add_argument("--against", type=Path, help="the folder of the package of another version, such as ../old/src")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    sources = [path.resolve() for path in (args.against, SOURCE) if path is not None]
    found = compare([model.resolve() for model in args.models], sources, args.runs)
    print("| command | source | CPU s | wall s | peak MB |\n|---|---|---:|---:|---:|")
    for command, by_source in found.items():
        for source, cost in by_source.items():
            print(f"| {command} | {source} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.peak_mb:.0f} |")
    if args.json:
        content = {key: {source: asdict(cost) for source, cost in value.items()} for key, value in found.items()}
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
