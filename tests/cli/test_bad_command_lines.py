"""Command lines that cannot be understood: one message, exit code 2, and nothing is changed."""

from __future__ import annotations

import subprocess

import pytest

from .bad_input import Bad, check, written
from .logs import PYTHON
from .test_bad_data import FILES
from .test_bad_folders import SAVED
from .test_bad_settings import SETTINGS

WORDS = {
    "unknown command": Bad("rum pop events.csv", r"\"rum\"\. Did you mean \"run\"\?.*See segue --help"),
    "unknown option": Bad(
        "run pop events.csv --protocl hgn", r"--protocl\. Did you mean --protocol\? .* See segue run --help"
    ),
    "setting as an option": Bad("run hgn events.csv --lr 0.1", r"--lr\. .*Settings of the model go after --set"),
    "model missing": Bad("run", r"MODEL is missing\. Usage: segue run MODEL DATA"),
    "data missing": Bad("run pop", r"DATA is missing\. Usage: segue run MODEL DATA"),
    "data behind --set": Bad(
        "run hgn --set embedding_dim=4 events.csv", r"DATA is missing\. Usage: segue run MODEL DATA \[OPTIONS\]"
    ),
    "data of models missing": Bad(
        "evaluate models/pop", r"DATA is missing\. Usage: segue evaluate MODELS\.\.\. --data DATA"
    ),
    "value missing": Bad("run pop events.csv --out", r"--out needs a value\. See segue run --help"),
    "too many words": Bad("recommend models/pop u3", r"'u3' is too much\. See segue recommend --help"),
    "device of a table that takes none": Bad("reproduce hgn-table3 --device cuda", r"only hgn-table5 takes a device"),
    "no such device": Bad(
        "reproduce hgn-table5 --device gpu", r"--device gpu: cannot be used here \(.*take --device cpu"
    ),
    "methods of a table that compares them": Bad(
        "reproduce hgn-table3 --methods HGN",
        r"hgn-table3 compares its methods.*these tables take it: .*hgn-table3-paper",
    ),
    "unknown method of a table": Bad(
        "reproduce hgn-table3-paper --methods HNG", r"unknown method 'HNG', did you mean 'HGN'\?; known: POP, .*, HGN"
    ),
    "methods without a table": Bad("reproduce --methods HGN", r"--methods needs the name of a table"),
    "options without a table": Bad(
        "reproduce --fresh", r"--fresh needs the name of a table; `segue reproduce` .*lists"
    ),
    "unknown table": Bad("reproduce hgn-tabel3", r"no table 'hgn-tabel3', did you mean 'hgn-table3'"),
}


@pytest.mark.parametrize("bad", WORDS.values(), ids=WORDS)
def test_a_command_line_that_cannot_be_understood(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


SEPARATE = FILES["text for a time"], SETTINGS["unknown setting"], SAVED["weights.safetensors damaged"]


@pytest.mark.parametrize("bad", SEPARATE, ids=["data", "setting", "saved model"])
def test_bad_input_of_a_separate_process(here, bad, monkeypatch):
    if bad.file is not None:
        written("bad.csv", bad.file)(monkeypatch)
    bad.prepare(monkeypatch)
    done = subprocess.run([*PYTHON, *bad.words()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("segue: ")
    assert "Traceback" not in done.stderr
