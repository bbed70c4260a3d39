"""Recent popularity: the most frequent items of the last days, for everybody.

    score(j) = n_j among the newest `share` of the events  +  n_j / (N + 1),      n_j of the N events of the whole log

so that what is equally frequent of late stands in the order of POP. The newest events are those since one moment, the
same for everybody; where the log has no times nobody knows that moment, and each user's own newest events are taken.
A window in events needs no unit of time and means as much in a quiet log as in a busy one.
Source: Ji et al., SIGIR 2020 (popularity at the time of the question is the baseline to beat).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.data.log import Log, ranges
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import LogUniform, Space


class RecentPopConfig(Config):
    """Settings of recent popularity."""

    share: float = Field(0.1, gt=0, le=1, description="How large a part of the events is recent.")


class RecentPop(DirectModel):
    """Scores an item by how often it occurs at the end of the log."""

    name = "recent-pop"
    Config = RecentPopConfig
    config: RecentPopConfig
    space: ClassVar[Space] = {"share": LogUniform(0.002, 0.5)}
    window = 0
    count: Tensor

    def __init__(self, config: RecentPopConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("count", torch.zeros(sizes.num_items + 1))

    def fit(self, log: Log) -> None:
        recent = np.bincount(_newest(log, self.config.share), minlength=log.num_items + 1)
        self.count.copy_(torch.from_numpy(recent + log.counts() / (len(log) + 1)))

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        count = self.count.clone()
        count[0] = -torch.inf
        return (count if items is None else count[items]).repeat(len(batch), 1)


def _newest(log: Log, share: float) -> np.ndarray:
    """The items of the newest `share` of the events; those of one moment stay together."""
    if log.time is None:
        return log.item[ranges(log.stop - np.ceil(share * log.sizes).astype(np.int64), log.stop)]
    time, item = log.column(log.time), log.column(log.item)
    place = len(time) - int(np.ceil(share * len(time)))
    return item[time >= np.partition(time, place)[place]] if len(time) else item
