"""S-POP: recommends the items that occur most often in the current session. Overall popularity breaks ties.

    score(j) = (events of j in the history)  +  n_j / (1 + n_j),        n_j the number of events of j in the log,
                                                               of those that may be targets, by their weights

The model is useful where users return to items. Where seen items are excluded, it ranks as POP does.
Source: Hidasi et al., "Session-based recommendations with recurrent neural networks", ICLR 2016. In the authors'
program (github.com/hidasib/GRU4Rec), preset `gru4rec`, only the 100 most popular items have the second term.
The counts are float64, because the second terms of two popular items differ in the eighth digit only.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.event_types import item_weights
from segue.data.log import Log
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import DirectModel, Sizes


class SPopConfig(EventWeightsConfig):
    """Settings of S-POP."""

    top_n: int | None = Field(
        None, ge=1, description="Number of most popular items that get the popularity term; none gives it to all items."
    )
    renamed: ClassVar[dict[str, str]] = {"top": "top_n"}


class SPop(DirectModel):
    """Session popularity: the score of an item is its number of events in the history, then its popularity."""

    name = "s-pop"
    training_cost = "low"
    depends_on_seed = False
    Config = SPopConfig
    config: SPopConfig
    presets: ClassVar = {"gru4rec": {"top_n": 100}}
    window = None
    skips_padding = "anywhere"
    additive = "sum"
    popularity: Tensor

    def __init__(self, config: SPopConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("popularity", torch.zeros(sizes.num_items + 1, dtype=torch.float64))

    def fit(self, log: Log) -> None:
        count = item_weights(log, self.config.target_weights(log))
        popularity = count / (1 + count)
        if self.config.top_n is not None:
            popularity[np.argsort(-count, kind="stable")[self.config.top_n :]] = 0
        self.popularity.copy_(torch.from_numpy(popularity))

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        scores = self.popularity.repeat(len(batch), 1)  # (B, I)
        scores.scatter_add_(1, batch.history, torch.ones_like(batch.history, dtype=scores.dtype))
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]
