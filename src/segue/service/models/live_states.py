"""`LiveStates`: the hidden states of recurrent models for live users, so that an event costs one step.

    history  a b c      state after a b c is kept
    event    d          one step from that state: the state after a b c d
    history  a x b c d  a late event: this history has another origin, so it is read again

A history that is longer than the window of the model is read again for each answer, because the model reads only the
newest items, from an empty state. The cost is bounded by the window. A model that reads whole histories goes on from
the kept state when the oldest events are dropped from memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import ref

import torch
from jaxtyping import Float
from torch import Tensor

from segue.data.log import Ids
from segue.service.users.history import History, Origin

NO_ORIGIN = ref(Origin())  # which is gone at once


class LiveStates:
    """The states of the users with the newest requests."""

    def __init__(self, model: Any, max_users: int = 100_000) -> None:
        """Prepare for a model.

        Args:
            model: it `keeps_state`.
            max_users: how many states are kept; the least recently used ones are dropped.
        """
        self.model, self.max_users = model, max_users
        self._kept: OrderedDict[str, tuple[ref[Origin], int, Any]] = OrderedDict()  # origin, count, state

    def can_read(self, items: Ids) -> bool:
        """Whether the model reads all known items of a history."""
        return len(items) > 0 and (self.model.window is None or len(items) <= self.model.window)

    def query_vectors(self, histories: Sequence[tuple[History, Ids]]) -> Float[Tensor, "B d"]:
        """The query vectors of histories, with the ids of all their items; each `can_read` its known ones."""
        with torch.inference_mode():
            return torch.cat([self.model.state_query(self._state(history, ids)) for history, ids in histories])

    def users(self) -> list[str]:
        """The users whose states are kept."""
        return list(self._kept)

    def forget(self, users: Iterable[str]) -> None:
        """Drop the states of some users."""
        for user in users:
            self._kept.pop(user, None)

    def _state(self, history: History, ids: Ids) -> Any:
        """The state after a history: from the one that is kept, if that belongs to a beginning of the history."""
        origin, count, state = self._kept.get(history.user, (NO_ORIGIN, 0, None))
        new = history.count - count
        if origin() is not history.origin or not 0 <= new <= len(ids):
            state, new = None, len(ids)
        for item in ids[len(ids) - new :].tolist():
            if item:
                state = self.model.advance(state, torch.tensor([item]))
        self._kept[history.user] = ref(history.origin), history.count, state
        self._kept.move_to_end(history.user)
        if len(self._kept) > self.max_users:
            self._kept.popitem(last=False)
        return state
