"""Caser: convolutional sequence embedding.

The embeddings of the last L items form a matrix of L rows and d columns. Horizontal filters of every height find
patterns of consecutive items in it, and vertical filters weigh the items (`WindowConvolutions` has the equations). A
dense layer makes the sequence vector z of both. With the embedding p_u of the user,

    r_j  = W_j . [z; p_u] + b_j
    loss = sum over the T next items j of  -ln sigma(r_j),  plus the sum over negatives k of  -ln(1 - sigma(r_k))

Source: Tang and Wang, "Personalized top-N sequential recommendation via convolutional sequence embedding", WSDM 2018.

A filter has the same output at a position in all windows that contain it. A batch row therefore holds `windows_per_row`
overlapping windows and is convolved once (see `SlidingWindows`).

The default settings were chosen on validation: each prefix of a history has one target, and the loss is cross-entropy
over all items. The preset `author` has the settings of the authors' program (github.com/graytowne/caser_pytorch).
Differs from it in:
  * histories shorter than the window are padded with zeros on the left; in the program padding is an item of its own;
  * negatives are drawn anew in each epoch, here as in the program. It draws three per window, which is one for each of
    three targets; the paper, and the preset `paper`, draw three for each target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

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
from segue.models.base.ranking import RankingConfig, RankingModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.convolution import WindowConvolutions
from segue.nn.embedding import embedding, zero_padding


class CaserConfig(RankingConfig):
    """Settings of Caser."""

    renamed: ClassVar[dict[str, str]] = {
        "targets": "num_targets",
        "asked": "training_windows",
        "per_row": "windows_per_row",
        "vertical": "num_vertical_filters",
        "horizontal": "num_horizontal_filters",
    }
    embedding_dim: int = 50
    window: int = Field(5, ge=1, description="Number L of most recent items that are read.")
    num_targets: int = Field(1, ge=1, description="Number T of next items that are the targets of each window.")
    training_windows: Literal["full", "every"] = Field(
        "every",
        description=(
            "Which windows are trained on: full ones, with window items and num_targets targets, or every prefix of a "
            "history, padded where it is shorter."
        ),
    )
    windows_per_row: int = Field(
        4,
        ge=1,
        description=(
            "Number of neighbouring windows in one batch row. More make an epoch faster, and it learns slightly less."
        ),
    )
    num_vertical_filters: int = Field(4, ge=1, description="Number of vertical filters, which weigh the items.")
    num_horizontal_filters: int = Field(
        16, ge=1, description="Number of horizontal filters of each height, from one item to all of them."
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout rate of the filter outputs.")
    item_bias: bool = Field(True, description="Whether items have a bias.")
    batch_size: int = 512
    lr: float = 5e-3
    weight_decay: float = 3e-4

    def check(self) -> None:
        super().check()
        require(
            not (self.item_bias and self.temperature),
            "item_bias=true cannot be combined with temperature above 0; set item_bias=false",
        )


_AUTHOR: dict[str, Any] = {
    "num_targets": 3,
    "training_windows": "full",
    "windows_per_row": 1,
    "loss": "bce",
    "dropout": 0.5,
    "lr": 1e-3,
    "weight_decay": 1e-6,
}


class Caser(RankingModel):
    """Convolutions over the last items, combined with a user embedding."""

    name = "caser"
    training_cost = "high"
    Config = CaserConfig
    config: CaserConfig
    presets: ClassVar = {"paper": {**_AUTHOR, "num_negatives": 3, "batch_size": 100}, "author": _AUTHOR}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "window": Choice(3, 5, 8),
        "lr": LogUniform(5e-4, 1e-2),
        "loss": Choice("bce", "ce"),
        "dropout": Uniform(0.2, 0.6),
        "weight_decay": Choice(1e-6, 1e-4, 3e-4),
    }
    skips_padding = "anywhere"
    output_table = "output_embedding"

    def __init__(self, config: CaserConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        output_dim = 2 * dim + config.item_bias  # a bias is the last column
        self.user_embedding = nn.Parameter(torch.randn(sizes.num_users + 1, dim).div_(dim))
        self.input_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).div_(dim))
        self.output_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, output_dim).div_(2 * dim))
        for table in (self.user_embedding, self.input_embedding, self.output_embedding):
            zero_padding(table)
        if config.item_bias:
            nn.init.zeros_(self.output_embedding[:, -1])
        for name in ("input_embedding", "output_embedding"):
            self.encode(name)
        self.convolutions = WindowConvolutions(
            dim,
            config.window,
            num_vertical_filters=config.num_vertical_filters,
            num_horizontal_filters=config.num_horizontal_filters,
            dropout=config.dropout,
        )

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        windows = SlidingWindows(
            window=config.window,
            num_targets=config.num_targets,
            windows_per_row=config.windows_per_row,
            num_negatives=config.negatives_per_target,
            shown=config.draws_from_shown,
            positions=config.training_windows,
        )
        return self.with_shared_negatives(windows.batches(log, config.batch_size, rng), log, rng)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """[z; p_u] of each window, with a 1 appended if items have a bias."""
        z = self.convolutions(self.encoded("input_embedding", batch.history))  # (B, C, d)
        user = embedding(self.user_embedding, batch.user).unsqueeze(1).expand_as(z)  # (B, C, d)
        ones = [torch.ones_like(z[..., :1])] if self.config.item_bias else []
        return torch.cat([z, user, *ones], 2)  # (B, C, 2 d) or (B, C, 2 d + 1)
