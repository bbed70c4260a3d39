"""`log_text`: what the log of a service says of an error. It has no names of users."""

from __future__ import annotations

import traceback

from segue.errors import SegueError


def log_text(error: BaseException) -> str:
    """What the log says of an error: the message of one that is foreseen, and else its type and place in the code.

    The message of any other error may have names of users.
    """
    if isinstance(error, SegueError):
        return str(error)
    return f"{type(error).__name__} in\n{''.join(traceback.format_list(traceback.extract_tb(error.__traceback__)))}"
