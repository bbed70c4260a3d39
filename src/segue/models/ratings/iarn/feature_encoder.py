"""IARN's feature encoder: what is read of an item passes through a matrix for each of its features.

    flat           E(x) = sum_k M_k x                                                                   (11)
    hierarchical   E(x) = M_1 (M_2 (... (M_L x))),  from the root L to the leaf 1                       (12)

An item without features is read as it is. The authors' program takes a tanh after each matrix of a hierarchy.
Source: Pei et al., "Interacting attention-gated recurrent networks for recommendation", CIKM 2017, section 3.3.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.nn.item_features import ItemFeatures

Kind = Literal["none", "flat", "hierarchical"]


class Encoder(ItemFeatures):
    """A matrix for each feature, near the identity at first.

    Args:
        room: how many items there are, how many features, and how many of them an item may have.
        dim: size of what is read.
        kind: flat or hierarchical.
        squash: whether a tanh follows each matrix of a hierarchy.
    """

    def __init__(self, room: tuple[int, int, int], dim: int, kind: Kind, *, squash: bool = False) -> None:
        super().__init__(*room)
        self.kind, self.squash = kind, squash
        self.matrix = nn.Parameter(torch.eye(dim) + torch.randn(room[1] + 1, dim, dim) * 0.01)

    def forward(self, x: Float[Tensor, "P B e"], item: Int[Tensor, "B"]) -> Float[Tensor, "P B e"]:
        """What is read of each of the B items."""
        feature = self.lookup(item)
        if self.kind == "flat":
            total = torch.zeros_like(x)
            for level in feature.T:
                total = total + self._through(x, level) * (level > 0)[:, None]
            return torch.where((feature > 0).any(1)[:, None], total, x)
        for level in feature.T:
            new = self._through(x, level)
            x = torch.where((level > 0)[:, None], new.tanh() if self.squash else new, x)
        return x

    def _through(self, x: Float[Tensor, "P B e"], level: Int[Tensor, "B"]) -> Float[Tensor, "P B e"]:
        return torch.einsum("bij,pbj->pbi", self.matrix[level], x)
