"""CoEvent MF: matrix factorisation of consecutive items.

The score of an item depends on the last item of the history alone. Each item has an input embedding v (as the last
item) and an output embedding u (as the next item):

    score of item j after item i = u_j . v_i
    loss = sum over consecutive items i, j of  -ln softmax(u . v_i)[j]

Tied ("RE"), u = v: the matrix of scores is then symmetric, and an item follows itself with the score |v|^2.

Source: the baseline of Criteo's study of recurrent networks (Villatel, Smirnova, Mary and Preux, 2018, section 4.1).
The paper says only x_{t+1} = U^T V x_t. Training by the softmax is inferred from "the same for all models". A batch
holds pairs of items, about as many as its 128 sequences have.
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
from segue.nn.embedding import zero_padding


class CoEventMFConfig(RankingConfig):
    """Settings of CoEvent MF."""

    embedding_dim: int = 100
    tied: bool = Field(False, description="Whether input and output share the item embeddings (RE).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of the input embeddings.")
    loss: Loss = "ce"
    batch_size: int = Field(512, description="Number of pairs of consecutive items in one optimisation step.")
    epochs: int = 10
    lr: float = 0.01
    lr_decay_steps: int = 50_000
    final_lr: float = 0.001
    lr_decay_power: float = 0.5


class CoEventMF(RankingModel):
    """Input and output embeddings of items, trained on pairs of consecutive items."""

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
    skips_padding = "anywhere"
    additive = "sum"
    output_table = "output_embedding"

    def __init__(self, config: CoEventMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim = config.embedding_dim
        self.output_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(dim**-0.5))  # u
        zero_padding(self.output_embedding)
        self.encode("output_embedding")
        if not config.tied:
            self.input_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(dim**-0.5))  # v
            zero_padding(self.input_embedding)
            self.encode("input_embedding")

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        windows = SlidingWindows(
            window=1, num_negatives=self.config.negatives_per_target, shown=self.config.draws_from_shown
        )
        return self.with_shared_negatives(windows.batches(log, self.config.batch_size, rng), log, rng)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The input embedding of the last item."""
        table = "output_embedding" if self.config.tied else "input_embedding"
        return dropout(self.encoded(table, batch.history), self.config.dropout, self.training)
