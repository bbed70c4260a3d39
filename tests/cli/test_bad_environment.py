"""Environment variables that cannot be used: one message and exit code 2, or they do not count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segue.data.readers.ingest import read_log
from segue.data.store import save_log

from .bad_input import Bad, Prepare, check
from .logs import PYTHON, done


def variables(**values: str) -> Prepare:
    return lambda patch: [patch.setenv(name, value) for name, value in values.items()]


def no_home(patch: pytest.MonkeyPatch) -> None:
    """An account without a home folder, as in a container with a user of its own."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SEGUE_CACHE", "SEGUE_DATA", "XDG_CACHE_HOME"):
        patch.delenv(name, raising=False)
    patch.setattr(sys, "platform", "linux")
    patch.setattr(Path, "home", unknown)


UNKNOWN = "that home folder is unknown; write the whole path in place of ~"
BAD = {
    "a cache of nobody": Bad(
        "data yoochoose", f"SEGUE_CACHE=~nobody-here/x: {UNKNOWN}", prepare=variables(SEGUE_CACHE="~nobody-here/x")
    ),
    "data of nobody": Bad(
        "data ml-100k", f"SEGUE_DATA=~nobody-here: {UNKNOWN}", prepare=variables(SEGUE_DATA="~nobody-here")
    ),
    "no home": Bad("data yoochoose", "this account has no home folder; set SEGUE_CACHE to a folder", prepare=no_home),
    "no home for trainings": Bad("reproduce hgn-table3", "no home folder; set SEGUE_CACHE", prepare=no_home),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_variables_that_cannot_be_used(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("prepare", [no_home, variables(SEGUE_CACHE="~nobody-here")], ids=["no home", "nobody"])
def test_a_saved_log_needs_no_cache(prepare, here, segue, monkeypatch):
    save_log(read_log("events.csv"), "saved")
    prepare(monkeypatch)
    assert "72 events" in done(segue("data saved"))


def test_a_current_folder_that_was_deleted(tmp_path, monkeypatch, segue):
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in ("data ml-100k", "run pop ../events.csv", "models", f"data {tmp_path}/here/events.csv -o log"):
        code, out, err = segue(command)
        assert (code, out) == (2, "")
        assert err == "segue: the current folder is gone (No such file or directory); change to another one with cd\n"


@pytest.mark.parametrize("command", ["data events.csv -o log", "data nosuch.csv", "run pop events.csv", "no-command"])
def test_a_message_that_cannot_be_written_leaves_the_exit_code(command, here):
    with open("/dev/full", "w") as full:
        quiet = {name: value for name, value in os.environ.items() if name != "SEGUE_QUIET"}
        ended = subprocess.run([*PYTHON, *command.split()], env=quiet, stdout=full, stderr=full, check=False)
    assert ended.returncode == 2
    assert not (here / "log").exists()


@pytest.mark.parametrize("size", ["\u00b2", "9" * 5000, "0", "-5", "wide"])
def test_a_size_of_the_terminal_that_is_none_does_not_count(size, here):
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    plain, sized = (
        subprocess.run(
            [*PYTHON, "data", "events.csv"], env={**environment, **more}, capture_output=True, text=True, check=False
        )
        for more in ({}, {"COLUMNS": size, "LINES": size})
    )
    assert (sized.returncode, sized.stdout, sized.stderr) == (0, plain.stdout, plain.stderr)
