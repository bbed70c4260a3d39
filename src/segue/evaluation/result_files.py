"""A `Result` as a file: one `.npz` with its predictions, instance by instance. Reading it executes nothing."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from segue.errors import ArtefactError, SegueError
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result
from segue.io import BAD_ARCHIVE, check_regular_file, reason, write_bytes
from segue.json_files import checked, plain_json

DEFLATED = 1032  # bytes that one byte of a zip file can become at most
# what facts raise that are JSON, but not those of a result: keys that are missing or unknown, values of other types
FORGED = (SegueError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
REPAIR = "delete it, and it is computed again"

# all fields of a result but those that are stored in another form
STORED = tuple(f for f in fields(Result) if f.name not in ("predictions", "protocol", "counts"))


def write(result: Result, path: Path, **about: Any) -> Path:
    """Write a result atomically; `about` is plain values that are stored with it."""
    facts = {
        **{f.name: getattr(result, f.name) for f in STORED},
        "protocol": result.protocol.as_dict(),
        **result.predictions.attributes(),
        "about": about,
    }
    arrays: dict[str, Any] = result.predictions.arrays()
    if result.counts is not None:
        arrays["counts"] = result.counts
    content = io.BytesIO()
    np.savez_compressed(content, facts=np.array(json.dumps(facts)), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_bytes(path, content.getvalue())
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be written ({reason(error)})") from error
    return path


def read(path: Path) -> tuple[Result, dict[str, Any]]:
    """The result that `write` wrote, and what was stored with it.

    Raises:
        ArtefactError: there is no such file, or it is damaged.
    """
    try:
        arrays = read_arrays(path)
        facts = plain_json(str(arrays.pop("facts")), where=str(path), repair=REPAIR)
        about, protocol = facts.pop("about"), Protocol.from_dict(facts.pop("protocol"))
        # a file of an earlier version lacks the fields that were added since
        values = {f.name: facts.pop(f.name) for f in STORED if f.name in facts or f.default is MISSING}
        counts = arrays.pop("counts", None)
        predictions = protocol.task.from_arrays(arrays, **facts)
        values = {name: _typed(name, value) for name, value in values.items()}
        result = Result(predictions=predictions, counts=counts, protocol=protocol, **values)
        _check_items(result)
        return result, dict(about)
    except ArtefactError:
        raise
    except FORGED as error:
        raise ArtefactError(f"{path}: damaged ({type(error).__name__}: {reason(error)}); {REPAIR}") from error


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file.

    Raises:
        ArtefactError: there is no such file, or it is damaged.
    """
    if not path.exists():
        raise ArtefactError(f"{path}: there is no such result")
    try:
        check_regular_file(path)
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_length(archive, member)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, *BAD_ARCHIVE) as error:
        raise ArtefactError(f"{path}: damaged ({type(error).__name__}: {reason(error)}); {REPAIR}") from error


def _check_length(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise `ValueError` if an array is not as long as its header says, before memory is taken for it."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
            version
        ]
        shape, _, dtype = read_header(file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if size != member.file_size or size > DEFLATED * member.compress_size:
        raise ValueError(f"{member.filename} is not as long as it says")


def _check_items(result: Result) -> None:
    """Raise `ValueError` if a result counts or recommends items that were not ranked."""
    largest = int(np.max(getattr(result.predictions, "top", 0), initial=0))
    if largest > result.items or (result.counts is not None and result.counts.shape != (result.items + 1,)):
        raise ValueError("its items are not those that were ranked")


def _typed(name: str, value: Any) -> Any:
    """A stored field of a result, if it has the type that is declared."""
    try:
        return checked(value, get_type_hints(Result)[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
