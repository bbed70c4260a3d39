"""Meta-Prod2Vec: Item2Vec's pairs, and those of the items' features.

    L = L_{J|I} + lambda (L_{M|I} + L_{J|M} + L_{M|M} + L_{I|M})

    of the items i and j of a user and the features of both:
    J|I  j in the company of i        M|I  the features of j in that of i       I|M  i in that of its own features
                                      J|M  j in that of the features of i       M|M  the features of j in that of i's

Each term is the loss of skip-gram with negatives, -ln sigma(u_a . v_b) - sum over m of ln sigma(-u_a . v_m). Items and
features are tokens of one space and one pool of negatives, drawn in proportion to (events)^(3/4). A feature is there as
often as the items that have it; of several features of an item each makes a pair. Without a `feature_column` it is Item2Vec.

Source: Vasile, Smirnova and Conneau, "Meta-Prod2Vec: product embeddings using side-information for recommendation",
RecSys 2016, section 3. There it reads sequences, in a window; here, as in IARN's comparison with logs of ratings, a
user's items are a set. The score is Item2Vec's: the mean cosine to the history. There is no program of the authors.
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
from segue.models.base.model import FeaturedConfig, Sizes
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.base.skipgram import SkipGramConfig, SkipGramModel
from segue.nn.item_features import ItemFeatures


class MP2VecConfig(SkipGramConfig, FeaturedConfig):
    """Settings of Meta-Prod2Vec."""

    feature_weight: float = Field(0.1, ge=0, description="Lambda, of the pairs in which there is a feature.")


class MP2Vec(SkipGramModel):
    """Vectors of items and of features; feature f is token I + f."""

    name = "mp2vec"
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
        pairs = CooccurrencePairs(log, config.subsample_threshold).pairs(
            config.passes_per_epoch, config.batch_size, rng
        )
        return self.against((self.company(*pair) for pair in pairs), self.events(log), rng)

    def events(self, log: Log) -> Ids:
        """(tokens + 1,) how often each token occurs."""
        counts, feature = log.counts(), self.features.feature.numpy(force=True)
        of_features = np.zeros(self.sizes.num_features + 1, np.int64)
        np.add.at(of_features, feature, counts[:, None])
        return np.concatenate([counts, of_features[1:]])

    def company(self, item: Ids, partner: Ids) -> tuple[Ids, Ids]:
        """(token, context) of every pair that pairs of items make."""
        left, right = self._tokens(item), self._tokens(partner)
        every = (left[:, :, None] > 0) & (right[:, None, :] > 0)  # J|I, M|I, J|M, M|M
        row, one, other = every.nonzero()
        own, place = left[:, 1:].nonzero()  # I|M
        token = np.concatenate([left[row, one], left[own, place + 1]])
        return token, np.concatenate([right[row, other], item[own]])

    def _tokens(self, item: Ids) -> Ids:
        """(n, 1 + F) an item and its features; 0 where there is none."""
        feature = self.features.feature.numpy(force=True)[item].astype(np.int64)
        return np.concatenate([item[:, None], np.where(feature > 0, feature + self.sizes.num_items, 0)], 1)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        described = (batch.history[:, 0] > self.sizes.num_items) | (batch.target[:, 0] > self.sizes.num_items)
        surprise = self.surprise(batch)
        return surprise.where(~described, self.config.feature_weight * surprise).sum()
