"""Help texts, and starting the program."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess

import pytest

from segue.cli import app

from .logs import PYTHON, done

COMMANDS = (
    *("run", "search", "compare", "board", "blend", "evaluate", "recommend", "explain", "similar", "serve", "models"),
    *("data", "demo", "reproduce"),
)
GROUPS = ("rules", "store")  # of commands


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(segue, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "250")
    out = done(segue(f"{command} --help"))
    assert out.startswith(f"Usage: segue {command}")
    rows = [re.split(r"\s{2,}", line.strip("│* \n")) for line in out.splitlines() if line.startswith("│")]
    explained: dict[str, list[str]] = {}
    above: list[str] = []
    for names, *text in rows:  # a second name may stand in a line of its own, below the text
        above = text or above
        explained |= dict.fromkeys(names.split(), above)
    options = [name for argument in app[command].assemble_argument_collection() for name in argument.names]
    assert "--json" in explained or "--json" not in options
    for name in {name for name in options if name != "*"}:
        assert len(" ".join(explained[name])) > 10, name


def test_examples_in_the_help_are_commands(segue):
    shown = [done(segue(f"{command} --help")) for command in ("", *COMMANDS, *GROUPS)]
    examples = [line.split("  ")[0] for text in shown for line in re.findall(r"^  (segue .*)", text, re.MULTILINE)]
    assert len(examples) > 10
    for example in examples:
        if "COMMAND" not in example:
            command, *_ = app.parse_args(shlex.split(example)[1:], exit_on_error=False, print_error=False)
            words = example.split()[1:]
            assert command.__name__.partition("_")[0] in words[:2]


def test_no_arguments_give_the_help(segue):
    assert done(segue([])) == done(segue(["--help"])) == done(segue(["-h"]))


def test_the_package_runs_as_a_module():
    ran = subprocess.run([*PYTHON, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"segue \d+\.\d+\.\d+\n", ran.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_has_more_than_ten_parameters(command):
    assert len(inspect.signature(app[command].default_command).parameters) <= 10
