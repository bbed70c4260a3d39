"""S-POP: what occurs most often in the session so far, and of what is equally frequent there the most popular.

    score(j) = (events of j in the history)  +  n_j / (1 + n_j),        n_j the events of j in the log

Hidasi et al., ICLR 2016; of use where items are taken again, and POP where seen items are left out. In the authors'
program (github.com/hidasib/GRU4Rec), preset `gru4rec`, only the 100 most popular items have the second part. Counts are
kept in 64 bits: of two items with thousands of events, the second parts differ in the eighth digit.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.data.log import Log
from segue.models.base.model import DirectModel, Sizes


class SPopConfig(Config):
    """Settings of S-POP."""

    top: int | None = Field(
        None, ge=1, description="How many of the most popular items have a score outside the session; None: all."
    )


class SPop(DirectModel):
    """Scores an item by how often it occurs in the history."""

    name = "s-pop"
    Config = SPopConfig
    config: SPopConfig
    presets: ClassVar = {"gru4rec": {"top": 100}}
    window = None
    popularity: Tensor

    def __init__(self, config: SPopConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("popularity", torch.zeros(sizes.num_items + 1, dtype=torch.float64))

    def fit(self, log: Log) -> None:
        count = log.counts()
        popularity = count / (1 + count)
        if self.config.top is not None:
            popularity[np.argsort(-count, kind="stable")[self.config.top :]] = 0
        self.popularity.copy_(torch.from_numpy(popularity))

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        scores = self.popularity.repeat(len(batch), 1)
        scores.scatter_add_(1, batch.history, torch.ones_like(batch.history, dtype=scores.dtype))
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]
