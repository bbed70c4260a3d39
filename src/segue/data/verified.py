"""Remembers which saved folders were verified on this machine, so that their hashes are computed once.

    SEGUE_CACHE/verified/3f0c9a2b1d5e6f70      named after the path of the folder
    8d2e4c6f0a1b3c5d                           its content: the state of the files when they were verified

The state is where and how long each file is and when it last changed. A file that is written to again has another one,
whatever its content and its time of modification, because its time of change cannot be set.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from segue.data.cache_folder import cache_folder
from segue.errors import DataError
from segue.io import json_hash, short_hash, write_text

SETTLED = 2_000_000_000  # ns: a file that changed less long ago may change again without another time of change


def files_state(paths: Iterable[Path], expected: object) -> str | None:
    """The state of files and of what they were compared with; None if one has changed within the last seconds.

    Raises:
        OSError: a file is missing.
    """
    found = [(str(path.resolve()), path.stat()) for path in paths]
    if max((status.st_ctime_ns for _, status in found), default=0) > time.time_ns() - SETTLED:
        return None
    fields = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return json_hash([[(path, *(getattr(status, name) for name in fields)) for path, status in found], expected])


def is_verified(folder: Path, state: str | None) -> bool:
    """Whether the files of a folder were verified in this state."""
    try:
        return state is not None and _stamp(folder).read_text(encoding="ascii") == state
    except (OSError, ValueError, DataError):
        return False


def remember_verified(folder: Path, state: str | None) -> None:
    """Keep that the files of a folder were verified. Where that cannot be written, they are verified every time."""
    if state is not None:
        with suppress(OSError, DataError):
            _stamp(folder).parent.mkdir(parents=True, exist_ok=True)
            write_text(_stamp(folder), state)


def _stamp(folder: Path) -> Path:
    return cache_folder() / "verified" / short_hash([str(folder.resolve()).encode("utf-8", "surrogateescape")])
