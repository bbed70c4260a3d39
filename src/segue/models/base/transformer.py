"""Base classes of transformers that read the past of each position, and the settings of all transformers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.sequences import CausalSequences
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.causal import CausalModel
from segue.models.base.event_vectors import EventVectors, EventVectorsConfig
from segue.models.base.model import Sizes
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.base.timed import TimedConfig, TimedModel
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.optim import Adam, Optimizer
from segue.nn.positions import RelativePositionBias, RelativeTimeBias, time_buckets
from segue.nn.self_attention import causal_mask


class TransformerConfig(EventVectorsConfig):
    """Settings of all transformers."""

    window: int = Field(50, ge=1, description="Number of most recent items that are read.")
    num_blocks: int = Field(2, ge=1, le=100, description="Number of transformer blocks.")
    num_heads: int = Field(1, ge=1, description="Number of attention heads; it must divide embedding_dim.")
    batch_size: int = 128

    def check(self) -> None:
        super().check()
        require(
            self.embedding_dim % self.num_heads == 0,
            f"num_heads={self.num_heads}: must divide embedding_dim={self.embedding_dim}",
        )


class TimedTransformerConfig(TransformerConfig, TimedConfig):
    """Settings of transformers that may read times."""


class CausalTransformerConfig(TimedTransformerConfig):
    """Settings of transformers with causal self-attention."""

    renamed: ClassVar[dict[str, str]] = {"cover": "coverage"}
    later: ClassVar[tuple[str, ...]] = ("time", "positions")
    positions: Literal["absolute", "relative", "rotary", "none"] = Field(
        "absolute",
        description=(
            "How the model knows the order of events: by a learnt vector of each position (absolute); by a learnt "
            "number for each distance of two positions, added to the attention scores (relative); by turning queries "
            "and keys by their positions (rotary); or only by what is in the past of each position (none)."
        ),
    )
    coverage: Literal["last", "all"] = Field(
        "all",
        description=(
            "Which items of a user are trained on: the last window alone, as in the paper, or all, in one "
            "subsequence of window items after another."
        ),
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate of the input embeddings, the attention weights and the feed-forward network.",
    )

    def check(self) -> None:
        super().check()
        size = self.embedding_dim // self.num_heads
        require(
            self.positions != "rotary" or size % 2 == 0,
            f"positions=rotary: a head has embedding_dim / num_heads = {size} numbers, which must be an even number",
        )


def attention_rows(num_heads: int, length: int) -> int:
    """Number of rows whose attention weights fit into the processor's cache, for `micro_batch_size`."""
    return max(8, 2**19 // (num_heads * length**2))


class TimedTransformer(CausalModel, TimedModel, EventVectors):
    """Base class of transformers that read items, their positions and, if the settings say so, more of their events.

    Positions are counted from the newest item, so padding changes nothing.

    Args:
        input_scale: what the vectors of the items are multiplied by before those of the positions are added.
        position_std: standard deviation of the vectors of the positions at the start; None: there are none.
    """

    config: TimedTransformerConfig
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "num_blocks": Choice(1, 2, 3),
        "num_heads": Choice(1, 2, 4),
        "dropout": Uniform(0.1, 0.6),
        "lr": LogUniform(5e-4, 5e-3),
    }
    skips_padding = "inside"

    def __init__(
        self,
        config: TimedTransformerConfig,
        sizes: Sizes,
        *,
        input_scale: float = 1.0,
        position_std: float | None = 0.02,
    ) -> None:
        super().__init__(config, sizes)
        dim, self.window, self.input_scale = config.embedding_dim, config.window, input_scale
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(0.02))
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.position_embedding = (
            None if position_std is None else nn.Parameter(torch.randn(config.window, dim).mul_(position_std))
        )
        self.embed_events(dim)
        self.micro_batch_size = attention_rows(config.num_heads, config.window)

    def optimizer(self) -> Optimizer:
        config = self.config
        return Adam(self.parameters(), lr=config.schedule, weight_decay=config.weight_decay, betas=(0.9, 0.98))

    def input_vectors(self, batch: Batch, dropout_rate: float) -> Float[Tensor, "B P d"]:
        """The input of the first block: 0 at padding."""
        history = batch.history  # (B, P)
        x = self.encoded("item_embedding", history) * self.input_scale  # (B, P, d)
        if self.position_embedding is not None:
            x = x + self.position_embedding[-history.shape[1] :]
        x = self.with_event_vectors(x, batch)
        return dropout(x, dropout_rate, self.training) * (history > 0).unsqueeze(2)


class CausalTransformer(TimedTransformer):
    """Base class of models in which blocks of causal self-attention read items and their positions.

    Positions and times are read in one of the forms of `segue.nn.positions`; the numbers that are added to attention
    scores are the same in all blocks. A subclass makes the blocks (`block`), which turn queries and keys where
    positions=rotary, and sets `final_norm`, which is applied after the last of them.
    """

    config: CausalTransformerConfig
    space: ClassVar[Space] = {**TimedTransformer.space, "batch_size": Choice(64, 128, 256)}
    final_norm: nn.Module

    def __init__(self, config: CausalTransformerConfig, sizes: Sizes, *, input_scale: float = 1.0) -> None:
        position_std = 0.02 if config.positions == "absolute" else None
        super().__init__(config, sizes, input_scale=input_scale, position_std=position_std)
        relative = config.positions == "relative"
        self.position_bias = RelativePositionBias(config.window, config.num_heads) if relative else None
        self.time_bias = RelativeTimeBias(config.num_heads) if config.time != "none" else None
        self.blocks = nn.ModuleList(self.block() for _ in range(config.num_blocks))

    @abstractmethod
    def block(self) -> nn.Module:
        """A new block: from x (B, P, d) and the mask of `causal_mask` to the next x.

        With `last_only` it computes the newest position alone, from all of them.
        """

    def training_sequences(self, log: Log) -> CausalSequences:
        return replace(super().training_sequences(log), coverage=self.config.coverage)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query after every item, or after the newest one alone in a batch that is only scored."""
        last_only = batch.num_queries == 1
        batch = batch.trimmed() if last_only else batch
        valid, x = batch.history > 0, self.input_vectors(batch, self.config.dropout)  # (B, P), (B, P, d)
        mask = causal_mask(valid)  # (B, 1, P, P)
        if self.position_bias is not None:
            mask = mask + self.position_bias(mask.shape[3])  # (B, h, P, P)
        if self.time_bias is not None:
            assert batch.times is not None
            moments = batch.moments(of_request=self.reads_request_time)  # (B, P)
            mask = mask + self.time_bias(time_buckets(moments, batch.times))  # (B, h, P, P)
        for number, block in enumerate(self.blocks, 1):
            newest = last_only and number == len(self.blocks)  # the last block computes what is used alone
            x = block(x, mask, last_only=newest) * (valid[:, -1:] if newest else valid).unsqueeze(2)  # (B, C, d)
        return self.final_norm(x)
