"""FMC, a factorised first-order Markov chain, as a model outside segue.

    score(item j | last item i) = q_i . v_j

The score depends only on the last item: q_i is its query vector, v_j the item vector of a candidate. This is the
item-to-item part of FPMC (Rendle, Freudenthaler and Schmidt-Thieme, WWW 2010, section 4), trained with any of segue's
ranking losses.

    segue run ./examples/fmc.py:FMC ml-100k
    segue search ./examples/fmc.py:FMC ml-100k --trials 10
    segue recommend models/fmc --user 42 --model-class ./examples/fmc.py:FMC
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
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.embedding import embedding, zero_padding


class FMCConfig(RankingConfig):
    """Settings of FMC: those of every ranking model, some with other defaults, and one of its own."""

    embedding_dim: int = 32
    loss: Loss = "bpr"
    init_std: float = Field(0.1, gt=0, description="Standard deviation of the initial embeddings.")


class FMC(RankingModel):
    """A factorised Markov chain: a query vector for the last item, an item vector for the next one."""

    name = "fmc"
    Config = FMCConfig
    config: FMCConfig
    window = 1
    presets: ClassVar[dict[str, dict[str, Any]]] = {"full-softmax": {"loss": "ce", "embedding_dim": 64}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(16, 32, 64),
        "loss": Choice("bpr", "ce"),
        "lr": LogUniform(1e-3, 3e-2),
    }

    def __init__(self, config: FMCConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        shape = sizes.num_items + 1, config.embedding_dim  # row 0 is padding
        self.last_item = nn.Parameter(torch.randn(shape) * config.init_std)
        self.next_item = nn.Parameter(torch.randn(shape) * config.init_std)
        zero_padding(self.last_item)
        zero_padding(self.next_item)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        windows = SlidingWindows(window=1, num_targets=1, num_negatives=self.config.negatives_per_target)
        return self.with_shared_negatives(windows.batches(log, self.config.batch_size, rng), log, rng)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        return embedding(self.last_item, batch.history)  # (B, 1, d)

    @property
    def item_embeddings(self) -> Float[Tensor, "I d"]:
        return self.next_item
