"""An extension of griffe: examples in docstrings (`>>> ...` with their output) become code blocks on the API pages."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^[ ]*>>> .*\n?)(?:^(?![ ]*$).*\n?)*", re.MULTILINE)


class DoctestBlocks(griffe.Extension):
    """Put a fence around each example, up to the next empty line."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The text with its examples as fenced blocks."""
    return EXAMPLE.sub(lambda match: f"\n```pycon\n{match[0].rstrip()}\n```\n", text)
