"""Temporary folders beside their targets, and the locks that tell whose process was killed.

    with temporary_folder(Path("models/pop")) as folder:      models/.pop.1f0c9a2b, empty and locked
        ...

The operating system releases the lock of a process that ends, however it ends. A temporary folder without a lock was
therefore left behind by a killed process: the next writer of the same target deletes it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

OLD = ".old"  # ends the hidden name of a folder that is being replaced


def check_name(target: Path) -> None:
    """Check that the system takes the names of the temporary folders of `target`, which are longer than its own.

    Raises:
        OSError: a name, or the whole path, is too long.
    """
    place, names = target.parent, [f"{_temporary_name(target)}{OLD}"]
    while not place.exists():
        place, names = place.parent, [*names, place.name]
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(place / name)


def _temporary_name(target: Path) -> str:
    return f".{target.name}.{token_hex(4)}"


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """An empty, hidden and locked folder beside `target`, which is deleted at the end of the block.

    Folders that killed processes left for the same target are deleted first.

    Raises:
        OSError: the folder cannot be made, or what the block raises. It names `target`, not the hidden folder.
    """
    delete_abandoned(target)
    folder, descriptor = target.with_name(_temporary_name(target)), None
    try:  # Ctrl-C may come as soon as the folder is there
        descriptor = _make_locked(folder)
        yield folder
    except OSError as error:
        _name_target(error, folder, target)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _name_target(error: OSError, folder: Path, target: Path) -> None:
    """Let an error about the temporary folder of a target, or about a file in it, name the target."""
    if isinstance(error.filename, str) and Path(error.filename).is_relative_to(folder):
        inside = Path(error.filename).relative_to(folder)
        error.filename = str(target if inside == Path(target.name) else target / inside)


def give_usual_mode(path: Path, folder: Path) -> None:
    """Give a file the permissions that the umask leaves, known from those of a temporary folder: 644 for 755.

    Some libraries, such as safetensors, write files that only their owner can read.
    """
    mode = folder.stat().st_mode & 0o666
    if path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)


def _make_locked(folder: Path) -> int | None:
    """Make a folder; the descriptor that holds its lock, or None where there are no locks."""
    while True:
        # another process may take it for abandoned, and delete it, until it is locked
        with suppress(FileExistsError):  # it was deleted in the middle of `mkdir`
            folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            descriptor, is_free = _try_lock(folder)
            if is_free and folder.exists():
                return descriptor
            if descriptor is not None:
                os.close(descriptor)


def delete_abandoned(target: Path) -> None:
    """Delete the temporary folders that killed processes left for `target`; those in use stay."""
    _delete(target.parent, re.escape(target.name))


def delete_all_abandoned(folder: Path) -> None:
    """Delete the temporary folders that killed processes left in `folder`, for whatever target; those in use stay."""
    _delete(folder, ".+")


def _delete(parent: Path, name: str) -> None:
    with suppress(OSError):  # what may not be read or changed here is not ours to delete
        for folder in abandoned_folders(parent, name):
            shutil.rmtree(folder, ignore_errors=True)


def abandoned_folders(parent: Path, name: str, ending: str = "") -> Iterator[Path]:
    """The temporary folders that killed processes left in `parent`, the newest first.

    Each is locked until the next one is asked for, so that no two processes handle the same one. Where there are no
    locks it is unknown whether a process has ended: there are none then.

    Args:
        parent: the folder of the targets.
        name: a regular expression for the names of the targets.
        ending: what follows the usual name of a temporary folder.
    """
    hidden = re.compile(rf"\.{name}\.[0-9a-f]{{8}}{re.escape(ending)}")
    found = [path for path in parent.iterdir() if hidden.fullmatch(path.name) and path.is_dir()]
    for folder in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        descriptor, _ = _try_lock(folder)
        if descriptor is not None:
            try:
                yield folder
            finally:
                os.close(descriptor)


@contextmanager
def locked_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder for this process, and say whether that was possible; the lock ends with the process.

    Yields:
        False if another process holds the lock. Where there are no locks (on Windows, on some network drives), True.
    """
    descriptor, is_free = _try_lock(folder)
    try:
        yield is_free
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Wait until no other thread or process rewrites a folder, and let them wait until the block ends.

    A folder that is replaced meanwhile is locked anew, under the same name. Where there are no locks, nobody waits.
    """
    descriptor = None if sys.platform == "win32" else _wait_for_lock(folder)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _wait_for_lock(folder: Path) -> int | None:
    """The descriptor that holds the lock of a folder; None if there is no folder, or no lock."""
    import fcntl

    while True:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)


def _try_lock(folder: Path) -> tuple[int | None, bool]:
    """The descriptor that holds the lock of a folder, or None; and whether no other process holds it.

    The folder itself is locked, not a file in it: it is made and deleted with its lock, and holds nothing but content.
    """
    if sys.platform == "win32":
        return None, True
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return None, not isinstance(error, BlockingIOError)
    return descriptor, True
