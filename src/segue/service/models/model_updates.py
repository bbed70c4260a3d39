"""`ModelUpdates`: events that wait to be learnt by a model, or to be taken out of it, in the order in which they came.

An event takes about a tenth of a millisecond with learnt counts, and a user may have very many. So few are learnt at a
time in the event loop, and requests are answered in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from segue.data.log import Ids
from segue.models.base.model import Model

AT_A_TIME = 50


class ModelUpdates:
    """What waits for a model.

    Attributes:
        num_learnt: number of events that the model has learnt.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.num_learnt = 0
        self._waiting: deque[tuple[Ids, int, int]] = deque()  # ids of items, the place of an event, and its count

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ids: Ids, places: Iterable[int], count: int) -> None:
        """Let events wait.

        Args:
            ids: the items of a user, oldest first.
            places: of the events among them, each of which is learnt after those before it.
            count: 1 if they are to be learnt, and -1 to take them out.
        """
        self._waiting.extend((ids, place, count) for place in places)

    def make(self, most: int | None = None) -> None:
        """Learn, or take out, what waits: all, or the first ones."""
        window = self.model.update_window
        for _ in range(len(self) if most is None else min(most, len(self))):
            ids, place, count = self._waiting.popleft()
            begin = 0 if window is None else max(0, place - window)
            self.model.update([ids[begin:place].tolist()], [int(ids[place])], count=count)
            self.num_learnt += count

    async def make_all(self) -> None:
        """Learn, or take out, all that waits, so that requests are answered in between."""
        while self._waiting:
            self.make(AT_A_TIME)
            await asyncio.sleep(0)
