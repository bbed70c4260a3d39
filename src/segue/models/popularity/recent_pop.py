"""Recent popularity: recommends the items that are most popular in the newest part of the log.

    score(j) = m_j + n_j / (N + 1)
               m_j: events of j among the newest `recent_share` of all events;  n_j: events of j among all N events,
               of those that may be targets; events of types with weights count so much

Items that are equally popular in the newest part are therefore ordered as by POP. The newest part begins at the same
moment for all users. In a log without times, it consists of the newest events of each user. Its length is given as a
share of the events, so it needs no unit of time and adapts to quiet and busy logs.
Source: Ji et al., "A re-visit of the popularity baseline in recommender systems", SIGIR 2020.
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
from segue.data.log import Ids, Log, ranges
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import LogUniform, Space


class RecentPopConfig(EventWeightsConfig):
    """Settings of recent popularity."""

    recent_share: float = Field(0.1, gt=0, le=1, description="Share of all events that counts as recent.")
    renamed: ClassVar[dict[str, str]] = {"share": "recent_share"}


class RecentPop(DirectModel):
    """Recent popularity: the score of an item is its number of events in the newest part of the log."""

    name = "recent-pop"
    training_cost = "low"
    depends_on_seed = False
    Config = RecentPopConfig
    config: RecentPopConfig
    space: ClassVar[Space] = {"recent_share": LogUniform(0.002, 0.5)}
    window = 0
    count: Tensor

    def __init__(self, config: RecentPopConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("count", torch.zeros(sizes.num_items + 1))

    def fit(self, log: Log) -> None:
        weights, rows = self.config.target_weights(log), _recent_rows(log, self.config.recent_share)
        recent = np.bincount(log.item[rows], weights[rows], log.num_items + 1)
        total = log.column(weights).sum()
        self.count.copy_(torch.from_numpy(recent + item_weights(log, weights) / (total + 1)))

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        count = self.count.clone()
        count[0] = -torch.inf
        return (count if items is None else count[items]).repeat(len(batch), 1)


def _recent_rows(log: Log, share: float) -> Ids:
    """The rows of the newest `share` of the events; events at the same time are all in or all out."""
    if log.time is None:
        return ranges(log.stop - np.ceil(share * log.lengths).astype(np.int64), log.stop)
    time, rows = log.column(log.time), log.rows()
    first = len(time) - int(np.ceil(share * len(time)))
    return rows[time >= np.partition(time, first)[first]] if len(time) else rows
