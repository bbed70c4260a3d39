"""`list_models`: the models of a service: what each is, its test figures, and which of them answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from segue.data.extent import Extent
from segue.errors import SegueError
from segue.service.deployment.model_folders import ModelFolders
from segue.service.models.deployments import Arm, Deployment, Shadow
from segue.serving.index_levels import IndexFigures
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import read_facts


class Figure(BaseModel):
    """A mean with its 95% interval."""

    mean: float | None = Field(description="The mean.", examples=[0.183])
    low: float | None = Field(default=None, description="Lower end of its interval.", examples=[0.171])
    high: float | None = Field(default=None, description="Upper end of its interval.", examples=[0.195])


class LogOfModel(BaseModel):
    """The log that a model was trained on."""

    name: str = Field(description="Its name.", examples=["ml-100k"])
    fingerprint: str = Field(description="Identifies its content.")
    events: int | None = Field(default=None, description="Number of its events.")


class ProtocolOfModel(BaseModel):
    """How a model was measured."""

    name: str = Field(description="Its name.", examples=["leave-one-out"])
    fingerprint: str = Field(description="Figures of one log and one protocol can be compared.")
    sentence: str | None = Field(default=None, description="What is trained on, tested and ranked.")


class IndexLevel(BaseModel):
    """A search of an index that is good enough."""

    depth: int = Field(description="How many places of the exact ranking it is trusted for.", examples=[50])
    lists: int = Field(description="Number of clusters that it searches.", examples=[8])
    recall: float = Field(description="Mean share of the first `depth` items that it finds.", examples=[0.991])
    milliseconds: float = Field(description="Median time of a query.", examples=[0.12])


class IndexOfModel(BaseModel):
    """The index of the items of a model, with `--search approximate`."""

    lists: int = Field(description="Number of its clusters.", examples=[500])
    users: int = Field(description="Number of users whose exact rankings it was compared with.", examples=[200])
    seconds: float = Field(description="Time to build and to measure it.", examples=[12.5])
    exact_milliseconds: float = Field(description="Median time of a query that scores all items.", examples=[13.9])
    levels: list[IndexLevel] = Field(description="What it is used for; none if it is no faster or not good enough.")


class ModelEntry(BaseModel):
    """A saved model."""

    name: str = Field(description="Its name, that of its folder.", examples=["hgn"])
    status: Literal["loaded", "changed", "on disk", "refused"] = Field(
        description=(
            "loaded: in memory. changed: in memory, and its folder holds another model now, which can be activated. "
            "on disk: can be loaded. refused: the folder is damaged, or its model cannot be loaded; if a model of this "
            "name answers, it is the one that was loaded before."
        )
    )
    reason: str | None = Field(default=None, description="Why it is refused.")
    not_erased: str | None = Field(
        default=None, description="Why users who were erased could not be taken out of its folder; it is tried again."
    )
    share: float = Field(default=0.0, description="Its share of the users, from 0 to 1.", examples=[0.5])
    arms: list[str] = Field(default_factory=list, description="The arms of the A/B split that it answers.")
    shadow: bool = Field(default=False, description="Whether it scores every request without being shown.")
    model: str | None = Field(default=None, description="The class of the model.", examples=["hgn"])
    fingerprint: str | None = Field(
        default=None, description="Identifies the model in memory, else that of its folder."
    )
    fingerprint_on_disk: str | None = Field(default=None, description="Identifies the model that its folder holds now.")
    log: LogOfModel | None = Field(default=None, description="What it was trained on.")
    trained: str | None = Field(
        default=None, description="How much of the log it was trained on, and its newest event."
    )
    saved: str | None = Field(default=None, description="When it was saved (ISO 8601).")
    from_store: int | None = Field(
        default=None,
        description="For a model of `segue retrain`: the number of the newest event of the store that it knows.",
    )
    learnt: int | None = Field(
        default=None,
        description="Number of events that it has learnt since its training; null if it learns none at once.",
        examples=[120],
    )
    protocol: ProtocolOfModel | None = Field(default=None, description="How it was measured.")
    metrics: dict[str, Figure] = Field(
        default_factory=dict, description="Its figures on the test data, from before it served."
    )
    index: IndexOfModel | None = Field(
        default=None, description="The index of its items; null if all items are scored for every answer."
    )
    users: int | None = Field(default=None, description="Number of users that it knows.")
    items: int | None = Field(default=None, description="Number of items that it knows.")


class ModelList(BaseModel):
    """The models of a service."""

    arms: tuple[Arm, ...] = Field(description="Which models answer.")
    shadow: Shadow
    salt: str = Field(description="The salt of the hash that puts users into arms.")
    version: int = Field(
        description=(
            "How often the stored choice of models was changed until it was this one. Send it with the next "
            "activation, and nothing is undone that you have not seen."
        ),
        examples=[7],
    )
    problem: str | None = Field(description="Why this service could not follow what another one activated.")
    models: list[ModelEntry] = Field(description="All models, by name.")


def list_models(
    deployment: Deployment, folders: ModelFolders, *, problem: str | None, not_erased: Mapping[str, str]
) -> ModelList:
    """The models of a service; reads the description of every folder.

    Args:
        deployment: the models in memory.
        folders: all models.
        problem: why the service could not follow what another one activated.
        not_erased: why users could not be taken out of a folder, by the name of the model.
    """
    split = deployment.split
    names = sorted({*folders.all(), *deployment.models})
    return ModelList(
        arms=split.arms,
        shadow=split.shadow,
        salt=split.salt,
        version=deployment.version,
        problem=problem,
        models=[_entry(deployment, folders, name, not_erased.get(name)) for name in names],
    )


def _entry(deployment: Deployment, folders: ModelFolders, name: str, not_erased: str | None) -> ModelEntry:
    loaded, reason, on_disk = deployment.models.get(name), folders.refused.get(name), None
    try:
        on_disk = read_facts(folders.folder(name))
    except SegueError as error:
        reason = str(error)
    facts: Mapping[str, Any] = loaded.saved.about if loaded else on_disk or {}
    found = fingerprint_of(on_disk) if on_disk else None
    entry = ModelEntry(
        name=name,
        status=_status(None if loaded is None else loaded.fingerprint, found, reason),
        reason=reason,
        not_erased=not_erased,
        share=deployment.split.shares().get(name, 0.0),
        arms=[arm.name for arm in deployment.split.arms if arm.model == name],
        shadow=name in deployment.split.shadow,
        fingerprint_on_disk=found,
        index=None if loaded is None or loaded.index is None else _index(loaded.index),
        learnt=None if loaded is None or loaded.learner is None else loaded.learner.num_learnt,
    )
    return entry.model_copy(update=_described(facts)) if facts else entry


def _index(figures: IndexFigures) -> IndexOfModel:
    levels = [
        IndexLevel(depth=one.depth, lists=one.effort.lists, recall=one.recall, milliseconds=one.milliseconds)
        for one in figures.levels
    ]
    return IndexOfModel(
        lists=figures.lists,
        users=figures.users,
        seconds=figures.seconds,
        exact_milliseconds=figures.exact_milliseconds,
        levels=levels,
    )


def _status(
    loaded: str | None, on_disk: str | None, reason: str | None
) -> Literal["loaded", "changed", "on disk", "refused"]:
    if reason is not None:
        return "refused"
    if loaded is None:
        return "on disk"
    return "loaded" if loaded == on_disk else "changed"


def _described(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a `model.json` says."""
    protocol = facts.get("experiment", {}).get("protocol")
    results = facts.get("results", {})
    extent = Extent(**facts["trained_on"]) if "trained_on" in facts else None
    log = facts["log"]
    return {
        "model": facts["model"],
        "fingerprint": fingerprint_of(facts),
        "log": LogOfModel(name=log["name"], fingerprint=log["fingerprint"], events=log.get("events")),
        "trained": None if extent is None else f"{extent.part}: {extent.describe(log.get('events', extent.events))}",
        "saved": facts.get("saved"),
        "from_store": facts.get("store", {}).get("newest_seq"),
        "protocol": protocol
        and ProtocolOfModel(
            name=protocol["name"],
            fingerprint=protocol["fingerprint"],
            sentence=results.get("protocol", {}).get("sentence"),
        ),
        "metrics": offline_figures(facts),
        "users": facts["sizes"]["num_users"],
        "items": facts["sizes"]["num_items"],
    }


def offline_figures(facts: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of the test, by metric; empty for a model that was never measured."""
    models = facts.get("results", {}).get("models") or []
    cells = models[-1]["metrics"] if models else {}
    return {
        metric: Figure(mean=cell["mean"], low=cell.get("low"), high=cell.get("high"))
        for metric, cell in cells.items()
        if cell
    }
