"""`SkipGramModel`: vectors of tokens, learnt by telling a token's true company from what is drawn at random.

    pair of a token and its context        -ln sigma(u_a . v_b)  -  sum over the negatives m of  ln sigma(-u_a . v_m)
    score of an item j for a user          mean over the items i of the history of  cos(u_i, u_j)

A token is an item, ids 1..I, or whatever a model numbers after the items. Each has a vector u as itself and a vector v
as the company of others; what an item is asked with in the end is u. A negative that is the true context is none.

    history   a       a row of the batch is one pair:  (a, b) with G negatives;
    target    b       the user is nobody: what a pair teaches does not depend on who had it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.negative_sampling import PopularityNegatives
from segue.config import Field
from segue.data.log import Ids
from segue.models.base.model import DotProductModel, GradientModel, GradientModelConfig, Sizes
from segue.nn import losses
from segue.nn.embedding import embedding, zero_padding


class SkipGramConfig(GradientModelConfig):
    """Settings of skip-gram models with negative sampling."""

    renamed: ClassVar[dict[str, str]] = {
        "passes": "passes_per_epoch",
        "rho": "subsample_threshold",
        "negatives": "num_negatives",
        "alpha": "sample_alpha",
        "last": "window",
    }
    embedding_dim: int = Field(64, ge=1, description="Size d of the embeddings.")
    passes_per_epoch: int = Field(
        5,
        ge=1,
        description=(
            "Number of passes over the item sets of all users in one epoch. In each pass, every item of a set is paired "
            "with one other item of the set."
        ),
    )
    subsample_threshold: float = Field(
        1.0,
        gt=0,
        description=(
            "Threshold rho of subsampling: in each pass an item with a share f of all events is left out with "
            "probability 1 - sqrt(rho / f); 1 leaves out none."
        ),
    )
    num_negatives: int = Field(5, ge=1, description="Number of sampled negatives of each pair.")
    sample_alpha: float = Field(
        0.75, ge=0, le=1, description="Negatives are sampled in proportion to (number of events of the token)^alpha."
    )
    window: int | None = Field(
        None, ge=1, description="Number of most recent items that make up the query; none uses the whole history."
    )
    lr: float = 0.01


class SkipGramModel(GradientModel, DotProductModel):
    """Two tables of vectors, and what a model says which pairs of tokens are company.

    Args:
        config: settings.
        sizes: of the log.
        others: how many tokens there are beside the items.
    """

    config: SkipGramConfig

    def __init__(self, config: SkipGramConfig, sizes: Sizes, others: int = 0) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        tokens = sizes.num_items + others
        self.token = nn.Parameter(torch.randn(tokens + 1, config.embedding_dim) * 0.1)
        self.context = nn.Parameter(torch.randn(tokens + 1, config.embedding_dim) * 0.1)
        zero_padding(self.token)
        zero_padding(self.context)

    def against(
        self, pairs: Iterable[tuple[Ids, Ids]], counts: Ids, rng: np.random.Generator
    ) -> Iterator[SequenceBatch]:
        """Batches of pairs (token, context), with negatives drawn by the `counts` of all tokens."""
        popular, each = PopularityNegatives(counts, self.config.sample_alpha), self.config.num_negatives
        for token, context in pairs:
            count = len(token)
            yield SequenceBatch(
                torch.zeros(count, dtype=torch.long),
                torch.from_numpy(token)[:, None],
                torch.from_numpy(context)[:, None],
                torch.ones(count, 1, dtype=torch.bool),
                torch.from_numpy(popular.draw(count * each, rng)).view(count, 1, 1, each),
            )

    def surprise(self, batch: SequenceBatch) -> Float[Tensor, "B"]:
        """The loss of each pair."""
        negative = batch.negatives[:, 0, 0]
        token = embedding(self.token, batch.history)
        scores = (embedding(self.context, torch.cat([batch.target, negative], 1)) * token).sum(-1)
        known = (negative > 0) & (negative != batch.target)
        return losses.bce(scores[:, 0], scores[:, 1:], known)

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        history = batch.history if self.window is None else batch.last_items(self.window)
        known = (history > 0).sum(1, keepdim=True).clamp(min=1)
        return nn.functional.embedding_bag(history, self.item_vectors(), mode="sum") / known

    def item_vectors(self) -> Float[Tensor, "I d"]:
        return nn.functional.normalize(self.token[: self.sizes.num_items + 1], dim=1)
