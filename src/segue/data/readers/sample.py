"""`Sample`: the first lines of a text file, decompressed, from which its format is detected."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from segue.data.readers.empty import NoRows
from segue.errors import DataError
from segue.expansion import Expansion

SIZE = 1 << 16
QUOTED = 1 << 20  # bytes in which a quoted field should end
LONGEST = 1 << 26  # bytes of a row
NOT_UTF8 = "not UTF-8; convert it, for example with iconv -f latin1 -t utf8"
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


@dataclass(frozen=True)
class Sample:
    """The first lines of a text file.

    Attributes:
        lines: the lines without their ends; the first one is not blank.
        line_end: "\\n" or "\\r".
    """

    lines: list[str]
    line_end: str

    @classmethod
    def read(cls, path: Path) -> Sample:
        """Read at least the first two lines.

        Raises:
            DataError: the file is empty, damaged, binary, not UTF-8, or its first line is blank.
        """
        raw, line_end = _first_bytes(path)
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{path}: UTF-16 text; save it as UTF-8")
        if b"\0" in raw or raw.startswith(b"PAR1"):
            raise DataError(f"{path}: binary, not text; is the suffix right?")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: {NOT_UTF8}") from error
        lines = [line.removesuffix("\r") for line in text.split(line_end)]
        if not text.strip():
            raise NoRows(f"{path}: empty; one event per row is needed")
        if not lines[0].strip():
            raise DataError(f"{path}: the first line is blank; remove it")
        return cls(lines, line_end)


def _first_bytes(path: Path) -> tuple[bytes, str]:
    """The first whole lines of the file, two or more, and what ends them."""
    raw = b""
    try:
        with open_text(path) as file:
            while True:
                more = file.read(max(SIZE, len(raw)))
                raw += more
                line_end = "\n" if b"\n" in raw or b"\r" not in raw else "\r"
                if len(more) < SIZE:  # the end of the file
                    return raw, line_end
                closed = raw.count(b'"') % 2 == 0 or len(raw) > QUOTED
                if (raw.count(line_end.encode()) > 1 and closed) or len(raw) > LONGEST:
                    whole = raw[: raw.rfind(line_end.encode()) + 1]
                    if whole.count(line_end.encode()) < 2:
                        raise DataError(f"{path}: has a line that is longer than {LONGEST >> 20} MB; is this a table?")
                    return whole, line_end
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error}); is it whole? Download or write it again") from error


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
        while file.read(SIZE):
            pass
