"""`ItemEncoder`: item vectors from the embeddings of their ids and from their features.

With the embedding e_i of an item and its features,

    f_i    = sum over columns of  the mean of the embeddings of its categories, or W times its number or its vector
    sum    : v_i = e_i + f_i
    concat : v_i = W' [e_i ; f_i]

An item without an event in training has no trained e_i: it counts as zero, so that such a cold item is scored by its
features alone. The two forms follow RecBole's SASRecF (concat) and the embeddings of attributes in S3-Rec (sum).
In training, e_i is left out at the rate `id_dropout`, so that features learn to stand alone, as Volkovs, Yu and
Poutanen do for whole inputs ("DropoutNet: addressing cold start in recommender systems", NIPS 2017).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.data.item_features import FeatureArrays
from segue.data.log import Ids
from segue.errors import ConfigError, require
from segue.nn.buffers import require_ids
from segue.nn.embedding import zero_padding

Fusion = Literal["sum", "concat"]


class FeatureRows(NamedTuple):
    """The features of n items.

    Attributes:
        category: (n, F) category ids; 0 for none.
        weight: (n, F) the weight of each category.
        value: (n, W) numbers and vectors.
        trained: (n,) whether the item has an event in training.
    """

    category: Int[Tensor, "n F"]
    weight: Float[Tensor, "n F"]
    value: Float[Tensor, "n W"]
    trained: Bool[Tensor, "n"]


class FeatureTable(nn.Module):
    """The features of items 0..I, filled from a log and saved with the model.

    Args:
        num_items: number of items.
        num_categories: number of different categories.
        categories_per_item: largest number of categories of an item.
        values_per_item: number of numbers, those of vectors included, of each item.
    """

    category: Tensor
    weight: Tensor
    value: Tensor
    trained: Tensor

    def __init__(self, num_items: int, num_categories: int, categories_per_item: int, values_per_item: int) -> None:
        super().__init__()
        self.num_categories = num_categories
        self.register_buffer("category", torch.zeros(num_items + 1, categories_per_item, dtype=torch.int32))
        self.register_buffer("weight", torch.zeros(num_items + 1, categories_per_item))
        self.register_buffer("value", torch.zeros(num_items + 1, values_per_item))
        self.register_buffer("trained", torch.zeros(num_items + 1, dtype=torch.bool))

    def fill(self, features: FeatureArrays, counts: Ids) -> None:
        """Set the features of all items.

        Args:
            features: of the log.
            counts: (I + 1,) the number of training events of each item.

        Raises:
            ConfigError: the model was built for other features.
        """
        shapes = self.num_categories, self.category.shape, self.value.shape
        found = features.num_categories, features.category.shape, features.value.shape
        if found != shapes:
            raise ConfigError("the model was built for other item features; build it with Sizes.of(log, config)")
        for name in ("category", "weight", "value"):
            self.get_buffer(name).copy_(torch.from_numpy(getattr(features, name)))
        self.trained.copy_(torch.from_numpy(counts > 0))

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded ids are no categories."""
        require_ids(self.category, self.num_categories, "item features")
        require(not self.trained[0], "item features: padding is no item of the training")

    def rows(self, ids: Int[Tensor, "*n"] | None = None) -> FeatureRows:
        """The features of some items, one after the other, or of the items 0..I."""
        tables = self.category, self.weight, self.value, self.trained
        return FeatureRows(*(table if ids is None else table.index_select(0, ids.flatten()) for table in tables))


class ItemEncoder(nn.Module):
    """Makes item vectors of the rows of an embedding table and of features.

    Args:
        table: the embeddings of items 0..I. The weights of features begin with the same standard deviation.
        num_categories: number of different categories.
        num_values: number of numbers of each item.
        fusion: whether features are added to the embedding, or concatenated and multiplied by a matrix.
        id_dropout: the rate at which embeddings are left out in training.
    """

    def __init__(
        self, table: Tensor, *, num_categories: int, num_values: int, fusion: Fusion = "sum", id_dropout: float = 0.0
    ) -> None:
        super().__init__()
        dim, std = table.shape[1], table.detach()[1:].std()
        self.id_dropout = id_dropout
        self.category_embedding = self.value_weight = self.fusion = None
        if num_categories:
            self.category_embedding = nn.Parameter(torch.randn(num_categories + 1, dim).mul_(std))
            zero_padding(self.category_embedding)
        if num_values:
            self.value_weight = nn.Parameter(torch.randn(num_values, dim).mul_(std))
        if fusion == "concat":
            self.fusion = nn.Linear(2 * dim, dim, bias=False)  # without a bias padding stays zero

    def forward(self, embedding: Float[Tensor, "*n d"], features: FeatureRows) -> Float[Tensor, "*n d"]:
        """The vectors of items from their embeddings and their features."""
        known = features.trained
        if self.training and self.id_dropout:
            known = known & (torch.rand(known.shape, device=known.device) >= self.id_dropout)
        ids = embedding.flatten(0, -2) * known.unsqueeze(1)  # (n, d)
        of_features = self.feature_vectors(features)  # (n, d)
        vectors = ids + of_features if self.fusion is None else self.fusion(torch.cat([ids, of_features], 1))
        return vectors.view(embedding.shape)

    def feature_vectors(self, features: FeatureRows) -> Float[Tensor, "n d"]:
        """What the features of items add: f_i."""
        parts = []
        if self.category_embedding is not None:
            parts.append(_weighted_sum(self.category_embedding, features.category, features.weight))  # (n, d)
        if self.value_weight is not None:
            parts.append(features.value @ self.value_weight)  # (n, d)
        return sum(parts[1:], parts[0])


def _weighted_sum(
    table: Float[Tensor, "c d"], ids: Int[Tensor, "n F"], weight: Float[Tensor, "n F"]
) -> Float[Tensor, "n d"]:
    """The sum of the rows `ids` of a table, each times its weight; row 0 is padding and gets no gradient."""
    if torch.compiler.is_exporting():  # ONNX Runtime does not load what the bag becomes
        return (table[ids.long()] * weight.unsqueeze(2)).sum(1)
    return nn.functional.embedding_bag(ids, table, per_sample_weights=weight, mode="sum", padding_idx=0)
