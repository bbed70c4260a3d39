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
def not_quiet(monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET", raising=False)


@pytest.fixture
def terminal(monkeypatch):
    """The output to a terminal of 100 columns."""
    file = io.StringIO()
    terminal_console = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    monkeypatch.setattr(console, "stderr", lambda: terminal_console)
    return file


def work(steps=3, **options):
    with progress("epochs", total=steps, **options) as bar:
        for step in range(steps):
            bar.note(f"loss {step}")
            bar.advance()


def test_messages_are_plain_text_on_stderr(capsys):
    say("see [1] and [bold]this[/bold]")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "see [1] and [bold]this[/bold]\n")


@pytest.mark.parametrize(("value", "silent"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_quiet_by_environment_variable(monkeypatch, capsys, value, silent):
    monkeypatch.setenv("SEGUE_QUIET", value)
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0)
    say("hello")
    work()
    assert (capsys.readouterr().err == "") == silent


def test_no_bar_without_a_terminal(capsys):
    work()
    assert capsys.readouterr().err == ""


def test_progress_lines_without_a_terminal(monkeypatch, capsys):
    clock = count(step=10)
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    work(20)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "epochs: 1 of 20 steps, loss 0; 3 min 10 s left",
        "epochs: 4 of 20 steps, loss 3; 2 min 40 s left",
        "epochs: 7 of 20 steps, loss 6; 2 min 10 s left",
    ]
    assert len(lines) == 7


def test_the_time_left_counts_neither_resumed_units_nor_more_than_the_limit(monkeypatch, capsys):
    clock = count(step=10)
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with progress("training", total=100, unit="epochs", at_most=True, done=90) as bar:
        bar.advance()
    with progress("training", total=100, unit="epochs", at_most=True, seconds=95) as bar:
        bar.advance()
    assert capsys.readouterr().err.splitlines() == [
        "training: 91 of at most 100 epochs; at most 1 min 30 s left",
        "training: 1 of at most 100 epochs; at most 1 min 25 s left",
    ]


def test_only_the_first_of_several_processes_speaks(monkeypatch, capsys):
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        say(f"process {rank}")
    assert capsys.readouterr().err == "process 0\n"


def test_bar_on_a_terminal_is_erased_afterwards(terminal):
    work(unit="epochs")
    text = terminal.getvalue()
    assert "epochs" in text
    assert "3/3" in text
    assert "loss 2" in text
    assert text.endswith("\x1b[2K"), "the line is erased"


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


def test_errors_are_not_swallowed(terminal):
    with pytest.raises(ZeroDivisionError), progress("epochs"):
        raise ZeroDivisionError


def test_importing_console_loads_neither_torch_nor_rich():
    code = "import sys, segue.reporting.console; print([m for m in ('torch', 'rich') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_docstring_examples():
    assert doctest.testmod(console).failed == 0
