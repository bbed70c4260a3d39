"""The command line: `segue run`, `evaluate`, `recommend`, `data`, `demo`, `reproduce`.

Bad input prints one message on stderr and exits with code 2; nothing half-written is left.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError

from segue.cli.data import data
from segue.cli.demo import demo
from segue.cli.evaluate import evaluate
from segue.cli.recommend import recommend
from segue.cli.reproduce import reproduce
from segue.cli.run import run
from segue.console import stderr
from segue.errors import SegueError

app = App(
    name="segue",
    help="What comes next: sequential recommendation from a log of events, measured honestly.",
    version=lambda: f"segue {version('segue')}",
    help_format="plaintext",
)
for command in (run, evaluate, recommend, data, demo, reproduce):
    app.command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0, or 2 for input that cannot be used, or 130 when interrupted."""
    sys.exit(status(sys.argv[1:] if arguments is None else arguments))


def status(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    try:
        app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except SegueError as error:
        return _complain(str(error))
    except CycloptsError as error:
        return _complain(str(error).strip() or type(error).__name__)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        stderr().print("interrupted; the same command takes an interrupted training up again", markup=False)
        return 130
    return 0


def _complain(message: str) -> int:
    stderr().print(f"segue: {message}", markup=False, soft_wrap=True)
    return 2
