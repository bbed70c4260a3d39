"""`ModelFacts`: the schema of `model.json`, which says what a saved model is, how it was trained, and what it reached.

Everything that a command reads from the file later has its type here. Keys that segue does not read may hold anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from segue.data.extent import Extent
from segue.errors import ArtefactError
from segue.io import plain_values
from segue.json_files import OpenStored, Whole, parse_json, read_versioned
from segue.models.base.model import Sizes

FORMAT = 2  # format 1 had other names of settings and weights
PAYLOAD = ("weights.safetensors", "users.parquet", "items.parquet", "history.parquet")
REPAIR = "copy the whole folder again, or save the model anew"
ABSENT: Any = None  # the value of a key that may be missing, but may not be null: defaults are not checked


class PartFacts(OpenStored):
    """A model: its name, its settings and its sizes; the two parts of a blend or of two stages.

    A part without sizes, of an earlier version, has those of the whole.
    """

    model: str = Field(min_length=1)
    config: dict[str, Any]
    sizes: Sizes = ABSENT
    parts: tuple[PartFacts, PartFacts] = ABSENT
    class_: str = Field(default=ABSENT, alias="class")


class LogFacts(OpenStored):
    """The log that the model was built for."""

    name: str
    fingerprint: str
    events: Whole = ABSENT


class ProtocolFacts(OpenStored):
    """The protocol; `segue.evaluation.protocol.Protocol` checks the settings that are not here."""

    name: str
    by: str
    arguments: dict[str, Any]
    fingerprint: str
    exclude_seen: bool = True
    leak: str = "keep"


class ExperimentFacts(OpenStored):
    """How the model was trained and measured."""

    protocol: ProtocolFacts
    refit: bool
    final: bool = False


class TrainingFacts(OpenStored):
    """The training of the tested model."""

    seconds: float
    cpu_seconds: float
    peak_mb: Whole | None = None
    seed: Whole = ABSENT
    best: Whole | None = None


class CellFacts(OpenStored):
    """The figure of one metric."""

    mean: float | None


class RowFacts(OpenStored):
    """The figures of one model."""

    metrics: dict[str, CellFacts | None]


class ResultFacts(OpenStored):
    """What `segue.evaluation.summary.summary` returned; other results than those of a table have no `models`."""

    models: tuple[RowFacts, ...] = Field(default=ABSENT, min_length=1)


class StoreFacts(OpenStored):
    """The store of a service whose events are the log."""

    id: str
    newest_seq: Whole


class AboutFacts(OpenStored):
    """What the caller of `save` keeps in `model.json`."""

    experiment: ExperimentFacts = ABSENT
    training: TrainingFacts = ABSENT
    trained_on: Extent = ABSENT
    tested_model_trained_on: Extent = ABSENT
    results: ResultFacts = ABSENT
    store: StoreFacts = ABSENT

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if {"experiment", "training"} & self.model_fields_set == {"experiment"}:
            raise ValueError("an experiment needs the facts of its training")
        return self


class ModelFacts(AboutFacts, PartFacts):
    """The whole of `model.json`."""

    format: int
    identity: str = Field(default=ABSENT, pattern="^[0-9a-f]{16}$")
    sizes: Sizes
    log: LogFacts
    exclude_seen: bool | None = None
    saved: str = ABSENT  # when, ISO 8601
    versions: dict[str, str]
    files: dict[str, str]

    @model_validator(mode="after")
    def _has_all_hashes(self) -> Self:
        missing = [name for name in PAYLOAD if name not in self.files]
        if missing:
            raise ValueError(f"files has no hash of {missing[0]}")
        return self


def check_about(about: dict[str, Any], reserved: set[str], folder: Path) -> None:
    """Check, before a model is written, what is to be kept in its `model.json`.

    Raises:
        ArtefactError: a key is one of segue's own, or has a value that segue could not read again.
    """
    taken = sorted(reserved & set(about))
    if taken:
        raise ArtefactError(f"{folder}: {taken[0]} is written by segue itself; keep yours under another name")
    text = json.dumps(plain_values(about))
    parse_json(text, AboutFacts, where=str(folder), repair="give the values that an experiment's about() has")


def read_model_json(path: Path) -> dict[str, Any]:
    """The content of a `model.json` whose hash and types are right, as plain values.

    Raises:
        ArtefactError: it is missing, damaged, of another format, or a value has another type.
    """
    _, content = read_versioned(
        path,
        ModelFacts,
        version=("format", FORMAT),
        own_hash=facts_hash,
        newer="install the segue that saved it, or save the model anew",
        repair=REPAIR,
    )
    return content


def facts_hash(facts: dict[str, Any]) -> str:
    """The SHA-256 of the facts without their own hash, in hex digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """16 hex digits of the content of a `model.json`, which has the hashes of all files of the saved model.

    A model keeps its fingerprint when users are erased from it: it answers as before.
    """
    return str(facts["identity"]) if "identity" in facts else facts_hash(dict(facts))[:16]
