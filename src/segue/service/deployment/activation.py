"""`Activation`: changes which models answer, while the service answers, and follows what other services activated.

    folder ──► hashes ──► loaded in a thread, warmed ──► the store remembers it ──► deployment = new
               └ damaged: refused, the old one goes on     └ other services see it within a second or two

A request keeps the deployment that it began with, so each answer is of one model from its start to its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from segue.errors import ArtefactError, ConfigError, SegueError
from segue.event_store.imports import Imported
from segue.event_store.store import Store
from segue.service.deadline import CHANGE_ADVICE, in_time
from segue.service.deployment.model_folders import ModelFolders
from segue.service.items.metadata import Metadata
from segue.service.items.shop import Shop
from segue.service.models.deployments import Deployment, Split, StoredDeployment
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.history_import import NotImportedError, import_histories

ACTIVE = "active"  # the document of a store that says which models answer

logger = logging.getLogger("segue.service")


class StaleVersionError(ConfigError):
    """Somebody changed which models answer since the one who asks for a change looked."""


class Activation:
    """Loads and activates models of a service.

    Attributes:
        deployment: the models that answer.
        problem: why this service could not follow the activation of another one; None if it could.
    """

    def __init__(
        self, store: Store, folders: ModelFolders, shop: Shop, deployment: Deployment, *, import_events: bool
    ) -> None:
        """Prepare.

        Args:
            store: remembers what is active.
            folders: where models are loaded from.
            shop: learns the items of the models.
            deployment: the models that answer at the start.
            import_events: whether events of a model's log may be copied into the store by default.
        """
        self.store, self.folders, self.shop, self.deployment = store, folders, shop, deployment
        self.import_events = import_events
        self.problem: str | None = None
        self._lock = asyncio.Lock()

    async def activate(self, split: Split, *, import_events: bool | None = None, seen: int | None = None) -> Imported:
        """Let other models answer. A model whose folder was replaced is loaded anew.

        Args:
            split: which models.
            import_events: whether the events of their logs are copied into the store, which remembers a refusal. By
                default, if it has most of them, or no others.
            seen: the version of the deployment that the change takes into account; None for any.

        Returns:
            What was copied.

        Raises:
            ArtefactError: a model cannot be loaded; the old ones go on.
            ConfigError: there is no such model.
            DataError: the store cannot be written; the old models go on.
            NotImportedError: the log of a model seems not to be the one that the store has, or has times to come; the
                old models go on.
            StaleVersionError: another split was activated since `seen`; it goes on.
        """
        documents, imported = self.store.deployments, Imported()
        async with self._lock:
            while True:  # until no other activation and no new model comes in between
                num_changes = await in_time(asyncio.to_thread(documents.num_changes))
                if seen not in (None, num_changes):
                    await self._check_same(split)
                deployment = await self._load(split, {}, num_changes + 1)
                imported += await self._import(deployment, import_events)
                metadata = await self.shop.prepare(deployment)
                content = deployment.stored().content()
                if await in_time(asyncio.to_thread(documents.put, ACTIVE, content, after=num_changes), CHANGE_ADVICE):
                    break
            self._go_live(deployment, metadata)
            self.problem = None
        return imported

    async def load(self, name: str) -> LoadedModel:
        """Load the model that is in a folder now, so that requests can name it.

        Raises:
            ArtefactError: it cannot be loaded.
            ConfigError: there is no such folder, or the model answers users: then its successor is to be activated.
        """
        async with self._lock:
            if name in self.deployment.split.models:
                raise ConfigError(f"{name}: is in use now; activate it to load what is in its folder")
            loaded = await asyncio.to_thread(self.folders.load, name)
            before = self.deployment
            deployment = await self._deployment({**before.models, name: loaded}, before.split, before.version)
            self._take_over(deployment, await self.shop.prepare(deployment))
            return loaded

    async def follow_once(self) -> None:
        """Do what the store says, if another service changed it.

        Raises:
            SegueError: it cannot be done; the old models go on.
        """
        async with self._lock:  # else what is read could be older than what is activated meanwhile
            await self._follow()

    async def _follow(self) -> None:
        """As `follow_once`. A change that cannot be followed counts as seen, too: the problem tells of it."""
        documents, version = self.store.deployments, self.deployment.version
        try:
            # not without limit: a request may wait for the lock
            version = await in_time(asyncio.to_thread(documents.num_changes))
            content = (await in_time(asyncio.to_thread(documents.all))).get(ACTIVE)
            wanted = None if content is None else StoredDeployment.read(content)
            if wanted is not None and wanted != self.deployment.stored():
                deployment = await self._load(wanted.split, wanted.fingerprints, version)
                self._go_live(deployment, await self.shop.prepare(deployment))
        except SegueError as error:
            self.deployment, self.problem = replace(self.deployment, version=version), str(error)
            raise
        self.deployment, self.problem = replace(self.deployment, version=version), None

    async def _check_same(self, split: Split) -> None:
        """Refuse a split that would undo a change; the same one is welcome, such as a request that is sent again."""
        with suppress(SegueError):
            await self._follow()
        if self.problem is not None or self.deployment.split != split:
            raise StaleVersionError("which models answer was changed meanwhile; look again")

    def _take_over(self, deployment: Deployment, metadata: Metadata) -> None:
        self.deployment = deployment
        self.shop.catalogue.follow(metadata)

    def _go_live(self, deployment: Deployment, metadata: Metadata) -> None:
        self._take_over(deployment, metadata)
        answering = ", ".join(f"{name} {share:.0%}" for name, share in deployment.split.shares().items())
        logger.info("active: %s (%s)", answering, deployment.stored().fingerprints)

    async def _load(self, split: Split, fingerprints: Mapping[str, str], version: int) -> Deployment:
        """A deployment with all models of a split in memory; those of given fingerprints, or what the folders hold."""
        models = dict(self.deployment.models)
        for name in split.models:
            wanted = fingerprints.get(name)
            if wanted is None or name not in models or models[name].fingerprint != wanted:
                models[name] = await asyncio.to_thread(self._current, name, models.get(name), wanted)
        return await self._deployment(models, split, version)

    async def _deployment(self, models: Mapping[str, LoadedModel], split: Split, version: int) -> Deployment:
        """A deployment with the models that answer, shadow models, and those whose folders are still there.

        Those that can learn events at once have learnt what happened since their training, before they answer.
        """
        names = {*split.models, *await asyncio.to_thread(self.folders.all)}
        deployment = Deployment({name: loaded for name, loaded in models.items() if name in names}, split, version)
        for learner in deployment.learners.values():
            await asyncio.to_thread(learner.catch_up, self.store)
        return deployment

    def _current(self, name: str, loaded: LoadedModel | None, wanted: str | None) -> LoadedModel:
        """The model that a folder holds now, which is loaded unless it is in memory."""
        folders = self.folders
        found = folders.fingerprint(name)
        if wanted is not None and found != wanted:
            raise ArtefactError(
                f"{name}: another service activated the model {wanted}, and the folder here holds {found}; copy the "
                "activated one to this machine, or activate this one"
            )
        if loaded is not None and loaded.fingerprint == found:
            return loaded
        try:
            new = folders.load(name)
        except ArtefactError:
            if folders.fingerprint(name) == found:
                raise
            new = folders.load(name)  # the folder was replaced while it was read
        if wanted is not None and new.fingerprint != wanted:
            raise ArtefactError(f"{name}: the folder was replaced while it was loaded; activate it again")
        return new

    async def _import(self, deployment: Deployment, wanted: bool | None) -> Imported:
        """Copy the events of the logs of models that answer into the store."""
        done = Imported()
        if wanted is None and not self.import_events:
            wanted = False
        for name in deployment.split.shares():
            saved = deployment.models[name].saved
            try:
                imported = await asyncio.to_thread(import_histories, self.store, saved, wanted)
            except NotImportedError as error:
                raise NotImportedError(
                    error.advice(name, copy='"import": true', leave='"import": false'),
                    can_be_copied=error.can_be_copied,
                ) from error
            if imported is not None:
                logger.info(
                    "%s: %d events of its log were copied, %d left out", name, imported.events, imported.skipped
                )
                done += imported
        return done
