"""A `Result` as a file: one `.npz` with its predictions, instance by instance. Reading it executes nothing."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from segue.errors import ArtefactError
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result
from segue.io import write_bytes

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
        raise ArtefactError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def read(path: Path) -> tuple[Result, dict[str, Any]]:
    """The result that `write` wrote, and what was stored with it.

    Raises:
        ArtefactError: there is no such file, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            arrays: dict[str, Any] = {name: stored[name] for name in stored.files if name != "facts"}
        about, protocol = facts.pop("about"), Protocol.from_dict(facts.pop("protocol"))
        # a file of an earlier version lacks the fields that were added since
        values = {f.name: facts.pop(f.name) for f in STORED if f.name in facts or f.default is MISSING}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        counts = arrays.pop("counts", None)
        predictions = protocol.task.from_arrays(arrays, **facts)
        return Result(predictions=predictions, counts=counts, protocol=protocol, **values), about
    except FileNotFoundError:
        raise ArtefactError(f"{path}: there is no such result") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it, and it is computed again") from error
