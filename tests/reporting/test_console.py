"""Remarks and progress go to stderr, in the form that fits where they are read, and can be silenced."""

import doctest
import io
import subprocess
import sys
from itertools import count

import pytest
from rich.console import Console

from segue.reporting import console
from segue.reporting.console import progress, say


@pytest.fixture(autouse=True)
def loud(monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET", raising=False)


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal of 100 columns would be sent."""
    file = io.StringIO()
    drawn = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    monkeypatch.setattr(console, "stderr", lambda: drawn)
    return file


def work(steps=3, **options):
    with progress("epochs", total=steps, **options) as bar:
        for step in range(steps):
            bar.note(f"loss {step}")
            bar.advance()


def test_remarks_are_plain_text_on_stderr(capsys):
    say("see [1] and [bold]this[/bold]")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "see [1] and [bold]this[/bold]\n")


@pytest.mark.parametrize(("value", "silent"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_quiet(monkeypatch, capsys, value, silent):
    monkeypatch.setenv("SEGUE_QUIET", value)
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0)
    say("hello")
    work()
    assert (capsys.readouterr().err == "") == silent


def test_no_terminal_no_bar(capsys):
    work()
    assert capsys.readouterr().err == ""


def test_a_line_now_and_then_where_there_is_no_terminal(monkeypatch, capsys):
    clock = count(step=10)
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    work(20)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["epochs: 3 of 20 steps loss 2", "epochs: 6 of 20 steps loss 5"]
    assert len(lines) == 6


def test_a_bar_on_a_terminal_and_gone_afterwards(terminal):
    work(unit="epochs")
    drawn = terminal.getvalue()
    assert "epochs" in drawn
    assert "3/3" in drawn
    assert "loss 2" in drawn
    assert drawn.endswith("\x1b[2K"), "the line is erased"


def test_bytes_and_brackets(terminal):
    with progress("ml-1m.zip [draft]", total=2_000_000, unit="bytes") as bar:
        bar.advance(1_500_000)
        bar.note("[half]")
    assert "1.5/2.0 MB" in terminal.getvalue()
    assert "ml-1m.zip [draft]" in terminal.getvalue()
    assert "[half]" in terminal.getvalue()


def test_unknown_totals(terminal, capsys):
    with progress("fetching") as bar:
        bar.advance()
    assert "fetching" in terminal.getvalue()


def test_errors_pass_through(terminal):
    with pytest.raises(ZeroDivisionError), progress("epochs"):
        raise ZeroDivisionError


def test_it_loads_neither_torch_nor_rich():
    code = "import sys, segue.reporting.console; print([m for m in ('torch', 'rich') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_docstrings_are_true():
    assert doctest.testmod(console).failed == 0
