"""Item2Vec: item embeddings by skip-gram with negative sampling over the items of each user.

Items of one user are trained to have similar embeddings, as words of one sentence are in word2vec. A user's items are
taken as a set: there is neither a window nor an order.

    minimise  sum over users, 1/n sum over the ordered pairs a, b of their n items  of
                  -ln sigma(u_a . v_b)  -  sum over N negatives m of  ln sigma(-u_a . v_m)
    m is sampled in proportion to (events of m)^(3/4)
    an item with a share f of the events is left out with probability  1 - sqrt(rho / f)
    score of item j = mean over the items i of the history of  cos(u_i, u_j)

Each pass draws a partner for every item of a set, which in expectation is the double sum.

Source: Barkan and Koenigstein, "Item2Vec: neural item embedding for collaborative filtering", MLSP 2016, section 3. The
paper compares items by the cosine of their u, and does not rank items for a user. The mean over the history is an
addition; IARN's comparison does not say how it computes an AUC. The authors published no program. Adam replaces SGD.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import SequenceBatch
from segue.batches.cooccurrence import CooccurrencePairs
from segue.data.log import Log
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.base.skipgram import SkipGramConfig, SkipGramModel


class Item2VecConfig(SkipGramConfig):
    """Settings of Item2Vec: those of all skip-gram models."""


class Item2Vec(SkipGramModel):
    """Skip-gram with negative sampling over pairs of items of one user."""

    name = "item2vec"
    training_cost = "low"
    Config = Item2VecConfig
    config: Item2VecConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"embedding_dim": 40, "num_negatives": 15, "subsample_threshold": 1e-3, "epochs": 20},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "lr": LogUniform(1e-3, 1e-2),
        "subsample_threshold": LogUniform(1e-4, 1.0),
        "num_negatives": Choice(5, 15),
        "window": Choice(None, 10, 50),
    }

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        item_pairs = CooccurrencePairs(log, config.subsample_threshold)
        pairs = item_pairs.pairs(config.passes_per_epoch, config.batch_size, rng)
        return self.batches_of_pairs(pairs, log.counts(), rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return self.pair_loss(batch).sum()
