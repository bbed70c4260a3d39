"""A saved model is a folder that says everything about itself and runs nothing when it is read.

    model.json             what it is: model, settings, log, protocol, results, versions, a hash of every file
    weights.safetensors    parameters and counts; of a blend, or of two stages, those of both parts
    users.parquet          names of users 1..U, and what is known of them
    items.parquet          names of items 1..I, likewise
    history.parquet        who did what, in order, and when: what the answers to known users are built on

The folder appears whole or not at all: it is written beside its place and moved there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from segue.data.log import Log, Vocab
from segue.errors import ArtefactError, ConfigError
from segue.io import atomic_folder, check_folder, file_hash, plain, reason, write_json
from segue.models.base.model import Model, Sizes
from segue.models.ensembles.blend import Blend
from segue.models.ensembles.rerank import Rerank
from segue.models.external import FORMS, reference_of
from segue.models.registry import ENSEMBLES, MODELS

FORMAT = 1
PAYLOAD = ("weights.safetensors", "users.parquet", "items.parquet", "history.parquet")
AGAIN = "copy the whole folder again, or save the model anew"


@dataclass(frozen=True, eq=False)
class SavedModel:
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
        model: any of `MODELS`, a blend of them, or two as stages.
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
        with atomic_folder(folder) as temporary:
            if training_log is not None and training_log.is_file():
                shutil.copy(training_log, temporary / "training.jsonl")
            _write(model, log, temporary, about)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise ArtefactError(f"{folder}: cannot be written ({reason(error)}); nothing was changed") from error
    return folder


def progress_of(folder: Path) -> Path:
    """The folder where the training of the model of `folder` keeps its state; it lies beside it."""
    return folder.with_name(f"{folder.name}.training")


def check_target(folder: Path) -> None:
    """Raise `ArtefactError` if a model could not be saved to `folder`: good to know before it is trained."""
    check_folder(folder, "model.json", "saved model")
    progress = progress_of(folder)
    if progress.exists() and not progress.is_dir():
        raise ArtefactError(f"{progress}: is a file where the state of the training should go; move it away")


def discard(folder: Path) -> None:
    """Remove what `fit` left in `folder` of a finished training."""
    for name in ("training.jsonl", "state.safetensors"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _write(model: Model, log: Log, folder: Path, about: dict[str, Any]) -> None:
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    _named(log.users, log.user_table).write_parquet(folder / "users.parquet")
    _named(log.items, log.item_table).write_parquet(folder / "items.parquet")
    _history(log).write_parquet(folder / "history.parquet")
    facts = {
        "format": FORMAT,
        **_described(model),
        "sizes": {"num_users": model.sizes.num_users, "num_items": model.sizes.num_items},
        "log": {"name": log.name, "fingerprint": log.fingerprint},
        "versions": {package: version(package) for package in ("segue", "torch", "numpy")},
        "files": {name: file_hash(folder / name) for name in PAYLOAD},
        **about,
    }
    facts = plain(facts)  # before the hash: numbers that are not finite come back as None
    facts["hash"] = _facts_hash(facts)
    write_json(folder / "model.json", facts)


def _described(model: Model) -> dict[str, Any]:
    """What has to be known to build `model`, apart from its weights and sizes."""
    described: dict[str, Any] = {"model": model.name, "config": model.config.as_dict()}
    if isinstance(model, (Blend, Rerank)):
        described["parts"] = [_described(model.first), _described(model.second)]
    elif MODELS.get(model.name) is not type(model):
        described["class"] = reference_of(type(model))
    return described


def _history(log: Log) -> pl.DataFrame:
    """One row an event, user by user: the item, and when and how it was rated where the log knows that."""
    user, item = log.events()
    told = {"time": log.time, "rating": log.rating}
    known = {name: log.column(values) for name, values in told.items() if values is not None}
    return pl.DataFrame({"user": user.astype(np.int32), "item": item, **known})


def _named(vocab: Vocab, table: pl.DataFrame | None) -> pl.DataFrame:
    """The names, then what is known; the first column is called `name`, or `name_` where the table has a `name`."""
    known = pl.DataFrame() if table is None else table
    return vocab.tokens.alias("name_" if "name" in known.columns else "name").to_frame().hstack(known)


def load(folder: str | Path, *, models: Iterable[type[Model]] = ()) -> SavedModel:
    """Read a saved model. No code of the folder is run, and every file must be the one that was written.

    Args:
        folder: of the saved model.
        models: classes outside segue that the saved model may be of. They are never imported here: give the classes.

    Raises:
        ArtefactError: the folder is missing, incomplete, damaged, of another version, or of a class that is not given.
    """
    folder = Path(folder)
    facts = _facts(folder)
    for name in PAYLOAD:
        path = folder / name
        if not path.is_file():
            raise ArtefactError(f"{folder}: {name} is missing; {AGAIN}")
        if file_hash(path) != facts["files"][name]:
            raise ArtefactError(f"{path}: damaged (its hash is not the one in model.json); {AGAIN}")
    return SavedModel(
        _model(folder, facts, {kind.name: kind for kind in models}), _log(folder, facts["log"]["name"]), facts
    )


def _model(folder: Path, facts: dict[str, Any], classes: Mapping[str, type[Model]]) -> Model:
    weights = load_file(folder / "weights.safetensors")
    try:
        model = _built(folder, facts, Sizes(**facts["sizes"]), {**classes, **MODELS})
        model.to(next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32))
        model.load_state_dict(weights)
    except (ConfigError, RuntimeError) as error:  # a setting, or a weight, that is no more or not yet
        reason = str(error).splitlines()[-1].strip()
        raise ArtefactError(f"{folder}: saved by another version of segue ({reason}); save the model anew") from error
    return model.eval()


def _built(folder: Path, facts: dict[str, Any], sizes: Sizes, classes: Mapping[str, type[Model]]) -> Model:
    """The model that `_described` gave these facts, without its weights."""
    name = facts["model"]
    if name in ENSEMBLES:
        first, second = (_built(folder, part, sizes, classes) for part in facts["parts"])
        return ENSEMBLES[name](first, second, **facts["config"])
    if name not in classes:
        raise ArtefactError(
            f"{folder}: holds a model {name!r} that this segue does not have; if the class is your own, name it with "
            f"--model-class {facts.get('class', FORMS)} (in Python: load(folder, models=[CLASS]))"
        )
    kind = classes[name]
    return kind(kind.Config.make(facts["config"]), sizes)


def _log(folder: Path, name: str) -> Log:
    users, items, history = (pl.read_parquet(folder / f"{part}.parquet") for part in ("users", "items", "history"))
    sizes = np.bincount(history["user"].to_numpy(), minlength=len(users) + 1)
    stop = np.cumsum(sizes)
    return Log(
        users=Vocab(users.to_series(0)),
        items=Vocab(items.to_series(0)),
        start=stop - sizes,
        stop=stop,
        item=history["item"].to_numpy(),
        time=history["time"].to_numpy() if "time" in history.columns else None,
        rating=history["rating"].to_numpy() if "rating" in history.columns else None,
        name=name,
        user_table=users[:, 1:] if users.width > 1 else None,
        item_table=items[:, 1:] if items.width > 1 else None,
    )


def _facts(folder: Path) -> dict[str, Any]:
    """What `model.json` says, once it is known to be whole and of this format."""
    path = folder / "model.json"
    if not folder.exists():
        raise ArtefactError(f"{folder}: no such model folder; `segue run MODEL DATA -o {folder}` makes one")
    if not path.is_file():
        raise ArtefactError(f"{folder}: not the folder of a saved model (there is no model.json in it)")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtefactError(f"{path}: damaged ({error}); {AGAIN}") from error
    if not isinstance(facts, dict) or "format" not in facts:
        raise ArtefactError(f"{path}: does not describe a saved model; {AGAIN}")
    if facts["format"] != FORMAT:
        raise ArtefactError(
            f"{folder}: format {facts['format']} and this segue reads format {FORMAT}; "
            "install the segue that saved it, or save the model anew"
        )
    expected = facts.pop("hash", None)
    if _facts_hash(facts) != expected:
        raise ArtefactError(f"{path}: damaged (its hash is not the one written into it); {AGAIN}")
    return facts


def _facts_hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
