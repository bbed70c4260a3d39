"""Prepares stdout and stderr for any terminal: one that knows only ASCII, is closed, or has a size that is none."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
import unicodedata

from segue.reporting.console import SIZE

NEAREST = "segue.nearest"
PLAIN = {
    **{"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "±": "~", "…": ".", "·": ".", "×": "x"},
    **{"↑": "^", "▲": "^", "▴": "^", "↓": "v", "▼": "v", "▾": "v", "→": ">", "←": "<", "≥": ">", "≤": "<"},
}


def prepare_streams() -> None:
    """Show the nearest ASCII character, or "?", for what a stream cannot encode; write to nowhere if it is closed.

    The size of a terminal in the environment is ignored if it is no number: rich ends with an error at `COLUMNS=²`.
    """
    for name in ("COLUMNS", "LINES"):
        if not re.fullmatch(SIZE, os.environ.get(name, "1")):
            del os.environ[name]
    codecs.register_error(NEAREST, _nearest)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell, as with >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=NEAREST)


def nearest(character: str) -> str:
    """One ASCII character for any character.

    >>> nearest("é"), nearest("–"), nearest("茶")
    ('e', '-', '?')
    """
    base = PLAIN.get(character) or unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else "?"


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(nearest, error.object[error.start : error.end])), error.end
