"""`FeatureEncoder`: transforms the steps of an item's history by one matrix for each feature of the item.

    flat           E(x) = sum_k M_k x                                                                   (11)
    hierarchical   E(x) = M_1 (M_2 (... (M_L x))),  from the root L to the leaf 1                       (12)

The steps of an item without features stay as they are. In the authors' program a tanh follows each matrix of (12).
Source: Pei et al., "Interacting attention-gated recurrent networks for recommendation", CIKM 2017, section 3.3.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.nn.embedding import embedding
from segue.nn.item_features import ItemFeatures

FeatureEncoding = Literal["none", "flat", "hierarchical"]


class FeatureEncoder(ItemFeatures):
    """A matrix for each feature, initialised near the identity.

    Args:
        num_items: number of items.
        num_features: number of features.
        max_features: number of features an item may have.
        dim: size e of the vectors that are transformed.
        kind: flat or hierarchical.
        tanh: whether a tanh follows each matrix of the hierarchy.
        sparse: whether the gradient of the matrices is sparse; see `segue.nn.embedding`.
    """

    def __init__(
        self,
        num_items: int,
        num_features: int,
        max_features: int,
        dim: int,
        kind: FeatureEncoding,
        *,
        tanh: bool = False,
        sparse: bool = False,
    ) -> None:
        super().__init__(num_items, num_features, max_features)
        self.kind, self.tanh, self.sparse = kind, tanh, sparse
        self.matrix = nn.Parameter(torch.eye(dim) + torch.randn(num_features + 1, dim, dim).mul_(0.01))

    def forward(self, x: Float[Tensor, "P B e"], item: Int[Tensor, "B"]) -> Float[Tensor, "P B e"]:
        """The steps of the histories of B items, transformed by the features of these items."""
        features = self.lookup(item)  # (B, F)
        if self.kind == "flat":
            total = torch.zeros_like(x)
            for feature in features.T:
                total = total + self._transform(x, feature) * (feature > 0)[:, None]
            return torch.where((features > 0).any(1)[:, None], total, x)
        for feature in features.T:
            transformed = self._transform(x, feature)
            x = torch.where((feature > 0)[:, None], transformed.tanh() if self.tanh else transformed, x)
        return x

    def _transform(self, x: Float[Tensor, "P B e"], feature: Int[Tensor, "B"]) -> Float[Tensor, "P B e"]:
        matrix = embedding(self.matrix, feature, sparse=self.sparse)  # (B, e, e)
        return torch.einsum("bij,pbj->pbi", matrix, x)
