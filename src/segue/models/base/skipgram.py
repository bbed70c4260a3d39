"""`SkipGramModel`: base class of token embeddings trained by skip-gram with negative sampling.

    loss of a token a with its context b     -ln sigma(u_a . v_b)  -  sum over the negatives m of  ln sigma(-u_a . v_m)
    score of an item j for a user            mean over the items i of the history of  cos(u_i, u_j)

A token is an item, with ids 1..I, or what a model numbers after the items. Each token has an embedding u and an
embedding v as the context of others; scores use u alone. A sampled negative that equals the context does not count.

A row of a batch is one pair: a stands in `history`, b in `target`, and the G negatives in `negatives`. The user is 0,
because the loss of a pair does not depend on its user.
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
from segue.models.base.gradient_config import GradientModelConfig
from segue.models.base.model import DotProductModel, GradientModel, Sizes
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
            "Number of passes over the item sets of all users in one epoch. In each pass, every item of a set is "
            "paired with one other item of the set."
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
    """Base class of skip-gram models: a token embedding u and a context embedding v of each token.

    Subclasses provide the pairs of tokens to train on (`batches`) and the weight of each pair (`forward`).

    Args:
        config: settings.
        sizes: numbers of users and items.
        num_other_tokens: number of tokens beside the items.
    """

    config: SkipGramConfig
    skips_padding = "anywhere"
    additive = "mean"

    def __init__(self, config: SkipGramConfig, sizes: Sizes, num_other_tokens: int = 0) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        num_tokens = sizes.num_items + num_other_tokens
        self.token_embedding = nn.Parameter(torch.randn(num_tokens + 1, config.embedding_dim).mul_(0.1))  # u
        self.context_embedding = nn.Parameter(torch.randn(num_tokens + 1, config.embedding_dim).mul_(0.1))  # v
        zero_padding(self.token_embedding)
        zero_padding(self.context_embedding)

    def batches_of_pairs(
        self, pairs: Iterable[tuple[Ids, Ids]], counts: Ids, rng: np.random.Generator
    ) -> Iterator[SequenceBatch]:
        """Batches of (token, context) pairs with sampled negatives.

        Args:
            pairs: arrays of tokens and of their contexts.
            counts: number of events of every token; negatives are sampled in proportion to counts^sample_alpha.
            rng: random numbers.
        """
        sampler, num_negatives = PopularityNegatives(counts, self.config.sample_alpha), self.config.num_negatives
        for token, context in pairs:
            count = len(token)
            yield SequenceBatch(
                torch.zeros(count, dtype=torch.long),
                torch.from_numpy(token)[:, None],
                torch.from_numpy(context)[:, None],
                torch.ones(count, 1, dtype=torch.bool),
                torch.from_numpy(sampler.draw(count * num_negatives, rng)).view(count, 1, 1, num_negatives),
            )

    def pair_loss(self, batch: SequenceBatch) -> Float[Tensor, "B"]:
        """The loss of each pair: binary cross-entropy of the context against its negatives."""
        negative = batch.negatives[:, 0, 0]  # (B, G)
        token = embedding(self.token_embedding, batch.history)  # (B, 1, d)
        context = embedding(self.context_embedding, torch.cat([batch.target, negative], 1))  # (B, 1 + G, d)
        scores = (context * token).sum(-1)  # (B, 1 + G)
        valid = (negative > 0) & (negative != batch.target)
        return losses.bce(scores[:, 0], scores[:, 1:], valid)

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        """The mean of the normalised embeddings of the history."""
        history = batch.history if self.window is None else batch.last_items(self.window)  # (B, P)
        count = (history > 0).sum(1, keepdim=True).clamp(min=1)
        return nn.functional.embedding_bag(history, self.item_vectors(), mode="sum") / count

    def item_vectors(self) -> Float[Tensor, "I d"]:
        return nn.functional.normalize(self.token_embedding[: self.sizes.num_items + 1], dim=1)
