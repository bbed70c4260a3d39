"""Atomic writing of folders.

    with atomic_folder(folder) as temporary:      # ".NAME.1f0c9a2b" beside `folder`
        write(temporary / "weights")              # takes the place of `folder` when the block ends without an error

A reader sees the old folder or the new folder, never a mixture. On Linux and macOS the two exchange their names in one
step, so there is always one of them. On Windows, and on drives that cannot exchange names, a reader may find none for a
moment. The content is on the disk before that. What killed processes leave behind is deleted by the next writer.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from segue.errors import ArtefactError
from segue.io import flush, is_unicode, reason
from segue.temporary import (
    OLD,
    abandoned_folders,
    check_name,
    delete_abandoned,
    give_usual_mode,
    locked_folder,
    temporary_folder,
)

Kind = Literal["saved model", "saved log", "search", "comparison", "export"]
# the file by which a folder of each kind is known
MARKERS: dict[Kind, str] = {
    "saved model": "model.json",
    "export": "export.json",
    "saved log": "log.json",
    "search": "search.json",
    "comparison": "compare.json",
}
# a file that the folders of a kind have beside the marker
_BESIDE: dict[Kind, str] = {"saved model": "weights.safetensors", "saved log": "stop.npy"}
# what file managers leave in the folders that they show
_OF_FILE_MANAGERS = (".DS_Store", "Thumbs.db", "desktop.ini")
# system -> the function of its C library, AT_FDCWD, and the flag RENAME_EXCHANGE or RENAME_SWAP
_EXCHANGES = {"linux": ("renameat2", -100, 2), "darwin": ("renameatx_np", -2, 2)}
_CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}  # of old kernels and other drives


@contextmanager
def atomic_folder(folder: Path, *, replace: bool = True) -> Iterator[Path]:
    """An empty temporary folder that takes the place of `folder` when the block ends without an error.

    Missing parent folders are made. Folders that killed processes left behind are deleted. When the block has ended,
    the content is on the disk, and survives a crash of the machine.

    Args:
        folder: the target. A symbolic link stays, and the folder that it names is replaced.
        replace: whether a folder that is already there is replaced. Otherwise it stays and the new one is discarded.

    Raises:
        OSError: the folder cannot be written; `folder` is unchanged.
    """
    folder = folder.resolve()
    recover_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder) as temporary:
        yield temporary
        if replace or not folder.is_dir():
            _flush_tree(temporary)
            _move_folder(temporary, folder, replace=replace)
            flush(folder.parent)


def recover_folder(folder: Path) -> None:
    """Put a folder back in its place whose replacement was interrupted, and delete what killed processes left.

    Where two folders cannot be exchanged in one step, a killed process leaves the old folder under a hidden name.
    """
    with suppress(OSError):  # what may not be read or changed here is not ours to recover
        for old in abandoned_folders(folder.parent, re.escape(folder.name), OLD):
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(old, folder)
        delete_abandoned(folder)


def interrupted_folder(folder: Path) -> Path | None:
    """The hidden folder that `recover_folder` would put in the place of a missing `folder`; None if there is none."""
    with suppress(OSError):
        return next(abandoned_folders(folder.parent, re.escape(folder.name), OLD), None)
    return None


def _move_folder(new: Path, folder: Path, *, replace: bool) -> None:
    """Rename `new` to `folder`. A folder that is already there ends under the name of `new`, or is gone."""
    if not folder.exists():
        try:
            os.replace(new, folder)
        except OSError:
            if replace or not folder.is_dir():  # otherwise another process was faster, and its folder stays
                raise
        return
    if _exchange(new, folder):
        return
    old = new.with_name(f"{new.name}{OLD}")
    with locked_folder(folder):  # so that no reader puts it back meanwhile
        os.replace(folder, old)
        try:
            os.replace(new, folder)
        except BaseException:
            os.replace(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system or the drive cannot.

    Raises:
        OSError: it can, but these two may not be exchanged, or the disk fails.
    """
    if sys.platform not in _EXCHANGES:
        return False
    name, at_current_folder, exchange = _EXCHANGES[sys.platform]
    rename = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if rename is None:
        return False
    done = rename(at_current_folder, os.fsencode(one), at_current_folder, os.fsencode(other), exchange) == 0
    number = ctypes.get_errno()
    if not done and number not in _CANNOT_EXCHANGE:
        raise OSError(number, os.strerror(number), str(other))
    return done


def _flush_tree(folder: Path) -> None:
    """Write the files of a folder, and their names, to the disk; all files get the permissions of the umask."""
    for path in folder.rglob("*"):
        if path.is_file():
            give_usual_mode(path, folder)
        flush(path)
    flush(folder)


def is_folder_of(kind: Kind, folder: str | Path) -> bool:
    """Whether a folder is of this kind: whether it holds the marker."""
    return (Path(folder) / MARKERS[kind]).is_file()


def kind_without_marker(folder: Path) -> Kind | None:
    """The kind of a folder whose marker is missing, or is no file; None if it is of no kind that can be told."""
    return next((k for k, name in _BESIDE.items() if (folder / name).is_file() and not is_folder_of(k, folder)), None)


def check_folder(folder: Path, kind: Kind, files: Collection[str] = ()) -> None:
    """Check that a folder can be saved to `folder`, before time is spent on its content.

    A folder whose replacement was interrupted is put back first (`recover_folder`); half a marker is deleted.

    Args:
        folder: the target. It may be missing, empty, or a folder of the same kind, which would be replaced.
        kind: of folder.
        files: the names of all files of a kind that is replaced as a whole. With none, the target is only added to.

    Raises:
        ArtefactError: the target holds something else, or is not in a folder that can be written to.
    """
    if folder.name in ("", ".."):
        raise ArtefactError(f"{folder}: give the {kind} a folder of its own, with a name")
    if not is_unicode(folder.absolute()):
        raise ArtefactError(
            f"{str(folder.absolute())!r}: is no valid Unicode (UTF-8); choose another name for the folder"
        )
    try:
        check_name(folder)
    except OSError as error:
        raise ArtefactError(f"{folder}: cannot be written: {reason(error)}") from error
    if not folder.exists():
        recover_folder(folder)
    if not is_folder_of(kind, folder):
        delete_abandoned(folder / MARKERS[kind])  # of a process that was killed while it wrote the first file
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not is_folder_of(kind, folder):
        raise ArtefactError(f"{folder}: is there and is not a {kind}; choose another name")
    if files and folder.is_dir():
        _check_content(folder, kind, files)
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ArtefactError(f"{folder}: cannot be written: {parent} is not a folder that you may write to")


def _check_content(folder: Path, kind: Kind, files: Collection[str]) -> None:
    """Raise `ArtefactError` if a folder that is to be replaced holds anything beside the files of its kind."""
    known = {MARKERS[kind], *files, *_OF_FILE_MANAGERS}
    names = {path.name for path in folder.iterdir() if path.name not in known or not path.is_file()}
    if others := sorted(names):
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise ArtefactError(
            f"{folder}: holds {others[0]}{more}, no part of a {kind}, which would be lost when the folder is replaced; "
            "move it to another place, or choose another folder"
        )
