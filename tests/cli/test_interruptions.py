"""Interrupted commands, closed pipes, full disks and bugs: exit codes and what is left behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from segue.cli import status
from segue.data.datasets import catalog
from segue.serving import saved_model
from segue.temporary import locked_folder
from segue.training import loop as train

from .logs import PYTHON, done, weights

HGN = "run hgn events.csv --set embedding_dim=4 epochs=5 --seed 3"


@pytest.mark.parametrize("command", ["--help", "run --help", "data events.csv", "recommend models/pop --user u1"])
def test_a_pipe_that_closes_early_ends_quietly(here, command):
    with subprocess.Popen([*PYTHON, *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_the_same_command_resumes_an_interrupted_run(segue, here, monkeypatch):
    done(segue(f"{HGN} --out whole"))
    epoch, passes = train.train_epoch, []

    def twice_only(*args):
        if len(passes) == 2:
            raise KeyboardInterrupt
        passes.append(args)
        return epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", twice_only)
        code, out, err = segue(f"{HGN} --out parts")
    assert (code, out) == (130, "")
    assert err == "segue: interrupted; the same command continues from there\n"
    assert not (here / "parts").exists()
    done(segue(f"{HGN} --out parts"))
    whole, parts = weights("whole"), weights("parts")
    assert all(np.array_equal(whole[key], parts[key]) for key in whole)
    assert (here / "parts/training.jsonl").read_text().count("\n") == 5
    assert not (here / "parts.training").exists()


def test_an_interrupted_estimate_promises_nothing(segue, here, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train_batch", stop)
    assert segue(f"{HGN} --estimate") == (130, "", "segue: interrupted\n")


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_process_and_keeps_the_training_state(here, number, code, word):
    command = [
        *PYTHON,
        "run",
        "hgn",
        "events.csv",
        "--set",
        "embedding_dim=4",
        "epochs=1000000",
        "--patience",
        "1000000",
    ]
    state = here / "models/hgn.training/state.safetensors"
    before = (here / "models/hgn/model.json").read_bytes()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        limit = time.monotonic() + 60
        while not state.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err == f"segue: {word}; the same command continues from there\n"
    assert state.exists()
    assert (here / "models/hgn/model.json").read_bytes() == before


@pytest.mark.parametrize("command", ["run pop events.csv --no-baselines -o new", "fit pop events.csv -o new"])
def test_the_folder_of_a_result_is_locked_until_the_result_is_saved(segue, here, monkeypatch, command):
    """Also after the training, and by a model that keeps no state."""
    save, free = saved_model.save, []

    def check_lock(*args, **options):
        with locked_folder(here / "new.training") as is_free:
            free.append(is_free)
        return save(*args, **options)

    monkeypatch.setattr(saved_model, "save", check_lock)
    done(segue(command))
    assert free == [False]
    assert not (here / "new.training").exists()


def test_a_second_run_into_one_folder_is_refused(segue, here):
    (here / "new.training").mkdir()
    with locked_folder(here / "new.training"):
        code, _, err = segue("run pop events.csv --no-baselines -o new")
    assert code == 2
    assert err.startswith("segue: new.training: another process is training there; wait until it ends")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "choices"),
    [
        ("recommend models/pop --all --out new.csv", ("-k 1", "-k 7")),
        ("blend models/hgn models/pop --data events.csv -o new", ("", "--no-baselines")),
        ("run pop events.csv --no-baselines -o new", ("--seed 1", "--seed 2")),
    ],
)
def test_two_processes_with_one_output_leave_one_whole_result(segue, here, command, choices):
    """Or one of them is refused, and says so."""
    started = [subprocess.Popen([*PYTHON, *command.split(), *choice.split()]) for choice in choices]
    codes = [process.wait() for process in started]
    assert 0 in codes
    assert set(codes) <= {0, 2}
    if (here / "new").exists():
        saved_model.load(here / "new")
    else:
        both = {}
        for choice in choices:
            done(segue([*command.replace("new.csv", "alone.csv").split(), *choice.split()]))
            both[choice] = (here / "alone.csv").read_bytes()
        assert (here / "new.csv").read_bytes() in both.values()
    assert not [path for path in here.iterdir() if path.name.startswith(".")]


def test_an_interrupted_command_without_training_is_not_resumed(segue, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog, "load_log", interrupt)
    assert segue("data events.csv") == (130, "", "segue: interrupted\n")


def test_a_bug_is_not_reported_as_bad_input(segue, monkeypatch):
    def fail(*args, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(catalog, "load_log", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        status(["data", "events.csv"])


@pytest.mark.parametrize(
    ("command", "limit", "place"),
    [
        ("run pop events.csv", 100, "models/pop"),
        ("data events.csv -o log", 100, "log"),
        (HGN, 10, "models/hgn.training"),
        (HGN, 1000, "models/hgn.training"),
    ],
    ids=["model", "log", "course of the training", "state of the training"],
)
def test_a_full_disk_leaves_existing_files_unchanged(here, segue, command, limit, place):
    done(segue("data events.csv -o log"))
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        code, _, err = segue(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2
    assert re.fullmatch(rf"segue: \S*{place}: .*File too large.*\n", err)
    assert {path: path.read_bytes() for path in before} == before
    assert not [path for path in here.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]


@pytest.mark.parametrize(
    "command",
    [
        "run pop events.csv",
        "compare events.csv --models pop,item-knn",
        "explain models/hgn --user u1",
        "data events.csv",
    ],
)
def test_a_terminal_that_knows_only_ascii_shows_everything(here, command):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "SEGUE_QUIET": "0"}
    ended = subprocess.run([*PYTHON, *command.split()], capture_output=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    text = ended.stdout.decode("ascii")
    if command.startswith("run"):
        assert re.search(r"\.\d{4}-\.\d{4}", text)  # an interval
    assert "?" not in text


def test_a_closed_stdout_loses_no_model(here):
    command = " ".join([*PYTHON, "run pop events.csv -o models/new --no-baselines >&-"])
    assert subprocess.run(command, shell=True, check=False, stderr=subprocess.PIPE).returncode == 0
    assert (here / "models/new/model.json").is_file()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 is set, but not RANK and MASTER_PORT and MASTER_ADDR: start .* torchrun"),
        (
            {"WORLD_SIZE": "two", "RANK": "0", "MASTER_PORT": "1", "MASTER_ADDR": "localhost"},
            "WORLD_SIZE=two is no whole number",
        ),
    ],
)
def test_half_of_the_variables_of_torchrun_are_refused(segue, monkeypatch, variables, message):
    for name in ("WORLD_SIZE", "RANK", "MASTER_PORT", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, err = segue("run pop events.csv")
    assert (code, out) == (2, "")
    assert re.match(f"segue: {message}", err)


def test_control_c_while_modules_are_imported_leaves_no_traceback(here):
    code = (
        "import sys; sys.modules['segue.cli'] = None; "
        "import builtins; real = builtins.__import__\n"
        "def interrupt(name, *rest):\n"
        "    if name == 'segue.cli': raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = interrupt\n"
        "from segue.__main__ import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")
