"""Saved models as commands use them: loading them, and naming them in a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.garbage_collection import paused_garbage_collection
from segue.cli.help import MODEL_GROUP

if TYPE_CHECKING:
    from segue.serving.saved_model import SavedModel

ModelClasses = Annotated[
    tuple[str, ...],
    Parameter(
        name="--model-class",
        group=MODEL_GROUP,
        negative=(),
        show_default=False,
        metavar="CLASS",
        help="Class of a saved model that is not part of segue: ./FILE.py:CLASS, package.module:CLASS, or the name of "
        "an installed model. Repeat the option for several classes. Only these classes are imported.",
    ),
]


def load_saved(folder: Path, classes: Iterable[str] = ()) -> SavedModel:
    """Read a saved model; `classes` are the references of --model-class.

    Raises:
        ArtefactError: the folder is no saved model, is damaged, or needs a class that is not given.
        ConfigError: a class cannot be imported or used.
    """
    with paused_garbage_collection():
        from segue.models.registry import find
        from segue.serving.saved_model import load

        return load(folder, models=[find(reference) for reference in classes])


def folder_names(saved: Mapping[Path, SavedModel]) -> list[str]:
    """The names of saved models in a table: their folders; where two hold one model, with it and what differs."""
    from segue.evaluation.result_names import distinct_settings

    named = []
    for one in saved.values():
        training = {key: one.about.get("training", {}).get(key) for key in ("seed", "best")}
        refit = {"refit": one.about.get("experiment", {}).get("refit")}
        named.append((one.model.name, {**one.model.config.as_dict(), **training, **refit}))
    models = [name for name, _ in named]
    texts = [
        f"{name}, {text}" if text else name for (name, _), text in zip(named, distinct_settings(named), strict=True)
    ]
    return [
        f"{folder} ({text})" if models.count(name) > 1 else str(folder)
        for folder, name, text in zip(saved, models, texts, strict=True)
    ]
