"""Save and load a model: a folder of JSON, safetensors and Parquet files. Loading it runs no code from the folder.

    model.json             format, model, settings, log, protocol, results, versions, and the hashes of the other files
    weights.safetensors    the state of the model: parameters and buffers; of both parts for a blend or two stages
    users.parquet          names and metadata of users 1..U
    items.parquet          names and metadata of items 1..I
    history.parquet        user, item, time and rating of every event: the histories of known users

The folder is written atomically: it is complete, or it is not there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from segue.data.diagnostics.leakage import drop_leaking_users
from segue.data.log import Log, Vocab
from segue.data.split_kinds import SPLITS
from segue.errors import ArtefactError, ConfigError, DataError
from segue.folders import atomic_folder, check_folder, recover_folder
from segue.io import file_hash, plain_values, reason, write_json
from segue.models.base.model import Model, Sizes
from segue.models.external import FORMS, reference_of
from segue.models.registry import ENSEMBLES, MODELS

_FORMAT = 2  # format 1 had other names of settings and weights
PAYLOAD = ("weights.safetensors", "users.parquet", "items.parquet", "history.parquet")
REPAIR = "copy the whole folder again, or save the model anew"


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A loaded model with the names and histories that recommending needs.

    Attributes:
        model: the model, in evaluation mode.
        log: the names of users and items, their metadata, and the histories.
        about: the content of `model.json`: protocol, results, training, versions.
        folder: where it was loaded from.
    """

    model: Model
    log: Log
    about: dict[str, Any]
    folder: Path | None = None

    @property
    def name(self) -> str:
        """Its folder, or the name of the model if it is in none."""
        return self.model.name if self.folder is None else str(self.folder)

    def trained_rows(self) -> Log | None:
        """The rows of `log` that the model was trained on; None if that is unknown.

        Splits that the source of a log makes are unknown if the log was saved without them.
        """
        if "experiment" not in self.about:
            return None
        if self.about["experiment"].get("final"):
            return self.log
        protocol = self.about["experiment"]["protocol"]
        try:
            split = SPLITS[protocol["by"]].make(self.log, **protocol["arguments"])
            if protocol.get("leak") == "drop":
                split = drop_leaking_users(split)
        except DataError:
            return None
        return split.train_valid if self.about["experiment"]["refit"] else split.train


def save(model: Model, log: Log, folder: str | Path, *, training_log: Path | None = None, **about: Any) -> Path:
    """Write `model`, and the names and histories of `log`, to `folder`. A saved model that is there is replaced.

    Args:
        model: a trained model, a blend, or two stages.
        log: the log whose vocabularies the model was built for; all of its rows are saved as histories.
        folder: the target. It must be missing, empty, or hold a saved model.
        training_log: the `training.jsonl` of the training, which is copied into the folder.
        about: plain values to keep in `model.json`: protocol, results, training.

    Returns:
        The folder.

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


def training_folder(folder: Path) -> Path:
    """The folder, beside the saved model's `folder`, where its training keeps its state."""
    return folder.with_name(f"{folder.name}.training")


def check_target(folder: Path) -> None:
    """Check, before a model is trained, that it can be saved to `folder`; an interrupted replacement is undone first.

    Raises:
        ArtefactError: the folder holds something else or cannot be written.
    """
    check_folder(folder, "model.json", "saved model")
    state_folder = training_folder(folder)
    if state_folder.exists() and not state_folder.is_dir():
        raise ArtefactError(f"{state_folder}: is a file where the state of the training should go; move it away")


def _write(model: Model, log: Log, folder: Path, about: dict[str, Any]) -> None:
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    _vocabulary(log.users, log.user_metadata).write_parquet(folder / "users.parquet")
    _vocabulary(log.items, log.item_metadata).write_parquet(folder / "items.parquet")
    _history(log).write_parquet(folder / "history.parquet")
    facts = {
        "format": _FORMAT,
        **_description(model),
        "log": {"name": log.name, "fingerprint": log.fingerprint, "events": len(log)},
        "exclude_seen": model.exclude_seen,
        "versions": {package: version(package) for package in ("segue", "torch", "numpy")},
        "files": {name: file_hash(folder / name) for name in PAYLOAD},
        **about,
    }
    facts = plain_values(facts)  # before the hash, since numbers that are not finite are written as null
    facts["hash"] = _facts_hash(facts)
    write_json(folder / "model.json", facts)


def _description(model: Model) -> dict[str, Any]:
    """The name, the settings and the sizes of a model, from which `_build` makes it again."""
    description: dict[str, Any] = {"model": model.name, "config": model.config.as_dict(), "sizes": asdict(model.sizes)}
    if model.parts:
        description["parts"] = [_description(part) for part in model.parts]
    elif MODELS.get(model.name) is not type(model):
        description["class"] = reference_of(type(model))
    return description


def _history(log: Log) -> pl.DataFrame:
    """One row per event, user by user: user, item, and the time, the rating and the part if the log has them."""
    user, item = log.events()
    optional = {"time": log.time, "rating": log.rating, "part": log.part}
    columns = {name: log.column(values) for name, values in optional.items() if values is not None}
    return pl.DataFrame({"user": user.astype(np.int32), "item": item, **columns})


def _vocabulary(vocab: Vocab, metadata: pl.DataFrame | None) -> pl.DataFrame:
    """The names, then the metadata. The first column is `name`, or `name_` if there is metadata called `name`."""
    metadata = pl.DataFrame() if metadata is None else metadata
    return vocab.tokens.alias("name_" if "name" in metadata.columns else "name").to_frame().hstack(metadata)


def load(folder: str | Path, *, models: Iterable[type[Model]] = ()) -> SavedModel:
    """Load a saved model. No code from the folder is run, and the hash of every file is checked.

    Args:
        folder: the folder of the saved model.
        models: classes outside segue that the saved model may be an instance of. `load` never imports them itself.

    Raises:
        ArtefactError: the folder is missing, incomplete, damaged or of another format, or the class of the model is
            neither in segue nor in `models`.
    """
    folder = Path(folder)
    facts = read_facts(folder)
    for name in PAYLOAD:
        path = folder / name
        if not path.is_file():
            raise ArtefactError(f"{folder}: {name} is missing; {REPAIR}")
        if file_hash(path) != facts["files"][name]:
            raise ArtefactError(f"{path}: damaged (its hash is not the one in model.json); {REPAIR}")
    model = _load_model(folder, facts, {**{kind.name: kind for kind in models}, **MODELS})
    model.exclude_seen = facts.get("experiment", {}).get("protocol", {}).get("exclude_seen", facts.get("exclude_seen"))
    return SavedModel(model, _load_log(folder, facts["log"]["name"]), facts, folder)


def _load_model(folder: Path, facts: dict[str, Any], classes: Mapping[str, type[Model]]) -> Model:
    weights = load_file(folder / "weights.safetensors")
    try:
        model = _build(folder, facts, classes)
        model.to(next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32))
        model.load_state_dict(weights)
    except (ConfigError, RuntimeError) as error:  # a setting or a weight that this version does not have
        last_line = str(error).splitlines()[-1].strip()
        raise ArtefactError(
            f"{folder}: saved by another version of segue ({last_line}); save the model anew"
        ) from error
    return model.eval()


def _build(folder: Path, facts: dict[str, Any], classes: Mapping[str, type[Model]]) -> Model:
    """A model from what `_description` returned, without its weights."""
    name = facts["model"]
    if name in ENSEMBLES:
        first, second = (_build(folder, {"sizes": facts["sizes"], **part}, classes) for part in facts["parts"])
        return ENSEMBLES[name](first, second, **facts["config"])
    if name not in classes:
        raise ArtefactError(
            f"{folder}: holds a model {name!r} that this segue does not have; if the class is your own, name it with "
            f"--model-class {facts.get('class', FORMS)} (in Python: load(folder, models=[CLASS]))"
        )
    kind = classes[name]
    return kind(kind.Config.make(facts["config"]), Sizes(**facts["sizes"]))


def _load_log(folder: Path, name: str) -> Log:
    users, items, history = (
        pl.read_parquet(folder / f"{part}.parquet", glob=False) for part in ("users", "items", "history")
    )
    return Log.from_columns(
        users=Vocab(users.to_series(0)),
        items=Vocab(items.to_series(0)),
        lengths=np.bincount(history["user"].to_numpy(), minlength=len(users) + 1),
        item=history["item"].to_numpy(),
        time=history["time"].to_numpy() if "time" in history.columns else None,
        rating=history["rating"].to_numpy() if "rating" in history.columns else None,
        part=history["part"].to_numpy() if "part" in history.columns else None,
        name=name,
        user_metadata=users[:, 1:] if users.width > 1 else None,
        item_metadata=items[:, 1:] if items.width > 1 else None,
    )


def read_facts(folder: Path) -> dict[str, Any]:
    """The content of `model.json`; a folder that was being replaced when its process died is put back first.

    Raises:
        ArtefactError: there is no such folder, it holds no saved model, or it is damaged or of another format.
    """
    path = folder / "model.json"
    if not folder.exists():
        recover_folder(folder)
    if not folder.exists():
        raise ArtefactError(f"{folder}: no such model folder; `segue run MODEL DATA -o {folder}` makes one")
    if not path.is_file():
        raise ArtefactError(f"{folder}: not the folder of a saved model (there is no model.json in it)")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtefactError(f"{path}: damaged ({error}); {REPAIR}") from error
    if not isinstance(facts, dict) or "format" not in facts:
        raise ArtefactError(f"{path}: does not describe a saved model; {REPAIR}")
    if facts["format"] != _FORMAT:
        raise ArtefactError(
            f"{folder}: format {facts['format']} and this segue reads format {_FORMAT}; "
            "install the segue that saved it, or save the model anew"
        )
    expected = facts.pop("hash", None)
    if _facts_hash(facts) != expected:
        raise ArtefactError(f"{path}: damaged (its hash is not the one written into it); {REPAIR}")
    return facts


def _facts_hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
