"""`check_depth`: refuses JSON whose values are nested deeper than any table is.

{"user": "ann", "item": 12, "seen": [[3], [4, 5]]}       three deep

Parsers take more than a second for lists in 500 lists, and run out of stack at some thousands.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from segue.data.readers.packed_text import open_text
from segue.data.readers.rows import BLOCK, LF
from segue.errors import DataError

DEEPEST = 64
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEP = np.zeros(256, np.int32)  # how each byte changes the depth
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1


def check_depth(path: Path) -> None:
    """Check how deep the values of a JSON file are nested; it may be gzip-compressed, and is read to its end.

    Raises:
        DataError: deeper than `DEEPEST`.
        OSError, EOFError, zlib.error: the file is damaged, or unpacks to far more than its size.
    """
    if _most_brackets(path) <= DEEPEST:  # in one line: no value can be deeper
        return
    with open_text(path) as file:
        content = np.frombuffer(_STRING.sub(b"", file.read()), np.uint8)
    depth = 0
    for begin in range(0, len(content), BLOCK):
        depths = depth + np.cumsum(_STEP[content[begin : begin + BLOCK]])
        if depths.max() > DEEPEST:
            raise DataError(f"{path}: lists or objects in more than {DEEPEST} others are not read; write flat rows")
        depth = int(depths[-1])


def _most_brackets(path: Path) -> int:
    """The largest number of opening brackets in a line."""
    most = carried = 0
    with open_text(path) as file:
        while block := file.read(BLOCK):
            content = np.frombuffer(block, np.uint8)
            ends = np.flatnonzero(content == LF)
            brackets = np.flatnonzero(_STEP[content] > 0)
            counts = np.bincount(np.searchsorted(ends, brackets), minlength=len(ends) + 1)
            counts[0] += carried
            most, carried = max(most, int(counts.max())), int(counts[-1])
    return most
