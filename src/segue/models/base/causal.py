"""`CausalModel`: a ranker whose one pass over a stretch of a history answers after each of its items.

What it says after an item knows nothing of those that follow. So a stretch of `window` items teaches as many prefixes
as it has items, where a program that copies every prefix computes all of them anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import CausalSequences
from segue.data.log import Log
from segue.models.base.ranking import RankingModel


class CausalModel(RankingModel):
    """Trained on stretches, every item of which asks for the next."""

    def stretches(self, log: Log) -> CausalSequences:
        """What an epoch over `log` is made of: all of it, in stretches of `window` items, or of all that users have."""
        return CausalSequences(window=self.window or int(log.lengths.max()), num_negatives=self.config.own)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        batches = self.stretches(log).batches(log, self.config.batch_size, rng)
        return self.with_shared(batches, log, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return super().forward(batch.trimmed())


def asked_of(batch: Batch) -> tuple[Int[Tensor, "B P"], int]:
    """The histories, and after how many of their last items is asked: all, or the newest alone, as in use."""
    if batch.num_queries == 1:
        return batch.trimmed().history, 1
    return batch.history, batch.history.shape[1]
