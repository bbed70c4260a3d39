"""`SessionEmbedding`: a learnt vector for the position of an event in its session, added to that of the item.

With one position, it says where sessions begin, as a token between them would (Seol, Ko and Lee, "Exploiting session
information in BERT-based session-aware sequential recommendation", SIGIR 2022), and takes no place in the history.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.nn.embedding import embedding, zero_padding

NUM_POSITIONS = 20  # with a vector of their own; all later ones share the last


class SessionEmbedding(nn.Module):
    """A learnt vector for each of the first positions of a session; events of unknown sessions (0) have the vector 0.

    Args:
        num_positions: number of vectors. With 1, the first event of a session has a vector and others have 0; with
            more, all later positions have the last one.
        dim: size of the vectors.
    """

    def __init__(self, num_positions: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_positions + 1, dim).mul_(0.02))
        zero_padding(self.weight)

    def forward(self, positions: Int[Tensor, "B P"]) -> Float[Tensor, "B P d"]:
        """The vector of each event."""
        last = len(self.weight) - 1
        rows = torch.where(positions > 1, 0, positions) if last == 1 else positions.clamp(max=last)
        return embedding(self.weight, rows)
