"""Refuses addresses that would be read as something else than was written: a part would be ignored or changed.

?usr=42             unknown: would be ignored
?user=1&user=2      twice: the first one would be ignored
?user=%FF           not UTF-8: would be another name
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote_to_bytes

from fastapi import HTTPException

from segue.errors import did_you_mean
from segue.service.http.names import storable
from segue.service.http.route_table import RouteSpec

BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def check_query(query: bytes, route: RouteSpec) -> list[tuple[str, str]]:
    """The names and values of the parameters. Refuses unknown and doubled ones, and what is not UTF-8.

    Raises:
        HTTPException: 422, with what is wrong.
    """
    if not query:
        return []
    _check_escapes(query, "query")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise _wrong("query: not UTF-8; write names in UTF-8, with percent signs for other than ASCII") from error
    seen: set[str] = set()
    for name, value in pairs:
        if name not in route.query:
            known = ", ".join(route.query) or "none"
            raise _wrong(f"query {name}: unknown{did_you_mean(name, route.query)}; the parameters are: {known}")
        if name in seen and not route.query[name]:
            raise _wrong(f"query {name}: given twice; give it once")
        seen.add(name)
        _check_text(value, f"query {name}")
    return pairs


def check_path(path: bytes) -> None:
    """Refuse a path that is not UTF-8.

    Raises:
        HTTPException: 422, with what is wrong.
    """
    _check_escapes(path, "path")
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise _wrong("path: not UTF-8; write names in UTF-8, with percent signs for other than ASCII") from error
    _check_text(text, "path")


def _wrong(detail: str) -> HTTPException:
    return HTTPException(422, detail)


def _check_escapes(text: bytes, where: str) -> None:
    if b"%" in text and BAD_ESCAPE.search(text):
        raise _wrong(f"{where}: a percent sign without two hex digits; write %25 for a percent sign")


def _check_text(text: str, where: str) -> None:
    try:
        storable(text)
    except ValueError as error:
        raise _wrong(f"{where}: {error}") from error
