"""Save and load a model: a folder of JSON, safetensors and Parquet files. Loading it runs no code from the folder.

    model.json             format, model, settings, log, protocol, results, versions, and the hashes of the other files
    weights.safetensors    the state of the model: parameters and buffers; of both parts for a blend or two stages
    users.parquet          names and metadata of users 1..U
    items.parquet          names and metadata of items 1..I
    history.parquet        user, item, time and rating of every event: the histories of known users

The folder is written atomically: it is complete, or it is not there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import save_file

from segue.data.cold_items import draw_cold_items
from segue.data.diagnostics.leakage import drop_leaking_users
from segue.data.log import Log
from segue.data.split_kinds import SPLITS
from segue.errors import ArtefactError, ConfigError, DataError, require, unknown
from segue.folders import atomic_folder, check_folder, is_folder_of, recover_folder
from segue.io import file_hash, plain_values, reason, write_json
from segue.models.base.model import Model, Sizes
from segue.models.external import FORMS, reference_of
from segue.models.registry import ENSEMBLES, MODELS
from segue.serving.model_facts import FORMAT, PAYLOAD, REPAIR, check_about, facts_hash, read_model_json
from segue.serving.stored_log import read_stored_log, write_stored_log
from segue.serving.weights import check_size, load_into, load_weights, weights_problem
from segue.stored_files import TOO_REPETITIVE, StoredTables, check_hashes
from segue.temporary import exclusive_folder

FILES = ("model.json", *PAYLOAD, "training.jsonl")
OWN_FACTS = {"format", "model", "config", "sizes", "parts", "class", "log", "saved", "versions", "files", "hash"}
OWN_FACTS |= {"identity"}  # see `fingerprint_of`


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

        Raises:
            ArtefactError: the stored protocol has no such split.
        """
        if "experiment" not in self.about:
            return None
        if self.about["experiment"].get("final"):
            return self.log
        protocol = self.about["experiment"]["protocol"]
        try:
            require(protocol["by"] in SPLITS, unknown("split", protocol["by"], SPLITS))
            kind = SPLITS[protocol["by"]]
            split = kind.make(self.log, **kind.arguments(protocol["arguments"]))
            if protocol.get("cold_items"):
                split = replace(split, cold=draw_cold_items(self.log, protocol["cold_items"], protocol["cold_seed"]))
            if protocol.get("leak") == "drop":
                split = drop_leaking_users(split)
        except DataError:
            return None
        except ConfigError as error:
            raise ArtefactError(f"{self.name}: its protocol cannot be used ({error}); {REPAIR}") from error
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
        ArtefactError: the folder cannot be written, or holds something else; or the metadata of the log is so
            repetitive that the model would not be loaded again.
    """
    folder = Path(folder)
    check_target(folder)
    check_about(about, OWN_FACTS, folder)
    _check_model(model, log, folder)
    try:
        with exclusive_folder(folder), atomic_folder(folder) as temporary:
            if training_log is not None and training_log.is_file():
                shutil.copy(training_log, temporary / "training.jsonl")
            _write(model, log, temporary, about)
            StoredTables(temporary, repair=TOO_REPETITIVE).check(folder)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise ArtefactError(f"{folder}: cannot be written ({reason(error)}); nothing was changed") from error
    return folder


def _check_model(model: Model, log: Log, folder: Path) -> None:
    """Raise `ArtefactError` if a model could not be loaded again, or is of another log."""
    sizes = model.sizes
    if (sizes.num_users, sizes.num_items) != (log.num_users, log.num_items):
        raise ArtefactError(
            f"{folder}: {model.name} is built for {sizes.num_users:,} users and {sizes.num_items:,} items, but "
            f"{log.name} has {log.num_users:,} and {log.num_items:,}; save it with the log that it was built for"
        )
    problem = weights_problem(model.state_dict())
    if problem:
        raise ArtefactError(f"{folder}: {model.name} cannot be saved: {problem}; train it anew")


def training_folder(folder: Path) -> Path:
    """The folder, next to the saved model's `folder`, where its training keeps its state."""
    return folder.with_name(f"{folder.name}.training")


def check_target(folder: Path) -> None:
    """Check, before a model is trained, that it can be saved to `folder`; an interrupted replacement is undone first.

    Raises:
        ArtefactError: the folder holds something else or cannot be written.
    """
    check_folder(folder, "saved model", FILES)
    state_folder = training_folder(folder)
    if state_folder.exists() and not state_folder.is_dir():
        raise ArtefactError(f"{state_folder}: is a file where the state of the training should go; move it away")


def _write(model: Model, log: Log, folder: Path, about: dict[str, Any]) -> None:
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    write_stored_log(log, folder)
    facts = {
        "format": FORMAT,
        **_description(model),
        "log": {"name": log.name, "fingerprint": log.fingerprint, "events": len(log)},
        "exclude_seen": model.exclude_seen,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {package: version(package) for package in ("segue", "torch", "numpy")},
        "files": {name: file_hash(folder / name) for name in PAYLOAD},
        **about,
    }
    facts = plain_values(facts)  # before the hash, since numbers that are not finite are written as null
    facts["hash"] = facts_hash(facts)
    write_json(folder / "model.json", facts)


def _description(model: Model) -> dict[str, Any]:
    """The name, the settings and the sizes of a model, from which `_build` makes it again."""
    description: dict[str, Any] = {"model": model.name, "config": model.config.as_dict(), "sizes": asdict(model.sizes)}
    if model.name in ENSEMBLES:
        description["parts"] = [_description(part) for part in model.parts]
    elif MODELS.get(model.name) is not type(model):
        description["class"] = reference_of(type(model))
    return description


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
        _check_inside(folder, name)
    check_hashes(folder, {name: facts["files"][name] for name in PAYLOAD}, repair=REPAIR)
    sizes, about_log = Sizes.from_dict(facts["sizes"]), facts["log"]
    log = read_stored_log(folder, about_log["name"], sizes, about_log.get("events"), repair=REPAIR)
    model = _load_model(folder, facts, {kind.name: kind for kind in models})
    model.exclude_seen = facts.get("experiment", {}).get("protocol", {}).get("exclude_seen", facts.get("exclude_seen"))
    return SavedModel(model, log, facts, folder)


def _check_inside(folder: Path, name: str) -> None:
    """Raise `ArtefactError` if a file of a saved model is missing, or a link to a file elsewhere."""
    path = folder / name
    if not path.exists():
        raise ArtefactError(f"{folder}: {name} is missing; {REPAIR}")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArtefactError(f"{path}: is a link to a file outside the folder; copy the file itself into the folder")


def _load_model(folder: Path, facts: dict[str, Any], classes: Mapping[str, type[Model]]) -> Model:
    path = folder / "weights.safetensors"
    try:
        _check_size(folder, facts, classes)
        weights = load_weights(path, repair=REPAIR)
        model = _build(folder, facts, classes)
        load_into(model, weights)
    except (ConfigError, RuntimeError) as error:  # a setting or a weight that this version does not have
        last_line = str(error).splitlines()[-1].strip()
        raise ArtefactError(
            f"{folder}: saved by another version of segue ({last_line}); save the model anew"
        ) from error
    return model.eval()


def _check_size(folder: Path, facts: dict[str, Any], classes: Mapping[str, type[Model]]) -> None:
    try:
        check_size(folder / "weights.safetensors", lambda: _build(folder, facts, classes), repair=REPAIR)
    except (TypeError, RuntimeError):
        if _is_built_in(facts):  # a class of the user may read its own tables while it is built
            raise


def _is_built_in(facts: dict[str, Any]) -> bool:
    return all(map(_is_built_in, facts["parts"])) if "parts" in facts else facts["model"] in MODELS


def _build(folder: Path, facts: dict[str, Any], classes: Mapping[str, type[Model]]) -> Model:
    """A model from what `_description` returned, without its weights."""
    name = facts["model"]
    if name in ENSEMBLES:
        if "parts" not in facts:
            raise ArtefactError(f"{folder / 'model.json'}: a {name} has two parts, but parts is missing; {REPAIR}")
        first, second = (_build(folder, {"sizes": facts["sizes"], **part}, classes) for part in facts["parts"])
        config = ENSEMBLES[name].Config.make(facts["config"])
        return ENSEMBLES[name](first, second, **config.as_dict())
    kind = MODELS.get(name) or classes.get(name)
    if kind is None:
        raise ArtefactError(
            f"{folder}: holds a model {name!r} that this segue does not have; if the class is your own, name it with "
            f"--model-class {facts.get('class', FORMS)} (in Python: load(folder, models=[CLASS]))"
        )
    return kind(kind.Config.make(facts["config"]), Sizes.from_dict(facts["sizes"]))


def read_facts(folder: Path) -> dict[str, Any]:
    """The content of `model.json`; a folder that was being replaced when its process died is put back first.

    Raises:
        ArtefactError: there is no such folder, it holds no saved model, or it is damaged or of another format.
    """
    if not folder.exists():
        recover_folder(folder)
    if not folder.exists():
        raise ArtefactError(f"{folder}: no such model folder; `segue run MODEL DATA -o {folder}` makes one")
    if not is_folder_of("saved model", folder):
        raise ArtefactError(f"{folder}: not the folder of a saved model (there is no model.json in it)")
    _check_inside(folder, "model.json")
    return read_model_json(folder / "model.json")
