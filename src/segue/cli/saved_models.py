"""Saved models as commands use them: loading them, and evaluating them under their own protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.help import MODEL_GROUP
from segue.cli.options.protocol import EVALUATION_DEFAULTS, EvaluationOptions
from segue.errors import ArtefactError
from segue.reporting.numbers import metric_text

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import Result
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
    from segue.models.registry import find
    from segue.serving.saved_model import load

    return load(folder, models=[find(reference) for reference in classes])


def evaluate_saved(
    folder: Path, saved: SavedModel, log: Log, options: EvaluationOptions = EVALUATION_DEFAULTS
) -> Result:
    """The test result of a saved model under the protocol that it was trained under, changed by the options.

    Raises:
        ArtefactError: it was trained on another log, or on the test data too, or does not record its protocol.
    """
    from segue.data.diagnostics.leakage import leakage_warnings
    from segue.evaluation.table import Result

    check_test_unseen(folder, saved)
    about = saved.about
    protocol = options.apply_to(protocol_of(folder, saved, log).with_cut_offs(options.cut_offs, only=True))
    split, refit = protocol.split(log), about["experiment"]["refit"]
    ranking = protocol.task.name == "ranking"
    return Result(
        model=str(folder),
        predictions=protocol.evaluate(saved.model, split, "test"),
        protocol=protocol,
        log=split.log.fingerprint,
        items=log.num_items,
        counts=(split.train_valid if refit else split.train).counts(),
        seconds=about["training"]["seconds"],
        warnings=(*leakage_warnings(split, refit=refit, ranking=ranking), *protocol.warnings(split)),
        tied=protocol.tied(split),
    )


def protocol_of(folder: Path, saved: SavedModel, log: Log) -> Protocol:
    """The protocol that a model was trained under.

    Raises:
        ArtefactError: it was trained on another log, or does not record its protocol.
    """
    about = saved.about
    if about["log"]["fingerprint"] != log.fingerprint:
        raise ArtefactError(
            f"{folder}: was trained on another log ({about['log']['name']}, fingerprint "
            f"{about['log']['fingerprint']}) than {log.name} ({log.fingerprint}); give the data and the reading "
            "options that it was trained with"
        )
    if "experiment" not in about:
        raise ArtefactError(f"{folder}: does not say which protocol it was trained under, so its test data is unknown")
    return stored_protocol(about)


def check_not_refitted(folder: Path, saved: SavedModel, purpose: str) -> None:
    """Raise `ArtefactError` if the model has been trained on the validation data, which `purpose` needs."""
    if saved.about["experiment"].get("final"):
        raise ArtefactError(
            f"{folder}: was fitted on the whole log, so no unseen data is left to choose {purpose}; train it without "
            "--final"
        )
    if saved.about["experiment"]["refit"]:
        raise ArtefactError(
            f"{folder}: was refitted on training and validation data, so no unseen data is left to choose {purpose}; "
            "train it without --refit"
        )


def stored_protocol(about: dict[str, Any]) -> Protocol:
    """The protocol that is stored with a saved model."""
    from segue.evaluation.protocol import Protocol

    return Protocol.from_dict({k: v for k, v in about["experiment"]["protocol"].items() if k != "fingerprint"})


def check_test_unseen(folder: Path, saved: SavedModel) -> None:
    """Raise `ArtefactError` if the model was fitted on the whole log, so that its figures on it would be too high."""
    if not saved.about.get("experiment", {}).get("final"):
        return
    measured = measured_figures(saved.about)
    known = f"; trained without it, the model has {measured}" if measured else ""
    raise ArtefactError(
        f"{folder}: was fitted on the whole log, and has seen the test data{known}; evaluate a model that was trained "
        "without --final"
    )


def measured_figures(about: Mapping[str, Any]) -> str:
    """The stored figures of a model in a few words, such as "recall@10 .1830, ndcg@10 .0934"; empty without any."""
    if "results" not in about:
        return ""
    metrics = about["results"]["models"][-1]["metrics"]
    return ", ".join(f"{name} {metric_text(cell['mean'])}" for name, cell in metrics.items() if cell is not None)


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
