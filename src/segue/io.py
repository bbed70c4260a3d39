"""Atomic writing of files and folders, hashes, and JSON.

    with atomic_file(path) as temporary:      # ".NAME.1f0c9a2b" beside `path`
        write(temporary)                      # replaces `path` when the block ends without an error

A reader sees the old content or the new content, never a part of it. After an error the old content is still there and
the temporary file is gone. The temporary lies in the folder of its target, so that the final move is a rename.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np

from segue.errors import ArtefactError


def _temporary(path: Path) -> Path:
    """A new name beside `path`, hidden and different for every writer."""
    return path.with_name(f".{path.name}.{token_hex(4)}")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """The path of a temporary file that replaces `path` when the block ends without an error.

    Raises:
        OSError: the file cannot be written; `path` is unchanged.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def delete_leftovers(path: Path) -> None:
    """Delete temporary files of `path` that remain from killed processes. No process may be writing `path`."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}"):
        leftover.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; numbers that are not finite become null.

    A symbolic link stays, and its target is replaced. A pipe or a device, such as /dev/stdout, cannot be replaced and
    is written directly.
    """
    text = json.dumps(plain_values(content), indent=2, allow_nan=False) + "\n"
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
    else:
        write_text(path.resolve(), text)


def plain_values(value: Any) -> Any:
    """The value as JSON can hold it: dictionaries with text keys, lists for tuples, None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def atomic_folder(folder: Path, *, replace: bool = True) -> Iterator[Path]:
    """An empty temporary folder that takes the place of `folder` when the block ends without an error.

    Missing parent folders are made.

    Args:
        folder: the target.
        replace: whether a folder that is already there is replaced. Otherwise it stays and the new one is discarded.

    Raises:
        OSError: the folder cannot be written; `folder` is unchanged.
    """
    temporary = _temporary(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if replace or not folder.is_dir():
            _move_folder(temporary, folder, replace=replace)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_folder(new: Path, folder: Path, *, replace: bool) -> None:
    """Rename `new` to `folder`. An existing folder is renamed first, and gets its name back if that fails."""
    if not folder.exists():
        try:
            os.replace(new, folder)
        except OSError:
            if replace or not folder.is_dir():  # otherwise another process was faster, and its folder stays
                raise
        return
    old = new.with_name(f"{new.name}.old")
    os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_folder(folder: Path, marker: str, description: str) -> None:
    """Check that a folder can be saved to `folder`, before time is spent on its content.

    Args:
        folder: the target. It may be missing, empty, or a folder of the same kind, which would be replaced.
        marker: a file that every folder of this kind contains.
        description: the kind of folder, for the message.

    Raises:
        ArtefactError: the target holds something else, or is not in a folder that can be written to.
    """
    if folder.name in ("", ".."):
        raise ArtefactError(f"{folder}: give the {description} a folder of its own, with a name")
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not (folder / marker).is_file():
        raise ArtefactError(f"{folder}: is there and is not a {description}; choose another name")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ArtefactError(f"{folder}: cannot be written: {parent} is not a folder that you may write to")


def short_hash(parts: Iterable[bytes | np.ndarray]) -> str:
    """16 hex digits (BLAKE2b) of bytes and arrays, one after the other."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).ravel().data)
    return digest.hexdigest()


def json_hash(content: Any) -> str:
    """16 hex digits of plain values; the order of the keys of a dictionary does not matter."""
    return short_hash([json.dumps(content, sort_keys=True, separators=(",", ":")).encode()])


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: BaseException) -> str:
    """Why a file could not be read or written, in a few words: for error messages."""
    return getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
