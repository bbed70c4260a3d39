"""`Erasures`: takes erased people out of the saved models of this service, whichever process erased them.

The store says, by salted hashes, who was erased and when. Names and histories are taken out of the folders of the
loaded models, and out of memory, when the service has started, when somebody was erased, and when another model was
loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from segue.event_store.event_log import EventLog
from segue.service.loaded_model import LoadedModel
from segue.serving.erase_users import ErasedFromModel, erase_users

Names = Mapping[str, int | None]


@dataclass(frozen=True)
class Found:
    """Erased people whom models know.

    Attributes:
        state: of the store and the models that this belongs to.
        names: for each model, the names, and when they were erased.
    """

    state: object
    names: Sequence[tuple[LoadedModel, Names]]


class Erasures:
    """Who was erased."""

    def __init__(self, log: EventLog, models: Callable[[], Iterable[LoadedModel]]) -> None:
        """Prepare.

        Args:
            log: the events.
            models: returns the loaded models.
        """
        self.log, self.models = log, models
        self._state: object = ((0, 0), ())

    def read_changes(self) -> Found | None:
        """Take erased people out of the folders; None if nothing has changed. Runs in a thread."""
        models = list(self.models())
        state = (self.log.erasures(), tuple(map(id, models)))
        if state == self._state:
            return None
        erased = self.log.erased()
        names: list[tuple[LoadedModel, Names]] = []
        for loaded in models if len(erased) else ():
            known = loaded.user_names()
            times = zip(known, map(erased.times.get, erased.hashes(known)), strict=True)
            found = {name: time for name, time in times if time is not None}
            if found:
                erase_from(loaded, found)
                names.append((loaded, found))
        return Found(state, names)

    def apply(self, found: Found | None) -> None:
        """Take them out of memory."""
        if found is not None:
            self._state = found.state
            for loaded, names in found.names:
                loaded.forget(names)


def erase_from(loaded: LoadedModel, names: Names) -> ErasedFromModel:
    """Take users out of the folder of a model.

    Raises:
        ArtefactError: it cannot be rewritten.
    """
    folder = loaded.saved.folder
    return ErasedFromModel(0, 0) if folder is None else erase_users(folder, names)
