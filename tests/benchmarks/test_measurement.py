"""A process that measures: its clock, its result, and its cost from outside."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import pytest
from benchmarks.jobs import ROOT
from benchmarks.measurement import command_line, run, scaled, timed, training
from benchmarks.process import elsewhere
from benchmarks.process import run as run_process

BUSY = "import time\nwhile time.process_time() < 0.2: pass"


def test_a_clock_counts_the_cpu_seconds_of_this_process_and_of_its_children() -> None:
    seconds, done = timed(lambda: subprocess.run([sys.executable, "-c", BUSY], check=True))
    assert done.returncode == 0
    assert seconds["cpu_s"] >= 0.2
    assert seconds["wall_s"] > 0


def test_a_part_of_an_epoch_is_scaled_to_the_epoch_and_keeps_its_loss() -> None:
    assert scaled({"wall_s": 2.0, "cpu_s": 1.0, "loss": 0.5}, 10) == {"wall_s": 20.0, "cpu_s": 10.0, "loss": 0.5}


def test_the_first_epochs_do_not_count() -> None:
    args = command_line("", repeat=2).parse_args([])
    assert training([3.0, 2.0, 1.0], args) == {"warm_up": [3.0], "epochs": [2.0, 1.0]}


def test_only_the_result_is_on_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(args: argparse.Namespace) -> dict[str, int]:
        print("a message of a library")
        return {"seed": args.seed}

    monkeypatch.setattr(sys, "argv", ["measurement", "--seed", "3"])
    run(command_line("What is measured.", repeat=1), measure)
    text, messages = capsys.readouterr()
    assert json.loads(text) == {"seed": 3}
    assert messages == "a message of a library\n"


def test_the_peak_memory_is_in_megabytes() -> None:
    # in a small process: the peak memory of a child starts at that of its parent
    code = "import sys; from benchmarks.process import run; print(run([sys.executable, '-c', sys.argv[1]]).peak_mb)"
    done = subprocess.run(
        [sys.executable, "-c", code, "bytearray(300_000_000)"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert 300 < float(done.stdout) < 400


def test_a_process_that_fails_ends_the_program() -> None:
    with pytest.raises(SystemExit, match=r"-c pass; .* nothing: exit code 2"):
        run_process([sys.executable, "-c", "pass; raise SystemExit(2)", "nothing"])
    with pytest.raises(SystemExit, match="exit: exit code 3"):
        elsewhere(sys.exit, 3)
