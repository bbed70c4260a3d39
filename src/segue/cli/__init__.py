"""The command line: `segue run`, `search`, `compare`, `evaluate`, `recommend`, and further commands, one file each.

Bad input prints one message on stderr and exits with code 2; no half-written file is left.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from segue.cli.app import app
from segue.cli.renamed import renamed_option
from segue.cli.signals import Terminated, prepare_signals
from segue.errors import DataError, SegueError
from segue.reporting.console import printable, stderr
from segue.reporting.streams import prepare_streams

__all__ = ["app", "main", "status"]

RESUMABLE = {"run", "fit", "retrain", "search", "compare", "reproduce"}
MEMORY = "allocate|(out of|not enough) memory|calculation overflowed"  # of numpy, torch and its devices
LONGEST = 5000  # characters of a message: a file may have thousands of columns


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with 0, with 2 for input that cannot be used, or with 130 or 143 when interrupted."""
    prepare_streams()
    prepare_signals()
    sys.exit(status(sys.argv[1:] if arguments is None else arguments))


def status(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    result = 0
    try:
        _check_current_folder()
        result = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except SegueError as error:
        return _fail(str(error))
    except CycloptsError as error:
        renamed = renamed_option(arguments)
        return _fail(f"{renamed}. {_see_help(error)}" if renamed else _message(error))
    except (BrokenPipeError, SystemExit):  # the reader of a pipe has gone; rich leaves by SystemExit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (MemoryError, RuntimeError, ModuleNotFoundError) as error:
        message = _what_is_missing(error)
        if message is None:
            raise
        return _fail(message)
    except OSError as error:
        from segue.io import reason

        return _fail(f"{error.filename or 'writing failed'}: {reason(error)}")
    except KeyboardInterrupt as stop:
        word, code = ("terminated", 128 + stop.number) if isinstance(stop, Terminated) else ("interrupted", 130)
        continues = {*arguments[:1]} & RESUMABLE and "--estimate" not in arguments
        resume = "; the same command continues from there" if continues else ""
        return _fail(f"{word}{resume}", code)
    return result if isinstance(result, int) else 0  # a command may return another exit code


def _check_current_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise DataError(f"the current folder is gone ({error.strerror}); change to another one with cd") from error


def _what_is_missing(error: Exception) -> str | None:
    """The memory, the package or the path that a command lacks, in words; None if the error is of another kind."""
    if isinstance(error, ModuleNotFoundError):  # an installation that is damaged, or was made without dependencies
        package = (error.name or "").partition(".")[0]
        if package in ("", "segue"):
            return None
        return f'this needs the package {package}, which is not installed: pip install "segue{_extra_with(package)}"'
    if loop := re.match(r"Symlink loop from '(.*)'", str(error)):  # what Python says before version 3.13
        return f"{loop[1]}: is a symbolic link that leads to itself; give another path"
    if not re.search(MEMORY, str(error)):
        return None
    reason = str(error).partition("\n")[0]
    return f"not enough memory ({reason}); use smaller settings or a smaller log"


def _extra_with(package: str) -> str:
    """The extra of segue that brings a package, such as "[viz]"; empty if it is a dependency of segue itself."""
    from importlib.metadata import requires

    name = re.escape(package.replace("_", "-"))
    found = (re.match(rf"{name}\b.*extra == ['\"](\w+)", needed) for needed in requires("segue") or ())
    return next((f"[{match[1]}]" for match in found if match), "")


def _message(error: CycloptsError) -> str:
    """What is wrong with a command line, and where its help is."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword is None:
            usage = (error.app and error.app.usage) or ""
            return f"{error.argument.name.lstrip('-').upper()} is missing. {usage}"
        text = f"{error.keyword} needs a value."
    elif isinstance(error, UnusedCliTokensError):
        text = f"{' '.join(error.unused_tokens or ())!r} is too much."
    elif isinstance(error, UnknownOptionError) and error.command_chain in (("run",), ("fit",), ("search",)):
        text += " Settings of the model go after --set, such as --set epochs=20."
    return f"{text} {_see_help(error)}"


def _see_help(error: CycloptsError) -> str:
    return f"See {' '.join(['segue', *(error.command_chain or ())])} --help"


def _fail(message: str, code: int = 2) -> int:
    text = printable(f"segue: {message}")
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    with suppress(OSError):  # where no message can be written, the exit code alone says it
        stderr().print(text, markup=False, soft_wrap=True)
    return code
