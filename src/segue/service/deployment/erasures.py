"""`Erasures`: takes erased users out of memory and the saved models of this service, whichever process erased them.

The store says, by salted hashes, who was erased and when. Names, histories and states go from memory, and then from
the folders of the loaded models, when the service has started, after an erasure, and when another model was loaded.
One folder is rewritten at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from weakref import WeakKeyDictionary

from segue.errors import ArtefactError, SegueError
from segue.event_store.clock import MICROSECONDS
from segue.event_store.erased_names import ErasedNames
from segue.event_store.erasure_table import Erased, ErasureTable
from segue.service.deadline import CHANGE_ADVICE, in_time
from segue.service.models.event_learner import EventLearner
from segue.service.models.live_states import LiveStates
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.histories import Histories
from segue.serving.erase_users import ErasedFromModel, erase_users

Names = Mapping[str, int | None]


class Erasures:
    """Who was erased.

    Attributes:
        failed: why users could not be taken out of a model, by its name.
    """

    def __init__(self, table: ErasureTable, models: Callable[[], Iterable[LoadedModel]], histories: Histories) -> None:
        """Prepare.

        Args:
            table: who was erased.
            models: returns the loaded models.
            histories: of the users in memory.
        """
        self.table, self.models, self.histories = table, models, histories
        self.failed: dict[str, str] = {}
        self._left: WeakKeyDictionary[LoadedModel, Names] = WeakKeyDictionary()  # users who are still in its folder
        self._done: object = None  # the erasures and the models of the last time that nothing failed
        self._num_emptied = 0  # the erasures before the journal was empty the last time
        self._lock = asyncio.Lock()

    async def erase(self, user: str) -> tuple[Erased, dict[str, ErasedFromModel]]:
        """Take a user out of the store, memory and all loaded models.

        Returns:
            What was taken out of the store, and out of each model that is not in `failed`.

        Raises:
            DataError: the store does not answer in time.
        """
        # or `follow` may take the user out of the models first, and it is not counted here; where the store hangs,
        # `follow` has the lock, and waits
        await in_time(self._lock.acquire(), CHANGE_ADVICE)
        try:
            erased = await in_time(asyncio.to_thread(self.table.erase, user), CHANGE_ADVICE)
            names = dict.fromkeys(erased.names)
            for cache in self._caches():
                cache.forget(names)
            for learner in self._learners():
                await learner.forget(names)
            return erased, await self._erase(dict.fromkeys(self.models(), names))
        finally:
            self._lock.release()

    async def follow(self) -> None:
        """Take out users who were erased by other processes, or are in a model that was loaded meanwhile.

        Raises:
            ArtefactError: a model cannot be rewritten; the others were.
            DataError: the store cannot be read.
        """
        async with self._lock:
            models = list(self.models())
            state = (await in_time(asyncio.to_thread(self.table.count)), models)
            if state == self._done:
                return
            self.failed = {}
            erased = await in_time(asyncio.to_thread(self.table.names))
            for cache in self._caches():
                cache.forget(await in_time(asyncio.to_thread(erased.among, cache.users())))
            for learner in self._learners():
                await learner.forget(await in_time(asyncio.to_thread(erased.among, learner.users())))
            await self._erase(await in_time(asyncio.to_thread(self._known, erased, models)))
            if self.failed:
                raise ArtefactError("; ".join(self.failed.values()))
            self._done = state

    async def empty_journal(self) -> None:
        """Take erased rows out of the journal of the store, as soon as nobody reads a state of before the erasure."""
        num_erasures = await asyncio.to_thread(self.table.count)
        if num_erasures != self._num_emptied and await asyncio.to_thread(self.table.database.empty_journal):
            self._num_emptied = num_erasures

    def _caches(self) -> list[Histories | LiveStates]:
        """What is in memory of users, whether or not a model was trained on them."""
        return [self.histories, *(loaded.states for loaded in self.models() if loaded.states is not None)]

    def _learners(self) -> list[EventLearner]:
        """What models have learnt of users since their training."""
        return [loaded.learner for loaded in self.models() if loaded.learner is not None]

    def _known(self, erased: ErasedNames, models: Iterable[LoadedModel]) -> dict[LoadedModel, Names]:
        """The erased users whom models or their folders know, and the times up to which their events are erased."""
        known = dict[LoadedModel, Names]()
        for loaded in models:
            found = {name: _until(loaded, time) for name, time in erased.among(loaded.user_names()).items()}
            if found or loaded in self._left:
                known[loaded] = found
        return known

    async def _erase(self, known: Mapping[LoadedModel, Names]) -> dict[str, ErasedFromModel]:
        done = {}
        for loaded, names in known.items():
            await loaded.forget(names)
            left = {**self._left.get(loaded, {}), **names}
            try:
                done[loaded.name] = await asyncio.to_thread(_erase_from, loaded, left)
            except SegueError as error:
                self.failed[loaded.name], self._left[loaded] = str(error), left
                continue
            self.failed.pop(loaded.name, None)
            self._left.pop(loaded, None)
        return done


def _until(loaded: LoadedModel, erased: int) -> int | None:
    """The time up to which the events of an erased user are taken out of a model; None for all of them.

    Somebody who came back is in a model that was saved later. An older one may have events whose times were wrong.
    """
    saved = loaded.saved.about.get("saved")
    was_before = saved is not None and (datetime.fromisoformat(saved).timestamp() + 1) * MICROSECONDS < erased
    return None if was_before else erased


def _erase_from(loaded: LoadedModel, names: Names) -> ErasedFromModel:
    folder = loaded.saved.folder
    return ErasedFromModel(0, 0) if folder is None else erase_users(folder, names)
