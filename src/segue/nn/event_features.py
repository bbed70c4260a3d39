"""`EventFeatureEmbedding`: learnt vectors for the features of an event, added to that of its item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.data.log import Log
from segue.nn.embedding import embedding, zero_padding

NUM_RANGES = 16  # of a column of numbers, each with equally many events of the training


class EventFeatureEmbedding(nn.Module):
    """A learnt vector for each category and for each range of numbers; the vectors of an event are added up.

    The ranges of a column of numbers begin at its quantiles in the training log (`set_ranges`), so that they depend on
    neither its unit nor on outliers. An empty or unknown feature (NaN) has the vector 0.

    Args:
        num_categories: the number of categories of each column; 0 for a column of numbers.
        dim: size of the vectors.
    """

    first: Tensor
    edges: Tensor

    def __init__(self, num_categories: Sequence[int], dim: int) -> None:
        super().__init__()
        self.num_categories = tuple(num_categories)
        sizes = [number or NUM_RANGES for number in num_categories]
        self.weight = nn.Parameter(torch.randn(1 + sum(sizes), dim).mul_(0.02))
        zero_padding(self.weight)
        self.first = nn.Buffer(torch.tensor([0, *sizes[:-1]]).cumsum(0))  # (F,) the row before the first of each column
        self.edges = nn.Buffer(torch.zeros(len(sizes), NUM_RANGES - 1))

    def set_ranges(self, log: Log) -> None:
        """Let the ranges of numbers be those of a training log."""
        values = log.column(log.known_event_features)
        for place, number in enumerate(self.num_categories):
            known = values[~np.isnan(values[:, place]), place]
            if not number and len(known):
                shares = np.arange(1, NUM_RANGES) / NUM_RANGES
                self.edges[place] = torch.from_numpy(np.quantile(known, shares, method="inverted_cdf"))

    def forward(self, features: Float[Tensor, "B P F"]) -> Float[Tensor, "B P d"]:
        """The sum of the vectors of each event."""
        known = ~features.isnan()
        numbers = [
            features[..., place].nan_to_num().long()
            if number
            else 1 + torch.bucketize(features[..., place].to(self.edges).contiguous(), self.edges[place], right=True)
            for place, number in enumerate(self.num_categories)
        ]
        rows = torch.where(known, torch.stack(numbers, 2) + self.first, 0)  # (B, P, F)
        return embedding(self.weight, rows).sum(2)
