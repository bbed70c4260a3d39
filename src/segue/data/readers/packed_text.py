"""`open_text`: a text file that may be gzip-compressed, as a file of its text.

A text is read up to a multiple of the size of its file. Other compressions are told by their first bytes and refused.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from segue.errors import DataError
from segue.expansion import Expansion

PIECE = 1 << 16  # bytes read at a time
DAMAGED = (EOFError, OSError, zlib.error)
GZIP = b"\x1f\x8b"
UNPACKED = Expansion(ratio=100, spare=1 << 28)  # of a text from its gzip file
# suffixes of compressed files -> the program that unpacks them; their first bytes -> the suffix
PACKED = {
    **{".zst": "zstd -d", ".zip": "unzip", ".bz2": "bunzip2", ".xz": "unxz", ".lz4": "lz4 -d", ".z": "uncompress"},
    **{".7z": "7z x", ".rar": "unrar x", ".tar": "tar xf", ".tgz": "tar xf", ".tbz2": "tar xf", ".txz": "tar xf"},
}
_FIRST_BYTES = {
    **{b"\x28\xb5\x2f\xfd": ".zst", b"PK\x03\x04": ".zip", b"PK\x05\x06": ".zip", b"BZh": ".bz2", b"\xfd7zXZ": ".xz"},
    **{b"\x04\x22\x4d\x18": ".lz4", b"\x1f\x9d": ".z", b"7z\xbc\xaf": ".7z", b"Rar!": ".rar"},
}


def open_text(path: Path) -> BinaryIO:
    """Open a file that may be gzip-compressed; its bytes are those of the text.

    Raises:
        DataError: it is compressed in another way, or its suffix says gzip and it is not.
    """
    with path.open("rb") as file:
        start = file.read(8)
    for magic, suffix in _FIRST_BYTES.items():
        if start.startswith(magic):
            raise DataError(
                f"{path}: compressed in a way that is not read; unpack it first ({PACKED[suffix]} {path.name})"
            )
    compressed = start.startswith(GZIP)
    if path.suffix == ".gz" and not compressed:
        raise DataError(f"{path}: not a gzip file; rename it without .gz, or download it again")
    return cast(BinaryIO, _Unpacked(path)) if compressed else path.open("rb")


class _Unpacked(gzip.GzipFile):
    """The text of a gzip file, up to a multiple of its size: a file of repetitions would fill the memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.left = UNPACKED.limit(path)

    def read(self, size: int | None = -1) -> bytes:
        """Read at most `size` bytes; everything that is left if it is negative.

        Raises:
            OSError: the text is too long.
        """
        wanted = self.left + 1 if size is None or size < 0 else size
        content = super().read(wanted)
        self.left -= len(content)
        if self.left < 0:
            raise OSError(f"it unpacks to more than {UNPACKED.ratio} times its size")
        return content


def check_unpacked(path: Path) -> None:
    """Read a file to its end, before it is unpacked into memory.

    Raises:
        OSError, EOFError, zlib.error: it is damaged, or its text is too long.
    """
    with open_text(path) as file:
        while file.read(PIECE):
            pass
