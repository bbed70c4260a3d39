"""`EventTypeEmbedding`: a learnt vector for each type of event, added to that of the item."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.nn.embedding import embedding, zero_padding


class EventTypeEmbedding(nn.Module):
    """A learnt vector for each type of event; an event of unknown type (0) has the vector 0.

    Args:
        num_types: number of types of events.
        dim: size of the vectors.
    """

    def __init__(self, num_types: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_types + 1, dim).mul_(0.02))
        zero_padding(self.weight)

    def forward(self, types: Int[Tensor, "B P"]) -> Float[Tensor, "B P d"]:
        """The vector of each event."""
        return embedding(self.weight, types)
