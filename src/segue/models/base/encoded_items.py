"""`EncodedItems`: base class of models whose item vectors may be made of embeddings and features of the items.

A model calls `encode` for each table of item embeddings when it is made, and reads the table with `encoded`. With the
setting `features`, `segue.nn.item_encoder` then makes the vectors of the rows of the table and of the features;
without it, they are the rows themselves. A model that does not call `encode` refuses the setting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import SequenceBatch
from segue.config import Field
from segue.data.item_features import feature_arrays
from segue.data.log import Log
from segue.errors import require
from segue.models.base.gradient_config import GradientModelConfig
from segue.models.base.model import DotProductModel, GradientModel, Sizes
from segue.nn.embedding import embedding
from segue.nn.event_features import EventFeatureEmbedding
from segue.nn.item_encoder import FeatureTable, Fusion, ItemEncoder

OF_FEATURES = ("features", "feature_fusion", "id_dropout")


class EncodedItemsConfig(GradientModelConfig):
    """Settings of models whose item vectors may have features."""

    features: tuple[str, ...] | None = Field(
        None,
        description=(
            "Columns of the item metadata that item vectors are made of, besides the embeddings of the items: "
            "categories, numbers or vectors."
        ),
    )
    feature_fusion: Fusion = Field(
        "sum",
        description=(
            "How features become part of an item vector: added to the embedding (sum), or concatenated with it and "
            "multiplied by a matrix (concat)."
        ),
    )
    id_dropout: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Rate at which the embedding of an item is left out in training, for features to stand alone.",
    )

    def check(self) -> None:
        super().check()
        given = self.features or ()
        require(len(set(given)) == len(given), f"features={','.join(given)}: names a column twice")
        for name in ("feature_fusion", "id_dropout"):
            value, default = getattr(self, name), type(self).model_fields[name].default
            require(bool(given) or value == default, f"{name}={value}: needs features")

    def as_dict(self) -> dict[str, Any]:
        """Plain values; without features, settings of features are absent, as in files of earlier versions."""
        values = super().as_dict()
        return values if self.features else {key: value for key, value in values.items() if key not in OF_FEATURES}

    def feature_sizes(self, log: Log) -> dict[str, int]:
        return feature_arrays(log, self.features).sizes if self.features else {}


class EncodedItems(GradientModel, DotProductModel):
    """Base class of models with tables of item embeddings, to which features may be added.

    Class attributes:
        output_table: the name of the embedding table whose vectors are multiplied by queries.
    """

    config: EncodedItemsConfig
    output_table: ClassVar[str] = "item_embedding"
    features: FeatureTable | None

    def __init__(self, config: EncodedItemsConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        of_features = sizes.num_features, sizes.categories_per_item, sizes.values_per_item
        self.features = FeatureTable(sizes.num_items, *of_features) if config.features else None
        self.encoders = nn.ModuleDict()

    def encode(self, name: str) -> None:
        """Let features be part of the vectors of the embedding table `name`, if the settings name any."""
        if self.features is not None:
            self.encoders[name] = ItemEncoder(
                self.get_parameter(name),
                num_categories=self.sizes.num_features,
                num_values=self.sizes.values_per_item,
                fusion=self.config.feature_fusion,
                id_dropout=self.config.id_dropout,
            )

    def encoded(self, name: str, ids: Int[Tensor, "*n"] | None = None) -> Float[Tensor, "... d"]:
        """The vectors that the embedding table `name` has for some items, or for items 0..I, with their features."""
        table = self.get_parameter(name)
        vectors = table if ids is None else embedding(table, ids)
        return vectors if self.features is None else self.encoders[name](vectors, self.features.rows(ids))

    def read_features(self, log: Log) -> None:
        """Take from the log that the model is trained on what its features need.

        These are the features of the items, which of them have events, and the ranges of numbers of event features.

        Raises:
            ConfigError: the settings name features, and the model uses none.
        """
        if self.features is not None:
            require(len(self.encoders) > 0, f"features: {self.name} does not use features of items; leave them out")
            self.features.fill(feature_arrays(log, self.config.features or ()), log.counts())
        for module in self.modules():
            if isinstance(module, EventFeatureEmbedding):
                module.set_ranges(log)

    @property
    def item_embeddings(self) -> Float[Tensor, "I d"]:
        """The vectors of items 0..I (I + 1 rows); row 0 is padding. By default those of `output_table`."""
        return self.encoded(self.output_table)

    def without_cold_negatives(self, batch: SequenceBatch) -> SequenceBatch:
        """With features, the batch without negatives that have no event in training."""
        if self.features is None:
            return batch
        trained, shared = self.features.trained, batch.shared_negatives
        return replace(
            batch,
            negatives=batch.negatives * trained[batch.negatives],
            shared_negatives=None if shared is None else shared[trained[shared]],
        )
