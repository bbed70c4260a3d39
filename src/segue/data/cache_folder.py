"""The folder of what segue keeps between commands: fetched data sets, trainings, and which saved logs were verified."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from segue.errors import DataError


def cache_folder() -> Path:
    """`SEGUE_CACHE`, or `segue` in the platform's cache folder.

    Raises:
        DataError: `SEGUE_CACHE` names a user who is unknown, or it is not set and there is no home folder.
    """
    if chosen := folder_of_variable("SEGUE_CACHE"):
        return chosen
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = _home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")
    return base / "segue"


def folder_of_variable(name: str) -> Path | None:
    """The folder that an environment variable names, with `~` as the home folder; None if it is not set.

    Raises:
        DataError: it begins with `~`, and that home folder is unknown.
    """
    chosen = os.environ.get(name)
    if not chosen:
        return None
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise DataError(f"{name}={chosen}: that home folder is unknown; write the whole path in place of ~") from error


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # an account without an entry in the list of users, as in containers
        raise DataError(
            "no place for what is kept between commands: this account has no home folder; set SEGUE_CACHE to a folder "
            "that can be written"
        ) from error
