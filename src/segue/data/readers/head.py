"""`Head`: the first lines of a text file, decompressed, from which its format is detected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segue.data.readers.empty import NoRows
from segue.data.readers.packed_text import DAMAGED, open_text
from segue.errors import DataError

SIZE = 1 << 16
QUOTED = 1 << 20  # bytes in which a quoted field should end
LONGEST = 1 << 26  # bytes of a row
NOT_UTF8 = "not UTF-8; convert it, for example with iconv -f latin1 -t utf8"


@dataclass(frozen=True)
class Head:
    """The first lines of a text file.

    Attributes:
        lines: the lines without their ends; the first one is not blank.
        line_end: "\\n" or "\\r".
    """

    lines: list[str]
    line_end: str

    @classmethod
    def read(cls, path: Path) -> Head:
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
