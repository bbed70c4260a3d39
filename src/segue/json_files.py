"""Reads JSON that segue wrote, of which nothing is believed: each value is checked against a type, by pydantic.

    class Sample(Stored):                        read_json(path, Sample, repair="save it again")
        name: str                                sample.json: rows: must be a valid integer, not '3'; save it again
        rows: Whole

The type may be a schema as above, a dataclass of segue itself, or one such as `tuple[int, ...]`. Whatever is in the
file, the result is a value of the type or one `ArtefactError`.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config

from segue.errors import ArtefactError
from segue.io import check_regular_file, reason


class Stored(BaseModel):
    """The schema of an object in a JSON file: exact types, no unknown keys, no numbers that are not finite."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class OpenStored(Stored):
    """The schema of an object that may have further keys, with any values."""

    model_config = ConfigDict(extra="allow")


read_strictly = with_config(Stored.model_config)  # decorates a dataclass that is read from JSON
Count = Annotated[int, Field(ge=0, lt=2**31 - 1)]  # of users or items, whose ids are int32
Whole = Annotated[int, Field(ge=0, lt=2**63)]

Kind = TypeVar("Kind")


def read_json(path: Path, kind: type[Kind], *, repair: str) -> Kind:
    """The content of a JSON file as a value of the type `kind`.

    Args:
        path: the file.
        kind: what the file must hold. Lists of the file may be tuples of the type.
        repair: what the user can do about a damaged file, the end of the error message.

    Raises:
        ArtefactError: the file cannot be read, is not JSON, or does not fit; the message names the key, what it must
            be, and what it is.
    """
    return parse_json(read_text(path, repair=repair), kind, where=str(path), repair=repair)


def parse_json(text: str, kind: type[Kind], *, where: str, repair: str) -> Kind:
    """The value of the type `kind` that is written in a text; see `read_json`."""
    plain_json(text, where=where, repair=repair)  # refuses what pydantic's parser accepts, such as a key twice
    try:
        return from_json(text, kind)
    except ValueError as error:
        raise ArtefactError(f"{where}: {error}; {repair}") from None


def read_versioned(
    path: Path,
    kind: type[Kind],
    *,
    version: tuple[str, int],
    own_hash: Callable[[dict[str, Any]], str],
    newer: str,
    repair: str,
) -> tuple[Kind, dict[str, Any]]:
    """The content of a JSON file that says its version and its own hash.

    Args:
        path: the file.
        kind: what the file must hold.
        version: the key of the version, and the value that can be read.
        own_hash: the hash of all other values, which the file has under the key `hash`.
        newer: what the user can do about a file of another version.
        repair: what the user can do about a damaged file.

    Returns:
        The value of the type, and the plain values without the hash.

    Raises:
        ArtefactError: as in `read_json`; or the file has another version, or not its own hash.
    """
    text, (key, expected) = read_text(path, repair=repair), version
    content = plain_json(text, where=str(path), repair=repair)
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, int):
        raise ArtefactError(f"{path}: damaged, its {key} is not a whole number; {repair}")
    if found != expected:
        raise ArtefactError(f"{path}: {key} {found}, but this segue reads {key} {expected}; {newer}")
    try:
        value = from_json(text, kind)
    except ValueError as error:
        raise ArtefactError(f"{path}: {error}; {repair}") from None
    hashed = content.pop("hash", None)
    if own_hash(content) != hashed:
        raise ArtefactError(f"{path}: damaged (its hash is not the one written into it); {repair}")
    return value, content


def checked(value: Any, kind: Any) -> Any:
    """A plain value as one of the type `kind`: a list may stand for a tuple, and nothing else is converted.

    Raises:
        ValueError: it is of another type; the message names the key, what it must be, and what it is.
    """
    return from_json(json.dumps(value, default=repr), kind)


def from_json(text: str, kind: type[Kind]) -> Kind:
    """The value of the type `kind` in a text that may have a key twice, such as one that segue has just written.

    Raises:
        ValueError: it is not JSON, or does not fit; the message says why.
    """
    hashable: Any = kind
    try:
        return _adapter(hashable).validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(problem_text(error)) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def strict_json(text: str) -> Any:
    """The dictionaries, lists and plain values of a JSON text.

    Raises:
        RecursionError: it is nested too deeply.
        ValueError: it is not JSON, a key is there twice, or a number is NaN or infinite.
    """
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse, parse_float=_finite)


def plain_json(text: str, *, where: str, repair: str) -> Any:
    """The dictionaries, lists and plain values of a JSON text.

    Raises:
        ArtefactError: the text is not JSON, a key is there twice, or a number is NaN or infinite.
    """
    try:
        return strict_json(text)
    except ValueError as error:
        raise ArtefactError(f"{where}: damaged, not JSON ({error}); {repair}") from None
    except RecursionError:
        raise ArtefactError(f"{where}: damaged (lists in lists, too deep to read); {repair}") from None


def read_text(path: Path, *, repair: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        ArtefactError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        check_regular_file(path)
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; {repair}") from None
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path}: cannot be read ({reason(error)}); {repair}") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return content


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def problem_text(error: ValidationError) -> str:
    """The first problem in words: the key, what its value must be, and what it is."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(
        str(part) if str(part).isidentifier() or isinstance(part, int) else repr(part) for part in problem["loc"]
    )
    if problem["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{key} is missing"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key} is not a known key"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = message[:1].lower() + message[1:]
    return f"{key}: {message}, not {reprlib.repr(problem['input'])}" if key else message
