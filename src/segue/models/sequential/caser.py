"""Caser: convolutional sequence embedding.

Tang and Wang, WSDM 2018. The vectors of the last L items are a picture of L rows and d columns; filters of every height
find patterns of consecutive items in it, filters of one column weigh the items (`WindowConvolutions` has the formulas).
Both go into a dense layer that makes z of them; with p_u, the vector of the user,

    r_j  = W_j . [z; p_u] + b_j
    loss = sum of  -ln sigma(r_j)  over the T next items,  -ln(1 - sigma(r_k))  over negatives

What a filter finds at a place is the same for all windows that hold it: a batch row carries `windows_per_row` windows that
overlap, and is convolved once (see `SlidingWindows`).

Differs from the authors' program (github.com/graytowne/caser_pytorch), whose settings are the defaults:
  * histories shorter than the window are padded with zeros at their left; there padding is an item like any other;
  * it draws three negatives a window, which are one for each of three targets: the paper, and the preset `paper`, have
    three for each. They are drawn anew each epoch in either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import SlidingWindows
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss, RankingConfig, RankingModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.convolution import WindowConvolutions
from segue.nn.embedding import embedding, zero_padding


class CaserConfig(RankingConfig):
    """Settings of Caser."""

    embedding_dim: int = 50
    window: int = Field(5, ge=1, description="L, how many of the last items are read.")
    num_targets: int = Field(3, ge=1, description="T, how many of the next items each window is trained to rank.")
    training_windows: Literal["full", "every"] = Field(
        "full", description="Train on windows that are 'full', or on 'every' prefix, padded."
    )
    windows_per_row: int = Field(
        1,
        ge=1,
        description=(
            "Neighbouring windows that share one batch row; more is faster, and learns a little less an epoch."
        ),
    )
    loss: Loss = "bce"
    num_vertical_filters: int = Field(4, ge=1, description="Filters that weigh items.")
    num_horizontal_filters: int = Field(16, ge=1, description="Filters of each height, from one item to all of them.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Share of the features that training leaves out of z.")
    item_bias: bool = Field(True, description="Whether items have a bias.")
    batch_size: int = 512
    weight_decay: float = 1e-6

    def check(self) -> None:
        super().check()
        require(
            not (self.item_bias and self.temperature),
            "item_bias=true is one more column of item vectors: not with cosines (temperature)",
        )


class Caser(RankingModel):
    """Convolutions over the last items, and a user vector."""

    name = "caser"
    Config = CaserConfig
    config: CaserConfig
    presets: ClassVar = {"paper": {"num_negatives": 3, "batch_size": 100}, "author": {}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "window": Choice(3, 5, 8),
        "lr": LogUniform(5e-4, 1e-2),
        "loss": Choice("bce", "ce"),
        "dropout": Uniform(0.2, 0.6),
        "weight_decay": Choice(0.0, 1e-6, 1e-4),
    }

    def __init__(self, config: CaserConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.user = nn.Parameter(torch.randn(sizes.num_users + 1, dim) / dim)
        self.item_in = nn.Parameter(torch.randn(sizes.num_items + 1, dim) / dim)
        self.item_out = nn.Parameter(torch.randn(sizes.num_items + 1, 2 * dim + config.item_bias) / (2 * dim))
        for table in (self.user, self.item_in, self.item_out):
            zero_padding(table)
        if config.item_bias:
            nn.init.zeros_(self.item_out[:, -1])
        self.convolutions = WindowConvolutions(
            dim,
            config.window,
            vertical=config.num_vertical_filters,
            horizontal=config.num_horizontal_filters,
            dropout=config.dropout,
        )

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        windows = SlidingWindows(
            window=config.window,
            num_targets=config.num_targets,
            windows_per_row=config.windows_per_row,
            num_negatives=config.own,
            positions=config.training_windows,
        )
        return self.with_shared(windows.batches(log, config.batch_size, rng), log, rng)

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """[z; p_u] for each window, with a 1 on top where items have a bias."""
        z = self.convolutions(embedding(self.item_in, batch.history))  # B C d
        user = embedding(self.user, batch.user).unsqueeze(1).expand_as(z)
        return torch.cat([z, user, *([torch.ones_like(z[..., :1])] if self.config.item_bias else [])], 2)
