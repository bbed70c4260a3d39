"""A `Result` as a file: its ranks, case by case, and what is said of it. One `.npz`, nothing in it runs."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from segue.errors import ArtefactError
from segue.evaluation.predictions import RatingPredictions
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import Ranks
from segue.evaluation.table import Result
from segue.io import write_bytes


def write(result: Result, path: Path, **about: Any) -> Path:
    """Write a result to `path`, whole or not at all; `about` is plain values to be kept with it."""
    ranks = result.ranks
    facts = {
        "model": result.model,
        "protocol": result.protocol.as_dict(),
        "log": result.log,
        "items": result.items,
        "seconds": result.seconds,
        "baseline": result.baseline,
        "dropped": ranks.dropped,
        "about": about,
    }
    if isinstance(ranks, Ranks):
        facts["depth"] = ranks.depth
    arrays: dict[str, Any] = ranks.arrays()
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
    """The result that `write` wrote, and what was said of it.

    Raises:
        ArtefactError: there is none, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            found: dict[str, Any] = {name: arrays[name] for name in arrays.files if name != "facts"}
        counts = found.pop("counts", None)
        if "offsets" in found:  # as they were kept first
            found["sizes"] = np.diff(found.pop("offsets"))
        dropped = facts.pop("dropped")
        ranks: Ranks | RatingPredictions
        if "depth" in facts:
            ranks = Ranks.of(found, depth=facts.pop("depth"), dropped=dropped)
        else:
            ranks = RatingPredictions.of(found, dropped=dropped)
        about, protocol = facts.pop("about"), Protocol.from_dict(facts.pop("protocol"))
        return Result(ranks=ranks, counts=counts, protocol=protocol, **facts), about
    except FileNotFoundError:
        raise ArtefactError(f"{path}: there is no such result") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it, and it is made anew") from error
