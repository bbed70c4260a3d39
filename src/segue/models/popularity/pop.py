"""POP: recommends the most popular items of the log to every user. The first baseline of every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.event_types import item_weights
from segue.data.log import Log
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import DirectModel, Sizes


class Pop(DirectModel):
    """Popularity: the score of an item is the sum of the weights of its events in the log."""

    name = "pop"
    training_cost = "low"
    depends_on_seed = False
    Config = EventWeightsConfig
    config: EventWeightsConfig
    window = update_window = 0
    count: Tensor

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("count", torch.zeros(sizes.num_items + 1))
        self.can_update = config.event_weights is None

    def fit(self, log: Log) -> None:
        self.count.copy_(torch.from_numpy(item_weights(log, self.config.target_weights(log))))

    def update(self, histories: Sequence[Sequence[int]], items: Sequence[int], *, count: int = 1) -> None:
        if not self.can_update:
            super().update(histories, items)  # the error
        self._check_events(histories, items)
        for item in items:
            self.count[item] += count

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        count = self.count.clone()
        count[0] = -torch.inf
        return (count if items is None else count[items]).repeat(len(batch), 1)
