"""Searches and comparisons that are killed at random times, with all their processes, end as if they never had been.

`SEGUE_KILLS=100` sets the number of kills of each command. `SEGUE_BUSY=2` adds so many processes that keep the cores
busy meanwhile, and `SEGUE_SEED` draws other times.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .cases import write_inputs

KILLS = int(os.environ.get("SEGUE_KILLS", "6"))
SEED = os.environ.get("SEGUE_SEED", "0")
BUSY = int(os.environ.get("SEGUE_BUSY", "0"))
TOO_LONG = 600.0  # seconds; such a command hangs
IN_A_ROW = 3  # kills of a command until it may end
# what depends on the order of two processes is left out: the choice of the optimiser, and with it the trials
COMMANDS = {
    "search": "search bprmf events.csv --space space.toml --trials 12 --set epochs=2 batch_size=64 --no-baselines",
    "search in two processes": "search item-knn events.csv --space knn.toml --trials 12 --jobs 2 --no-baselines",
    "comparison in two processes": "compare events.csv --models pop,item-knn,bprmf --trials 3 --jobs 2 -o models",
}
KNN = "window = [1, 2, 3]\nnum_neighbours = [5, 10]\nshrinkage = [0, 5]\n"


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep cores busy with so many processes."""
    processes = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(number)]
    for process in processes:
        process.start()
    yield
    for process in processes:
        process.kill()
        process.join()


def _spin() -> None:
    while True:
        pass


def run(command: str, folder: Path, seconds: float | None = None) -> float:
    """Run a command to its end, or kill it and all its processes after some seconds; the seconds that it ran."""
    start = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SEGUE_QUIET": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "segue", *shlex.split(command), "--json", "result.json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            _, messages = process.communicate(timeout=TOO_LONG if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            assert seconds is not None, f"{command} hangs"
        else:
            assert process.returncode == 0, messages
    return time.monotonic() - start


def outcome(folder: Path) -> Any:
    """What a search or a comparison found: its trials, the figures on validation and test, the weights of models."""
    result = json.loads((folder / "result.json").read_text())
    best = result.get("best_models") or {"best": result}
    trials = [trial["settings"] | {"metric": trial["metric"]} for trial in result.get("search", {}).get("trials", [])]
    return {
        "trials": sorted(trials, key=str),  # two processes run them in any order
        "best": {name: (about["experiment"], about["search"]["trial"]["metric"]) for name, about in best.items()},
        "test": {model["model"]: model["metrics"] for model in result["models"]},
        "serve": result.get("serve"),
        "weights": {path.parent.name: path.read_bytes() for path in folder.rglob("weights.safetensors")},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_random_kills(name: str, tmp_path: Path) -> None:
    command, drawn, whole = COMMANDS[name], random.Random(f"{name} {SEED}"), tmp_path / "whole"
    prepare(whole)
    with busy(BUSY):
        seconds = run(command, whole)
        expected = outcome(whole)
        for _ in range(math.ceil(KILLS / IN_A_ROW)):
            folder = tmp_path / "killed"
            prepare(folder)
            moments = [drawn.uniform(0.0, seconds) for _ in range(IN_A_ROW)]
            for moment in moments:
                run(command, folder, moment)
            run(command, folder)
            assert outcome(folder) == expected, f"killed after {moments}"
            assert not [path for path in folder.rglob(".*") if path.name != "."]
            shutil.rmtree(folder)


def prepare(folder: Path) -> None:
    """Make a folder with the files that the commands read."""
    folder.mkdir()
    write_inputs(folder)
    (folder / "knn.toml").write_text(KNN)
