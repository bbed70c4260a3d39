"""A saved model is a folder that says everything about itself and runs nothing when it is read.

    model.json             what it is: model, settings, log, protocol, results, versions, a hash of every file
    weights.safetensors    parameters and counts
    users.parquet          names of users 1..U
    items.parquet          names of items 1..I, and what is known of them
    history.parquet        who did what, in order: what the answers to known users are built on

The folder appears whole or not at all: it is written beside its place and moved there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from segue.data.log import Log, Vocab
from segue.errors import ArtefactError, SegueError
from segue.model import Model, Sizes
from segue.models import MODELS

FORMAT = 1
PAYLOAD = ("weights.safetensors", "users.parquet", "items.parquet", "history.parquet")


@dataclass(frozen=True, eq=False)
class Saved:
    """A model read back: ready to score, with the log of names and histories it answers from.

    Attributes:
        model: in evaluation mode.
        log: users, items and histories.
        about: the rest of `model.json`: protocol, results, training, versions.
    """

    model: Model
    log: Log
    about: dict[str, Any]


def save(model: Model, log: Log, folder: str | Path, *, training_log: Path | None = None, **about: Any) -> Path:
    """Write `model` and the names and histories of `log` to `folder`, replacing a model that is there.

    Args:
        model: any of `MODELS`.
        log: whose vocabularies the model was built for; all its rows become the known histories.
        folder: created; must not exist, or hold a saved model.
        training_log: `training.jsonl` of the training, to be kept with the model.
        about: plain values worth keeping: protocol, results, training.

    Raises:
        ArtefactError: the folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    check_target(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise ArtefactError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        if training_log is not None and training_log.is_file():
            shutil.copy(training_log, temporary / "training.jsonl")
        _write(model, log, temporary, about)
        _replace(temporary, folder)
    except OSError as error:
        raise ArtefactError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def check_target(folder: Path) -> None:
    """Raise `ArtefactError` if a model could not be saved to `folder`: good to know before it is trained."""
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / "model.json").is_file():
            raise ArtefactError(f"{folder}: is a folder that holds something else than a saved model; choose another")
    elif folder.exists():
        raise ArtefactError(f"{folder}: is a file; choose another name for the model's folder")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ArtefactError(f"{folder}: cannot be written: {parent} is not a folder that you may write to")


def discard(folder: Path) -> None:
    """Remove what `fit` left in `folder` of a finished training."""
    (folder / "training.jsonl").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _replace(temporary: Path, folder: Path) -> None:
    """Put `temporary` in the place of `folder`, which may hold an older model."""
    temporary.chmod(0o755)
    if folder.exists():
        old = temporary.with_name(temporary.name + ".old")
        os.replace(folder, old)
        os.replace(temporary, folder)
        shutil.rmtree(old)
    else:
        os.replace(temporary, folder)


def _write(model: Model, log: Log, folder: Path, about: dict[str, Any]) -> None:
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    pl.DataFrame({"name": log.users.tokens}).write_parquet(folder / "users.parquet")
    items = pl.DataFrame({"name": log.items.tokens})
    if log.item_table is not None:
        items = items.hstack(log.item_table.drop("name", strict=False))
    items.write_parquet(folder / "items.parquet")
    user, item = log.events()
    pl.DataFrame({"user": user.astype(np.int32), "item": item}).write_parquet(folder / "history.parquet")
    facts = {
        "format": FORMAT,
        "model": model.name,
        "config": model.config.as_dict(),
        "sizes": {"users": model.sizes.users, "items": model.sizes.items},
        "log": {"name": log.name, "fingerprint": log.fingerprint},
        "versions": {package: version(package) for package in ("segue", "torch", "numpy")},
        "files": {name: _hash(folder / name) for name in PAYLOAD},
        **about,
    }
    facts["hash"] = _facts_hash(facts)
    (folder / "model.json").write_text(json.dumps(facts, indent=2) + "\n")


def load(folder: str | Path) -> Saved:
    """Read a saved model. No code of the folder is run, and every file must be the one that was written.

    Raises:
        ArtefactError: the folder is missing, incomplete, damaged, or of another version.
    """
    folder = Path(folder)
    facts = _facts(folder)
    for name, expected in facts["files"].items():
        path = folder / name
        if not path.is_file():
            raise ArtefactError(f"{folder}: {name} is missing; copy the whole folder again or save the model anew")
        if _hash(path) != expected:
            raise ArtefactError(f"{path}: damaged (its hash is not the one in model.json); copy or save the model anew")
    users, items = pl.read_parquet(folder / "users.parquet"), pl.read_parquet(folder / "items.parquet")
    history = pl.read_parquet(folder / "history.parquet")
    sizes = np.bincount(history["user"].to_numpy(), minlength=len(users) + 1)
    stop = np.cumsum(sizes)
    log = Log(
        users=Vocab(users["name"]),
        items=Vocab(items["name"]),
        start=stop - sizes,
        stop=stop,
        item=history["item"].to_numpy(),
        name=facts["log"]["name"],
        item_table=items.drop("name") if items.width > 1 else None,
    )
    kind = MODELS[facts["model"]]
    try:
        model = kind(kind.Config.make(facts["config"]), Sizes(**facts["sizes"]))
    except SegueError as error:
        raise ArtefactError(f"{folder}: saved by another version of segue ({error}); save the model anew") from error
    weights = load_file(folder / "weights.safetensors")
    model.to(next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32))
    model.load_state_dict(weights)
    return Saved(model.eval(), log, facts)


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not folder.is_dir():
        raise ArtefactError(f"{folder}: no such model folder; `segue run MODEL DATA -o {folder}` makes one")
    if not path.is_file():
        raise ArtefactError(f"{folder}: not a saved model (model.json is missing)")
    try:
        facts = json.loads(path.read_text())
        expected = facts.pop("hash")
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path}: damaged ({error}); copy or save the model anew") from error
    if facts.get("format") != FORMAT:
        raise ArtefactError(
            f"{folder}: format {facts.get('format')} and this segue reads format {FORMAT}; "
            "install the segue that saved it, or save the model anew"
        )
    if _facts_hash(facts) != expected:
        raise ArtefactError(f"{path}: damaged (its hash is not the one written into it); copy or save the model anew")
    if facts["model"] not in MODELS:
        raise ArtefactError(f"{folder}: holds a model {facts['model']!r} that this segue does not have")
    return facts


def _facts_hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
