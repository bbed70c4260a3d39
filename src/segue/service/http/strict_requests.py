"""Refuses requests that would be read as something else than was written: a part would be ignored or changed.

?usr=42             unknown: would be ignored
?user=1&user=2      twice: the first one would be ignored
?user=%FF           not UTF-8: would be another name
{"k": 5, "k": 6}    twice: the first one would be ignored
{"value": 1e999}    too large: would be infinite
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

from segue.errors import did_you_mean
from segue.service.http.names import storable
from segue.service.http.problems import ProblemError
from segue.service.http.route_table import RouteRule

BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
JSON_TYPES = ("application/json", "application/x-www-form-urlencoded", "")  # the second one is what `curl -d` says


def check_query(query: bytes, rule: RouteRule) -> None:
    """Refuse unknown and doubled parameters, and what is not UTF-8.

    Raises:
        ProblemError: 422, with what is wrong.
    """
    if not query:
        return
    _check_escapes(query, "query")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise _wrong("query: not UTF-8; write names in UTF-8, with percent signs for other than ASCII") from error
    seen: set[str] = set()
    for name, value in pairs:
        if name not in rule.query:
            known = ", ".join(rule.query) or "none"
            raise _wrong(f"query {name}: unknown{did_you_mean(name, rule.query)}; the parameters are: {known}")
        if name in seen and not rule.query[name]:
            raise _wrong(f"query {name}: given twice; give it once")
        seen.add(name)
        _check_text(value, f"query {name}")


def check_path(path: bytes) -> None:
    """Refuse a path that is not UTF-8.

    Raises:
        ProblemError: 422, with what is wrong.
    """
    _check_escapes(path, "path")
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise _wrong("path: not UTF-8; write names in UTF-8, with percent signs for other than ASCII") from error
    _check_text(text, "path")


def check_json(body: bytes) -> None:
    """Refuse a body that is not JSON in UTF-8, has a field twice, or a number or a character that cannot be stored.

    Raises:
        ProblemError: 422, with what is wrong.
    """
    try:
        text = body.decode()
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_not_finite, parse_float=_finite)
        if "\\u" in text:
            _check_texts(content)
    except UnicodeDecodeError as error:
        raise _wrong("body: not UTF-8") from error
    except RecursionError as error:
        raise _wrong("body: lists and objects are nested too deeply") from error
    except json.JSONDecodeError as error:
        raise _wrong(f"body: not JSON: {error.msg} at character {error.pos + 1}") from error
    except ValueError as error:
        raise _wrong(f"body: {error}") from error


def check_content_type(headers: Mapping[bytes, bytes]) -> None:
    """Refuse bodies that are compressed or say that they are something else than JSON.

    Raises:
        ProblemError: 415, with what is wrong.
    """
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if encoding != "identity":
        raise ProblemError(415, f"Content-Encoding {encoding}: send the body without compression")
    kind, _, parameters = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if kind.strip() not in JSON_TYPES or charset not in ("", "charset=utf-8"):
        raise ProblemError(415, "send JSON in UTF-8, with the header Content-Type: application/json")


def _wrong(detail: str) -> ProblemError:
    return ProblemError(422, detail)


def _check_escapes(text: bytes, where: str) -> None:
    if b"%" in text and BAD_ESCAPE.search(text):
        raise _wrong(f"{where}: a percent sign without two hex digits; write %25 for a percent sign")


def _check_text(text: str, where: str) -> None:
    try:
        storable(text)
    except ValueError as error:
        raise _wrong(f"{where}: {error}") from error


def _check_texts(content: Any) -> None:
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            storable(one)
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)}: given twice; give it once")
    return found


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text}: not a number of JSON; leave the field out, or write null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]}: the number is too large")
    return value
