"""The errors that a user can mend. Each message says what was found, where, and what to do.

The command line prints the message alone and exits with code 2; in Python they are ordinary exceptions.
"""

import difflib
from collections.abc import Iterable


class SegueError(Exception):
    """Base of all errors that are the input's, not the program's."""


class DataError(SegueError):
    """A log, or a file that should become one, cannot be used as it is."""


class ConfigError(SegueError):
    """A setting is unknown, of the wrong type or out of range."""


class ArtefactError(SegueError):
    """A saved model or log folder is missing, damaged or of another version."""


class TrainingError(SegueError):
    """Training cannot go on: the loss is not finite, or the run cannot be resumed."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`", did you mean 'dim'?"` where one of the known words is close, otherwise nothing; case does not count."""
    words = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), words, n=1)
    return f", did you mean {words[close[0]]!r}?" if close else ""


def require(condition: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `condition` holds: for the ranges that a config's `__post_init__` checks."""
    if not condition:
        raise ConfigError(message)
