"""Atomic writing of files, hashes, and JSON.

    with atomic_file(path) as temporary:      # ".NAME.1f0c9a2b/NAME" beside `path`
        write(temporary)                      # replaces `path` when the block ends without an error

A reader sees the old content or the new content, never a part of it. After an error the old content is still there and
the temporary folder is gone; that of a killed process is deleted by the next writer (`segue.temporary`). It lies beside
the target, so that the final move is a rename. The content is on the disk before success is reported. `segue.folders`
does the same for folders.
"""

from __future__ import annotations

import errno
import hashlib
import json
import lzma
import math
import os
import re
import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from segue.temporary import give_usual_mode, temporary_folder

if TYPE_CHECKING:
    import numpy as np

# what zipfile and its decompressors raise for archives that are damaged, encrypted, or packed in an unknown way
BAD_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError),
)
_PIPE_PAUSE = 10  # milliseconds


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """The path of a temporary file that replaces `path` when the block ends without an error.

    A symbolic link stays, and its target is replaced. A pipe or a device, such as /dev/stdout, cannot be replaced: the
    content is copied into it at the end.

    Raises:
        OSError: the file cannot be written; `path` is unchanged. Or the reader of a pipe left before it had read all.
    """
    if path.exists() and not path.is_file():
        with TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            yield temporary
            _copy(temporary, path)
        return
    path = path.resolve()
    with temporary_folder(path) as place:
        temporary = place / path.name
        yield temporary
        give_usual_mode(temporary, place)
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)


def _copy(source: Path, special: Path) -> None:
    """Copy a file into a pipe or a device; with a pipe, wait until its reader has taken everything.

    The system takes some 64 KB for a pipe. Without the wait, nobody knows that a reader has left them there.

    Raises:
        OSError: the device is full, or the reader has left.
    """
    with source.open("rb") as file, special.open("wb", buffering=0) as target:
        shutil.copyfileobj(file, target)
        if not special.is_fifo() or sys.platform == "win32":
            return
        import fcntl
        import select
        import termios

        def is_waiting() -> bool:
            return any(fcntl.ioctl(target, termios.FIONREAD, bytes(4)))  # the number of bytes that wait

        poll = select.poll()
        poll.register(target, 0)  # reports only that there is no reader
        while is_waiting():
            if poll.poll(_PIPE_PAUSE) and is_waiting():
                raise BrokenPipeError(errno.EPIPE, "its reader left before it had read everything")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; numbers that are not finite become null."""
    write_text(path, json.dumps(plain_values(content), indent=2, allow_nan=False) + "\n")


def plain_values(value: Any) -> Any:
    """The value as JSON can hold it: dictionaries with text keys, lists for tuples, None for NaN and infinity.

    Bytes of a file name that are no UTF-8, which Python keeps as half characters, become escapes such as \\udcff.
    """
    if isinstance(value, dict):
        return {plain_values(str(key)): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def is_unicode(path: str | Path) -> bool:
    """Whether a path is valid Unicode, as Polars needs it. Linux allows any bytes in names of files."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def flush(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    if path.is_dir() and sys.platform == "win32":
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def short_hash(parts: Iterable[bytes | np.ndarray]) -> str:
    """16 hex digits (BLAKE2b) of bytes and arrays, one after the other."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.ravel().data)
    return digest.hexdigest()


def json_hash(content: Any) -> str:
    """16 hex digits of plain values; the order of the keys of a dictionary does not matter."""
    return short_hash([json.dumps(content, sort_keys=True, separators=(",", ":")).encode()])


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_regular_file(path: Path) -> os.stat_result:
    """The status of a file, which is no folder. A pipe or a device is not read, because that may never end.

    Raises:
        OSError: there is no such file, or it is something else.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a pipe or a device")
    return status


def reason(error: BaseException) -> str:
    """Why a file could not be read or written, in a few words: for error messages.

    Libraries report what the operating system says in words of their own, with the names of temporary files.
    """
    text = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    if number := re.search(r"\(os error (\d+)\)", text):  # Polars and safetensors
        return os.strerror(int(number[1]))
    if re.fullmatch(r"\d+ requested and \d+ written", text):  # NumPy
        return "not all of it could be written; is the disk full?"
    return text
