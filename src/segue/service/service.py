"""`Service`: the store, the histories, the models and all that a running service shares between its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from segue.event_store.event_log import Change
from segue.event_store.store import Store
from segue.service.batcher import Batcher
from segue.service.bounded_threads import BoundedThreads
from segue.service.deadline import CHANGE_ADVICE, in_time
from segue.service.deployment.activation import Activation
from segue.service.deployment.erasures import Erasures
from segue.service.deployment.model_folders import ModelFolders
from segue.service.http.api_key_cache import ApiKeyCache
from segue.service.items.shop import Shop
from segue.service.models.deployments import Deployment
from segue.service.models.loaded_model import LoadedModel
from segue.service.monitoring.impressions import Impressions
from segue.service.monitoring.live_quality import CLEAN_SECONDS, FLUSH_SECONDS, KEEP_DAYS, LiveQuality
from segue.service.monitoring.metrics import Metrics
from segue.service.monitoring.quality_watch import WATCH_SECONDS, QualityWatch
from segue.service.periodic import Periodic
from segue.service.users.event_writer import EventWriter
from segue.service.users.histories import Histories
from segue.service.users.history import History

READERS = 10  # threads that read from a server: as many as there are connections
READ_TOGETHER = 16  # histories that one of them reads
COMPUTE_THREADS = 2  # that explain, try rules and sum up the live quality; as many find similar items
Value = TypeVar("Value")
RETRY_SECONDS = 60.0  # at most, before a folder of a model that was no good is read again


class Service:
    """What the requests of one process share."""

    def __init__(
        self,
        store: Store,
        deployment: Deployment,
        folders: ModelFolders,
        import_events: bool = True,
        keep_days: float = KEEP_DAYS,
    ) -> None:
        """Read what is kept in memory.

        Args:
            store: events and items.
            deployment: the models that answer.
            folders: where further models can be loaded from.
            import_events: whether events of a model's log may be copied into the store by default when it is
                activated.
            keep_days: how long the outcomes of recommended lists are kept, in days.
        """
        self.store, self.folders = store, folders
        self.histories = Histories(store)
        self._reads = ThreadPoolExecutor(READERS, "segue-reads")
        self.computing = BoundedThreads(COMPUTE_THREADS, "segue-compute")
        self.comparing = BoundedThreads(COMPUTE_THREADS, "segue-compare")
        self._known_histories = Batcher(self.histories.get_all, retry=False)
        self._other_histories = Batcher(self.histories.get_all, READ_TOGETHER, self._reads, retry=False)
        self.shop = Shop(store, deployment.in_use, deployment.others)
        self.writer = EventWriter(store.events, self._changed, self._learn)
        self.keys = ApiKeyCache(store.keys)
        self.activation = Activation(store, folders, self.shop, deployment, import_events=import_events)
        self.quality = LiveQuality(store, keep_days)
        self.impressions = Impressions(self.quality)
        self.watch = QualityWatch(self.impressions, lambda: self.deployment, self.computing)
        self.metrics = Metrics(self.writer, self.histories, self.watch)
        self.erasures = Erasures(store.erasures, self.loaded_models, self.histories)
        self._flushing = Periodic("storing outcomes", self.quality.flush, FLUSH_SECONDS)
        self.periodic = [
            Periodic("reading API keys", self.keys.follow),
            Periodic("following activations", self.activation.follow_once, longest=RETRY_SECONDS),
            *self.shop.periodic(),
            Periodic("learning events", self.follow_events),
            Periodic("erasing users from models", self.erasures.follow, longest=RETRY_SECONDS),
            Periodic("emptying the journal", self.erasures.empty_journal),
            self._flushing,
            Periodic("deleting old outcomes", self.quality.forget_old, CLEAN_SECONDS),
            Periodic("watching the live quality", self.watch.look, WATCH_SECONDS),
        ]

    def start(self) -> None:
        """Begin the periodic work; in the event loop."""
        for one in self.periodic:
            one.start()

    @property
    def deployment(self) -> Deployment:
        """The models that answer now; replaced as a whole when a model is activated."""
        return self.activation.deployment

    def loaded_models(self) -> Iterable[LoadedModel]:
        """The models that answer now or could."""
        return self.deployment.models.values()

    async def history(self, user: str) -> History:
        """The history of a user as the store holds it now.

        One that is in memory is compared with an SQLite file in the event loop; all others are read in threads.
        """
        if self.store.database.embedded and user in self.histories:
            return await self._known_histories.ask(user)
        return await in_time(self._other_histories.ask(user))

    async def read(self, ask: Callable[[], Value]) -> Value:
        """Read a little from the store: at once if it is a file, in a thread if it is a server."""
        return ask() if self.store.database.embedded else await self.read_much(ask)

    async def read_much(self, ask: Callable[[], Value]) -> Value:
        """Read from the store what takes longer, in a thread."""
        return await in_time(asyncio.get_running_loop().run_in_executor(self._reads, ask))

    async def change(self, change: Callable[[], Value]) -> Value:
        """Change the store, in a thread."""
        return await in_time(asyncio.to_thread(change), CHANGE_ADVICE)

    async def join(self, session: str, user: str) -> None:
        """Let what is in memory follow a session that the store has joined to a user."""
        self.histories.forget([session])
        for learner in self.deployment.learners.values():
            await learner.join(self.store, session, user)

    async def follow_events(self) -> None:
        """Let models learn what other services stored."""
        for learner in self.deployment.learners.values():
            await learner.follow(self.store)

    async def close(self) -> None:
        """Store what waits, and close the store."""
        try:
            await asyncio.gather(*(one.close() for one in self.periodic))
            await self.writer.close()
            await self.impressions.close()
            await self._flushing.once()
        finally:
            for threads in (self.computing, self.comparing):
                await asyncio.to_thread(threads.close)
            await asyncio.to_thread(self._reads.shutdown, cancel_futures=True)
            await asyncio.to_thread(self.store.close)  # a thread may still read, for one who went away

    def _changed(self, changes: dict[str, Change]) -> None:
        """What follows from events that were stored."""
        self.histories.apply(changes)
        self.quality.changed(changes)
        self.shop.add_events(changes)

    async def _learn(self, changes: dict[str, Change]) -> None:
        """Let models learn events that were stored."""
        for learner in self.deployment.learners.values():
            await learner.apply(self.store, changes)
