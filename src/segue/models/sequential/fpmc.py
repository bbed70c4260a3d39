"""FPMC: factorised personalised Markov chains.

Each user has a transition matrix of a Markov chain of items, and all of these matrices are factorised together. What is
left of the factors, where items are ranked, is matrix factorisation plus a factorised Markov chain. With B the basket
before the next item, here the last |B| items:

    x_ui = v^UI_u . v^IU_i  +  1/|B| sum over l in B of  v^LI_l . v^IL_i
    loss (S-BPR) = sum over (u, i, j) of  -ln sigma(x_ui - x_uj)  +  l2 times the squared norm of every weight

The third factor, v^UL_u . v^LU_l, does not depend on the item i, so no ranking does. The score is a dot product of
(v^UI_u, mean of v^LI_l) and (v^IU_i, v^IL_i). A user who is not part of the training has no first term.

Source: Rendle, Freudenthaler and Schmidt-Thieme, "Factorizing personalized Markov chains for next-basket
recommendation", WWW 2010, sections 4 and 5.

Differs from the paper in:
  * a log has events and no baskets, so the basket is that of the last `window` items, of which the default is one; the
    target is the next item;
  * the negatives j are items that the user has no event with, where the paper takes all items outside the next basket;
  * Adam makes a step for each batch, in which each event is a target once in an epoch. The paper makes a step of SGD
    for each triple, which it draws at random;
  * the default loss is cross-entropy over all items, and a dropout of the query is an addition. The preset `paper` has
    S-BPR without dropout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import SlidingWindows
from segue.config import Field
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig, RankingModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding


class FPMCConfig(RankingConfig):
    """Settings of FPMC."""

    window: int = Field(1, ge=1, description="Number |B| of most recent items that are the basket.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout rate of the user vectors and of the basket vectors.")
    batch_size: int = 512
    lr: float = 3e-3


class FPMC(RankingModel):
    """Matrix factorisation plus a factorised Markov chain."""

    name = "fpmc"
    training_cost = "low"
    Config = FPMCConfig
    config: FPMCConfig
    presets: ClassVar = {"paper": {"loss": "bpr", "dropout": 0.0}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "window": Choice(1, 2, 3),
        "dropout": Uniform(0.0, 0.7),
        "lr": LogUniform(5e-4, 1e-2),
        "weight_decay": Choice(0.0, 1e-7, 1e-6, 1e-5),
    }
    skips_padding = "anywhere"
    output_table = "output_embedding"

    def __init__(self, config: FPMCConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        if not config.temperature:
            self.additive = "mean"
        dim, self.window = config.embedding_dim, config.window
        self.user_embedding = nn.Parameter(torch.randn(sizes.num_users + 1, dim).div_(dim))  # v^UI
        self.basket_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).div_(dim))  # v^LI
        self.output_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, 2 * dim).div_(dim))  # v^IU, v^IL
        for table in (self.user_embedding, self.basket_embedding, self.output_embedding):
            zero_padding(table)
        self.encode("basket_embedding")
        self.encode("output_embedding")

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        windows = SlidingWindows(
            window=config.window,
            num_negatives=config.negatives_per_target,
            shown=config.draws_from_shown,
            positions="every",
        ).batches(log, config.batch_size, rng)
        return self.with_shared_negatives(windows, log, rng)

    def queries(self, batch: Batch) -> Float[Tensor, "B 1 d2"]:
        """(v^UI_u, mean of v^LI_l over the basket) of each row; zeros without a known user, or without a basket."""
        size = (batch.history > 0).sum(1, keepdim=True).clamp(min=1)  # (B, 1)
        basket = self.encoded("basket_embedding", batch.history).sum(1) / size  # (B, d)
        query = torch.cat([embedding(self.user_embedding, batch.user), basket], 1)  # (B, 2 d)
        return dropout(query, self.config.dropout, self.training).unsqueeze(1)
