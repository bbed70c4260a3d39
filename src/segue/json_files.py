"""Reads JSON files that segue wrote, of which nothing is believed: each is checked against a schema, a pydantic model.

    class Step(Stored):                          read_json(path, Step, repair="save the log again")
        rule: str                                log.json: rows: must be a valid integer, not '3'; save the log again
        rows: int = Field(ge=0)

Whatever is in the file, the result is a value of the schema or one `ArtefactError`.
"""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segue.errors import ArtefactError
from segue.io import check_regular_file, reason


class Stored(BaseModel):
    """The schema of an object in a JSON file: exact types, no unknown keys, no numbers that are not finite."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


Count = Annotated[int, Field(ge=0, lt=2**31 - 1)]  # of users or items, whose ids are int32
Whole = Annotated[int, Field(ge=0, lt=2**63)]

Schema = TypeVar("Schema", bound=BaseModel)


def read_json(path: Path, schema: type[Schema], *, repair: str) -> Schema:
    """The content of a JSON file as a value of `schema`.

    Args:
        path: the file.
        schema: what the file must hold. Lists of the file may be tuples of the schema.
        repair: what the user can do about a damaged file, the end of the error message.

    Raises:
        ArtefactError: the file cannot be read, is not JSON, or does not fit the schema; the message names the key,
            what it must be, and what it is.
    """
    return parse_json(read_text(path, repair=repair), schema, where=str(path), repair=repair)


def parse_json(text: str, schema: type[Schema], *, where: str, repair: str) -> Schema:
    """The value of `schema` that is written in a text; see `read_json`."""
    plain_json(text, where=where, repair=repair)  # refuses what pydantic's parser accepts, such as a key twice
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        raise ArtefactError(f"{where}: {problem_text(error)}; {repair}") from None


def plain_json(text: str, *, where: str, repair: str) -> Any:
    """The dictionaries, lists and plain values of a JSON text.

    Raises:
        ArtefactError: the text is not JSON, a key is there twice, or a number is NaN or infinite.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse)
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


def problem_text(error: ValidationError) -> str:
    """The first problem in words: the key, what its value must be, and what it is."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(
        str(part) if str(part).isidentifier() or isinstance(part, int) else repr(part) for part in problem["loc"]
    )
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        return f"{key} is not a known key"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = message[:1].lower() + message[1:]
    return f"{key}: {message}, not {reprlib.repr(problem['input'])}" if key else message
