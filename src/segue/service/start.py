"""`start_service`: opens the store, loads the models, and copies the histories that a new store does not have yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from segue.data.time_units import time_text
from segue.errors import ConfigError, SegueError
from segue.event_store.clock import now
from segue.event_store.store import Store, open_store
from segue.service.deployment.activation import ACTIVE
from segue.service.deployment.model_folders import ModelFolders
from segue.service.models.deployments import Arm, Deployment, Split, StoredDeployment
from segue.service.models.loaded_model import BY_DEFAULT, LoadedModel, Loading
from segue.service.monitoring.live_quality import KEEP_DAYS
from segue.service.service import Service
from segue.service.users.history_import import NotImportedError, import_histories, lacks_events
from segue.serving.item_index import import_faiss

Say = Callable[[str], object]


def start_service(
    path: Path,
    url: str,
    *,
    active: str | None = None,
    import_events: bool | None = None,
    keep_days: float = KEEP_DAYS,
    loading: Loading = BY_DEFAULT,
    say: Say = lambda text: None,
) -> Service:
    """A service that is ready to answer.

    Args:
        path: folder of a saved model, or a folder of such folders.
        url: address of the store.
        active: name of the model that answers; by default the one that was activated last, or the only one.
        import_events: whether the events of the active model's log are copied into the store, once; the store remembers
            a refusal. By default, if it has most of them, or no others.
        keep_days: how long the outcomes of recommended lists are kept, in days.
        loading: how models are loaded.
        say: is called with what happens.

    Raises:
        ArtefactError: no model can be loaded.
        ConfigError: there are several models, and none is active, or the one that is active cannot be loaded; its log
            seems not to be the one that the store has, or has times to come; or the extra `ann` is missing.
        DataError: the store cannot be opened.
    """
    folders = ModelFolders(path, loading)
    if loading.approximate:
        import_faiss()  # before the models are read
    models = folders.load_all()
    for name, loaded in models.items():
        if loading.approximate:
            say(f"{name}: {'all items are scored' if loaded.index is None else loaded.index.sentence()}")
    for reason in folders.refused.values():
        say(f"Warning: not loaded: {reason}.")
    store = open_store(url)
    try:
        version = store.deployments.num_changes()  # before the content, which then is at least as new
        content = store.deployments.all().get(ACTIVE)
        is_chosen = active is not None or content is None
        if is_chosen:
            deployment = Deployment(models, _split_of_one(models, active), version + 1)
        else:
            deployment = _stored_deployment(StoredDeployment.read(content), folders, models, version)
        _import(store, deployment, import_events, say, is_chosen=is_chosen)
        if is_chosen:
            store.deployments.put(ACTIVE, deployment.stored().content())
        _catch_up(store, deployment, say)
    except BaseException:
        store.close()
        raise
    return Service(store, deployment, folders, import_events is not False, keep_days)


def _catch_up(store: Store, deployment: Deployment, say: Say) -> None:
    """Let models that learn events at once learn those since their training."""
    for name, learner in deployment.learners.items():
        say(f"{name}: learns the events since its training; --no-update leaves this out")
        learner.catch_up(store)
        if learner.until > now():
            until = time_text(learner.until, "microseconds")
            say(f"Warning: {name} learns no event before {until}: its training has one that late.")
        else:
            say(f"{name}: {learner.num_learnt:,} of them are learnt, and new ones will be at once")


def _split_of_one(models: dict[str, LoadedModel], active: str | None) -> Split:
    """The split of one model: the given one, or the only one."""
    if active is None and len(models) > 1:
        raise ConfigError(f"several models: {', '.join(models)}; name the one that answers with --active NAME")
    name = active or next(iter(models))
    return Split(arms=(Arm(model=name),))


def _stored_deployment(
    stored: StoredDeployment, folders: ModelFolders, models: dict[str, LoadedModel], version: int
) -> Deployment:
    """The deployment that a store remembers; models that it names and that are not loaded yet are loaded, too."""
    try:
        further = {name: folders.load(name) for name in stored.split.models if name not in models}
    except SegueError as error:
        raise ConfigError(
            f"the store says that {', '.join(stored.split.models)} answers ({error}); name another model with --active"
        ) from error
    return Deployment({**models, **further}, stored.split, version)


def _import(store: Store, deployment: Deployment, wanted: bool | None, say: Say, *, is_chosen: bool) -> None:
    """Copy the events of the logs of the models that answer into the store.

    Raises:
        NotImportedError: the events of a model that was chosen now; one that answered before goes on.
    """
    for name in deployment.split.shares():
        saved = deployment.models[name].saved
        try:
            imported = import_histories(store, saved, wanted)
        except NotImportedError as error:
            advice = error.advice(name, copy="--import-events", leave="--no-import-events")
            if is_chosen:
                raise ConfigError(advice) from error
            say(f"Warning: {advice}.")
            continue
        if imported is None:
            if wanted is None and lacks_events(store, saved):
                say(f"Warning: {name} was trained on events that the store lacks; --import-events copies them.")
        else:
            say(f"{store.name}: {imported.events:,} events of the log {saved.log.name} were copied into the store")
            if imported.skipped:
                say(
                    f"Warning: {imported.skipped:,} more were not, since events of other users or items have their ids."
                )
