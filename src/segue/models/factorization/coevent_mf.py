"""CoEvent MF: matrix factorisation of what follows what.

    score of item j after item i = u_j . v_i           the last item alone decides
    loss = sum over consecutive items i, j of  -ln softmax(u . v_i)[j]

The baseline of Criteo's study of recurrent networks (Villatel, Smirnova, Mary and Preux, 2018, section 4.1). Tied
("RE"), u = v: the table of scores is then symmetric, and an item follows itself with the score |v|^2.

The paper says only x_{t+1} = U^T V x_t; that it is trained by the softmax is inferred from "the same for all models". A
batch holds pairs, about as many as its 128 sequences have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import SlidingWindows
from segue.config import Field
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss, RankingConfig, RankingModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding


class CoEventMFConfig(RankingConfig):
    """Settings of CoEvent MF."""

    embedding_dim: int = 100
    tied: bool = Field(False, description="Whether an item has one vector, as the last and as the next (RE).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the entries of v that training leaves out.")
    loss: Loss = "ce"
    batch_size: int = Field(512, description="Pairs of a step.")
    epochs: int = 10
    lr: float = 0.01
    lr_decay_steps: int = 50_000
    final_lr: float = 0.001
    lr_decay_power: float = 0.5


class CoEventMF(RankingModel):
    """A vector of each item as the last one, and one as the next."""

    name = "coevent-mf"
    Config = CoEventMFConfig
    config: CoEventMFConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "re": {"tied": True}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(64, 100, 128),
        "tied": Choice(False, True),
        "dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(1e-3, 1e-2),
    }
    window = 1

    def __init__(self, config: CoEventMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.item_out = nn.Parameter(
            torch.randn(sizes.num_items + 1, config.embedding_dim) * config.embedding_dim**-0.5
        )
        zero_padding(self.item_out)
        if not config.tied:
            self.item_in = nn.Parameter(
                torch.randn(sizes.num_items + 1, config.embedding_dim) * config.embedding_dim**-0.5
            )
            zero_padding(self.item_in)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        windows = SlidingWindows(window=1, num_negatives=self.config.own)
        return self.with_shared(windows.batches(log, self.config.batch_size, rng), log, rng)

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """v of the last item."""
        vectors = embedding(self.item_out if self.config.tied else self.item_in, batch.history)
        return dropout(vectors, self.config.dropout, self.training)
