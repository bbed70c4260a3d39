"""`LiveStates`: the hidden states of recurrent models for live users, so that an event costs one step.

    history  a b c      state after a b c is kept
    event    d          one step from that state: the state after a b c d
    history  a x b c d  a late event: the kept state belongs to no beginning of it, so the history is read again

A history that is longer than the window of the model is read again for each answer, because the model reads only the
newest items, from an empty state. The cost is bounded by the window.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.data.log import Ids


class LiveStates:
    """The states of the users who were asked for last."""

    def __init__(self, model: Any, max_users: int = 100_000) -> None:
        """Prepare for a model.

        Args:
            model: it `keeps_state`.
            max_users: how many states are kept; the least recently used ones are dropped.
        """
        self.model, self.max_users = model, max_users
        self._kept: OrderedDict[str, tuple[Ids, Any]] = OrderedDict()

    def can_read(self, items: Ids) -> bool:
        """Whether the model reads the whole history."""
        return len(items) > 0 and (self.model.window is None or len(items) <= self.model.window)

    def query_vectors(self, users: Sequence[str], histories: Sequence[Ids]) -> Float[Tensor, "B d"]:
        """The query vectors of users with these histories, each of which `can_read`."""
        with torch.inference_mode():
            pairs = zip(users, histories, strict=True)
            return torch.cat([self.model.state_query(self._state(user, items)) for user, items in pairs])

    def forget(self, users: Iterable[str]) -> None:
        """Drop the states of some users."""
        for user in users:
            self._kept.pop(user, None)

    def _state(self, user: str, items: Ids) -> Any:
        """The state after a history: from the one that is kept, if that belongs to a beginning of the history."""
        known, state = self._kept.get(user, (items[:0], None))
        if len(known) > len(items) or not np.array_equal(items[: len(known)], known):
            known, state = items[:0], None
        for item in items[len(known) :].tolist():
            state = self.model.advance(state, torch.tensor([item]))
        self._kept[user] = items, state
        self._kept.move_to_end(user)
        if len(self._kept) > self.max_users:
            self._kept.popitem(last=False)
        return state
