"""`Activation`: changes which models answer, while the service answers, and follows what other services activated.

    folder ──► hashes ──► loaded in a thread, warmed ──► the store remembers it ──► service.deployment = new
               └ damaged: refused, the old one goes on     └ other services see it within a second or two

A request keeps the deployment that it began with, so each answer is of one model from its start to its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segue.errors import ArtefactError, ConfigError, SegueError
from segue.service.items.metadata import Metadata
from segue.service.models.deployments import Deployment, Split, StoredDeployment
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.history_import import import_histories, needs_import

if TYPE_CHECKING:
    from segue.service.service import Service

ACTIVE = "active"  # the document of a store that says which models answer

logger = logging.getLogger("segue.service")


class Activation:
    """Loads and activates models of a service.

    Attributes:
        problem: why this service could not follow the activation of another one; None if it could.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.problem: str | None = None
        self._lock = asyncio.Lock()

    async def activate(self, split: Split) -> None:
        """Let other models answer. A model whose folder was replaced is loaded anew.

        Raises:
            ArtefactError: a model cannot be loaded; the old ones go on.
            ConfigError: there is no such model.
            DataError: the store cannot be written; the old models go on.
        """
        documents = self.service.store.deployments
        async with self._lock:
            while True:  # until no other activation and no new model comes in between
                num_changes = await self.service.read(documents.num_changes)
                deployment, metadata = await self._prepare(split, {})
                content = deployment.stored().content()
                if await asyncio.to_thread(documents.put, ACTIVE, content, after=num_changes):
                    break
            self._go_live(deployment, metadata)
            self.problem = None

    async def load(self, name: str) -> LoadedModel:
        """Load the model that is in a folder now, so that requests can name it.

        Raises:
            ArtefactError: it cannot be loaded.
            ConfigError: there is no such folder, or the model answers users: then its successor is to be activated.
        """
        async with self._lock:
            if name in self.service.deployment.split.models:
                raise ConfigError(f"{name}: is in use now; activate it to load what is in its folder")
            loaded = await asyncio.to_thread(self.service.folders.load, name)
            before = self.service.deployment
            deployment = Deployment({**before.models, name: loaded}, before.split)
            self._take_over(deployment, await self.service.shop.prepare(deployment))
            return loaded

    async def follow_once(self) -> None:
        """Do what the store says, if another service changed it.

        Raises:
            SegueError: it cannot be done; the old models go on.
        """
        async with self._lock:  # else what is read could be older than what is activated meanwhile
            try:
                content = (await self.service.read(self.service.store.deployments.all)).get(ACTIVE)
                wanted = None if content is None else StoredDeployment.read(content)
                if wanted is not None and wanted != self.service.deployment.stored():
                    self._go_live(*await self._prepare(wanted.split, wanted.fingerprints))
            except SegueError as error:
                self.problem = str(error)
                raise
            self.problem = None

    def _take_over(self, deployment: Deployment, metadata: Metadata) -> None:
        self.service.deployment = deployment
        self.service.shop.catalogue.follow(metadata)

    def _go_live(self, deployment: Deployment, metadata: Metadata) -> None:
        self._take_over(deployment, metadata)
        answering = ", ".join(f"{name} {share:.0%}" for name, share in deployment.split.shares().items())
        logger.info("active: %s (%s)", answering, deployment.stored().fingerprints)

    async def _prepare(self, split: Split, fingerprints: Mapping[str, str]) -> tuple[Deployment, Metadata]:
        """A deployment with all models of a split in memory; those of given fingerprints, or what the folders hold."""
        models = dict(self.service.deployment.models)
        for name in split.models:
            wanted = fingerprints.get(name)
            if wanted is None or name not in models or models[name].fingerprint != wanted:
                models[name] = await asyncio.to_thread(self._current, name, models.get(name), wanted)
        if self.service.import_events:
            for arm in split.arms:
                await asyncio.to_thread(self._import, models[arm.model])
        deployment = Deployment(models, split)
        return deployment, await self.service.shop.prepare(deployment)

    def _current(self, name: str, loaded: LoadedModel | None, wanted: str | None) -> LoadedModel:
        """The model that a folder holds now, which is loaded unless it is in memory."""
        folders = self.service.folders
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

    def _import(self, loaded: LoadedModel) -> None:
        if needs_import(self.service.store, loaded.saved):
            import_histories(self.service.store, loaded.saved)
