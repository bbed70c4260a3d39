"""Saved models under their own protocol: which one it was, whether the test data is unseen, and their figures.

saved = load_model("models/hgn")
print(table([evaluate_saved(saved, log)]))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result, measured_test
from segue.reporting.numbers import metric_text
from segue.serving.model_facts import REPAIR
from segue.serving.saved_model import SavedModel

Adapt = Callable[[Protocol], Protocol]


def unchanged(protocol: Protocol) -> Protocol:
    """The protocol as it is."""
    return protocol


def evaluate_saved(saved: SavedModel, log: Log, *, adapt: Adapt = unchanged) -> Result:
    """The test result of a saved model under the protocol that it was trained under.

    Args:
        saved: the saved model.
        log: the log that it was trained on.
        adapt: returns the protocol with other settings, such as other cut-offs; by default it stays.

    Raises:
        ArtefactError: it was trained on another log, or on the test data too, or does not record its protocol.
    """
    check_test_unseen(saved)
    protocol = adapt(protocol_on(saved, log))
    split, refit = protocol.split(log), saved.about["experiment"]["refit"]
    training = saved.about["training"]
    return Result(
        model=saved.name,
        **measured_test(protocol, saved.model, split, training_peak=training.get("peak_mb"))._asdict(),
        protocol=protocol,
        log=split.log.fingerprint,
        items=log.num_items,
        counts=(split.train_valid if refit else split.train).counts(),
        seconds=training["seconds"],
        cpu_seconds=training["cpu_seconds"],
        **protocol.check(split, refit=refit)._asdict(),
    )


def protocol_on(saved: SavedModel, log: Log) -> Protocol:
    """The protocol that a model was trained under, if it was trained on this log.

    Raises:
        ArtefactError: it was trained on another log, or does not record its protocol.
    """
    about = saved.about
    if about["log"]["fingerprint"] != log.fingerprint:
        raise ArtefactError(
            f"{saved.name}: was trained on another log ({about['log']['name']}, fingerprint "
            f"{about['log']['fingerprint']}) than {log.name} ({log.fingerprint}); give the data and the reading "
            "options that it was trained with"
        )
    if "experiment" not in about:
        raise ArtefactError(
            f"{saved.name}: does not say which protocol it was trained under, so its test data is unknown"
        )
    return stored_protocol(saved)


def stored_protocol(saved: SavedModel) -> Protocol:
    """The protocol that is stored with a saved model.

    Raises:
        ArtefactError: a setting of it is unknown, or has a value that it may not have.
    """
    stored = {k: v for k, v in saved.about["experiment"]["protocol"].items() if k != "fingerprint"}
    try:
        return Protocol.from_dict(stored)
    except ConfigError as error:
        raise ArtefactError(f"{saved.name}: its protocol cannot be used ({error}); {REPAIR}") from error


def check_test_unseen(saved: SavedModel) -> None:
    """Raise `ArtefactError` if the model was fitted on the whole log, so that its figures on it would be too high."""
    if not saved.about.get("experiment", {}).get("final"):
        return
    measured = measured_figures(saved.about)
    known = f"; trained without it, the model has {measured}" if measured else ""
    raise ArtefactError(
        f"{saved.name}: was fitted on the whole log, and has seen the test data{known}; evaluate a model that was "
        "trained without --final (final=True in Python)"
    )


def check_not_refitted(saved: SavedModel, purpose: str) -> None:
    """Raise `ArtefactError` if the model has been trained on the validation data, which `purpose` needs."""
    if saved.about["experiment"].get("final"):
        raise ArtefactError(
            f"{saved.name}: was fitted on the whole log, so no unseen data is left to choose {purpose}; train it "
            "without --final (final=True in Python)"
        )
    if saved.about["experiment"]["refit"]:
        raise ArtefactError(
            f"{saved.name}: was refitted on training and validation data, so no unseen data is left to choose "
            f"{purpose}; train it without --refit (refit=True in Python)"
        )


def measured_figures(about: Mapping[str, Any]) -> str:
    """The stored figures of a model in a few words, such as "recall@10 .1830, ndcg@10 .0934"; empty without any."""
    models = about.get("results", {}).get("models", [])
    means = {name: cell["mean"] for name, cell in models[-1]["metrics"].items() if cell} if models else {}
    return ", ".join(f"{name} {metric_text(mean)}" for name, mean in means.items() if mean is not None)
