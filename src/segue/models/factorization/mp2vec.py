"""Meta-Prod2Vec: Item2Vec with side information about the items.

Features of items are tokens beside the items, and skip-gram is trained on pairs of items and features:

    L = L_{J|I} + lambda (L_{M|I} + L_{J|M} + L_{M|M} + L_{I|M})

    for items i and j of a user and the features of both:
    J|I  item i, context j         M|I  item i, context: a feature of j        I|M  a feature of i, context i
                                   J|M  a feature of i, context j              M|M  a feature of i, context: one of j

Each term is the loss of skip-gram with negatives, -ln sigma(u_a . v_b) - sum over m of ln sigma(-u_a . v_m). Items
and features share one space and one distribution of negatives, in proportion to (events)^(3/4). A feature has as many
events as the items that have it; each of several features of an item makes a pair. Without a `feature_column` the
model is Item2Vec.

Source: Vasile, Smirnova and Conneau, "Meta-Prod2Vec: product embeddings using side-information for recommendation",
RecSys 2016, section 3. The paper reads sequences in a window. Here a user's items are a set, as in IARN's comparison on
logs of ratings. The score is that of Item2Vec: the mean cosine to the history. The authors published no program.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import SequenceBatch
from segue.batches.cooccurrence import CooccurrencePairs
from segue.config import Field
from segue.data.log import Ids, Log
from segue.models.base.gradient_config import FeaturedConfig
from segue.models.base.model import Sizes
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.base.skipgram import SkipGramConfig, SkipGramModel
from segue.nn.item_features import ItemFeatures


class MP2VecConfig(SkipGramConfig, FeaturedConfig):
    """Settings of Meta-Prod2Vec."""

    renamed: ClassVar[dict[str, str]] = {"weight": "feature_weight"}
    feature_weight: float = Field(0.1, ge=0, description="Weight lambda of the pairs that contain a feature.")


class MP2Vec(SkipGramModel):
    """Skip-gram over items and their features; the token of feature f is I + f."""

    name = "mp2vec"
    training_cost = "low"
    Config = MP2VecConfig
    config: MP2VecConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "lr": LogUniform(1e-3, 1e-2),
        "subsample_threshold": LogUniform(1e-4, 1.0),
        "feature_weight": LogUniform(0.01, 1.0),
        "window": Choice(None, 10, 50),
    }

    def __init__(self, config: MP2VecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes, sizes.num_features)
        self.features = ItemFeatures(sizes.num_items, sizes.num_features, config.max_features_per_item)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        if config.feature_column:
            self.features.set_features(*config.item_features(log))
        item_pairs = CooccurrencePairs(log, config.subsample_threshold)
        pairs = item_pairs.pairs(config.passes_per_epoch, config.batch_size, rng)
        return self.batches_of_pairs((self.token_pairs(*pair) for pair in pairs), self.token_counts(log), rng)

    def token_counts(self, log: Log) -> Ids:
        """(tokens + 1,) the number of events of each token; those of a feature are the events of its items."""
        counts, feature = log.counts(), self.features.feature.numpy(force=True)
        feature_counts = np.zeros(self.sizes.num_features + 1, np.int64)
        np.add.at(feature_counts, feature, counts[:, None])
        return np.concatenate([counts, feature_counts[1:]])

    def token_pairs(self, item: Ids, partner: Ids) -> tuple[Ids, Ids]:
        """(token, context) of all training pairs that pairs of items (n,) make."""
        item_tokens, partner_tokens = self._tokens(item), self._tokens(partner)  # (n, 1 + F)
        exists = (item_tokens[:, :, None] > 0) & (partner_tokens[:, None, :] > 0)  # J|I, M|I, J|M, M|M
        row, token, context = exists.nonzero()
        feature_row, feature = item_tokens[:, 1:].nonzero()  # I|M
        tokens = np.concatenate([item_tokens[row, token], item_tokens[feature_row, feature + 1]])
        return tokens, np.concatenate([partner_tokens[row, context], item[feature_row]])

    def _tokens(self, item: Ids) -> Ids:
        """(n, 1 + F) the tokens of items and of their features; 0 where there is none."""
        feature = self.features.feature.numpy(force=True)[item].astype(np.int64)
        return np.concatenate([item[:, None], np.where(feature > 0, feature + self.sizes.num_items, 0)], 1)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        has_feature = (batch.history[:, 0] > self.sizes.num_items) | (batch.target[:, 0] > self.sizes.num_items)
        loss = self.pair_loss(batch)  # (B,)
        return loss.where(~has_feature, self.config.feature_weight * loss).sum()
