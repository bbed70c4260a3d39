"""`start_service`: opens the store, loads the models, and copies the histories that a new store does not have yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from segue.errors import ArtefactError, ConfigError, SegueError
from segue.event_store.store import Store, open_store
from segue.models.base.model import Model
from segue.service.deployments import Arm, Deployment, Split
from segue.service.history_import import import_histories, needs_import
from segue.service.loaded_model import LoadedModel, find_models
from segue.service.service import Service

ACTIVE = "active"  # the document of a store that says which models answer

Say = Callable[[str], object]


def start_service(
    path: Path,
    url: str,
    *,
    active: str | None = None,
    import_events: bool = True,
    classes: Iterable[type[Model]] = (),
    say: Say = lambda text: None,
) -> Service:
    """A service that is ready to answer.

    Args:
        path: folder of a saved model, or a folder of such folders.
        url: address of the store.
        active: name of the model that answers; by default the one that was activated last, or the only one.
        import_events: whether the events of the active model's log are copied into the store, once.
        classes: classes outside segue that a saved model may be an instance of.
        say: is called with what happens.

    Raises:
        ArtefactError: no model can be loaded.
        ConfigError: there are several models, and none is active.
        DataError: the store cannot be opened.
    """
    models = load_models(path, classes, say)
    store = open_store(url)
    try:
        split = _split(store, models, active)
        deployment = Deployment(models, split)
        if active is not None:
            store.deployments.put(ACTIVE, split_content(split))
        if import_events:
            for arm in split.arms:
                _import(store, models[arm.model], say)
    except BaseException:
        store.close()
        raise
    return Service(store, deployment)


def load_models(path: Path, classes: Iterable[type[Model]], say: Say) -> dict[str, LoadedModel]:
    """All models at a path that can be loaded, by name; what is wrong with the others is said.

    Raises:
        ArtefactError: none can be loaded.
    """
    models, refused = {}, []
    for name, folder in find_models(path).items():
        try:
            models[name] = LoadedModel.load(folder, classes)
        except SegueError as error:
            refused.append(str(error))
    if not models:
        raise ArtefactError("; ".join(refused))
    for reason in refused:
        say(f"Warning: not loaded: {reason}.")
    return models


def _split(store: Store, models: dict[str, LoadedModel], active: str | None) -> Split:
    """The split that is stored, or that of one model."""
    if active is not None:
        return Split((Arm(active, active),))
    stored = store.deployments.all().get(ACTIVE)
    if stored is not None:
        split = split_of(stored)
        if all(arm.model in models for arm in split.arms):
            return split
    if len(models) == 1:
        (name,) = models
        return Split((Arm(name, name),))
    missing = "" if stored is None else "; the active one is not among them"
    raise ConfigError(f"several models: {', '.join(models)}{missing}; name the one that answers with --active NAME")


def split_of(content: dict[str, object]) -> Split:
    """The split that `split_content` returned."""
    arms = content["arms"]
    shadow = content.get("shadow", ())
    assert isinstance(arms, list)
    assert isinstance(shadow, (list, tuple))
    return Split(tuple(Arm(**arm) for arm in arms), tuple(shadow), str(content.get("salt", "")))


def split_content(split: Split) -> dict[str, object]:
    """A split as plain values."""
    arms = [{"name": arm.name, "model": arm.model, "weight": arm.weight} for arm in split.arms]
    return {"arms": arms, "shadow": list(split.shadow), "salt": split.salt}


def _import(store: Store, loaded: LoadedModel, say: Say) -> None:
    if needs_import(store, loaded.saved):
        added = import_histories(store, loaded.saved)
        say(f"{store.name}: {added:,} events of {loaded.saved.log.name} were copied into the store")
