"""The errors that a user can correct. Each message says what is wrong, where, and what to do.

The command line prints the message alone and exits with code 2. In Python they are ordinary exceptions.
"""

import difflib
from collections.abc import Iterable


class SegueError(Exception):
    """Base class of errors in the input, as opposed to errors in the program."""


class DataError(SegueError):
    """A log, or a file that is read as a log, cannot be used."""


class ConfigError(SegueError):
    """A setting is unknown, of the wrong type or out of range."""


class ArtefactError(SegueError):
    """A saved model or log folder is missing, damaged or of another version."""


class TrainingError(SegueError):
    """Training cannot continue: the loss is not finite, or the run cannot be resumed."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`", did you mean 'window'?"` if one of the known words is similar, otherwise an empty text; case is ignored."""
    words = {str(name).casefold(): name for name in known}
    close = difflib.get_close_matches(str(word).casefold(), words, n=1)
    return f", did you mean {words[close[0]]!r}?" if close else ""


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """The message for a word that is not among the known ones."""
    known = list(known)
    return f"unknown {what} {word!r}{did_you_mean(word, known)}; known: {', '.join(known)}"


def require(condition: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `condition` holds: used to check the ranges of settings."""
    if not condition:
        raise ConfigError(message)
