"""Prepares stdout and stderr for any terminal: one that knows only ASCII, and one that is closed."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

NEAREST = "segue.nearest"
PLAIN = {
    **{"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "±": "~", "…": ".", "·": ".", "×": "x"},
    **{"↑": "^", "▲": "^", "▴": "^", "↓": "v", "▼": "v", "▾": "v", "→": ">", "←": "<", "≥": ">", "≤": "<"},
}


def prepare_streams() -> None:
    """Show the nearest ASCII character, or "?", for what a stream cannot encode; write to nowhere if it is closed."""
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
