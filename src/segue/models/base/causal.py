"""`CausalModel`: base class of models that compute a query after every item of a sequence in one pass.

A query depends only on the items up to its position. A sequence of `window` items therefore trains on all of its
prefixes at the cost of one.
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
    """Base class of models that are trained on sequences in which every item predicts the next."""

    def training_sequences(self, log: Log) -> CausalSequences:
        """The training sequences of an epoch over `log`: parts of `window` items, or the whole histories of users."""
        return CausalSequences(
            window=self.window or int(log.lengths.max()),
            num_negatives=self.config.negatives_per_target,
            shown=self.config.draws_from_shown,
            times=self.reads_times,
            types=self.reads_event_types,
            features=self.reads_event_features,
            sessions=self.session_rule,
        )

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        batches = self.training_sequences(log).batches(log, self.config.batch_size, rng)
        return self.with_shared_negatives(batches, log, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return super().forward(batch.trimmed())


def history_and_query_count(batch: Batch) -> tuple[Int[Tensor, "B P"], int]:
    """The histories, and the number of their last positions that have a query: all in training, one in scoring."""
    if batch.num_queries == 1:
        return batch.trimmed().history, 1
    return batch.history, batch.history.shape[1]
