"""NextItNet: dilated causal convolutions over the item sequence.

Residual blocks of dilated convolutions read the items so far. Stacking them with growing dilations covers long
histories with few layers. Items have an input embedding x_t and an output embedding. A residual block (b) of figure 3
with dilation l computes, from all x up to position t:

    y_t = ReLU(LN(sum over i < kernel_size of  W_i x_(t - i l)  + b))          positions before the first item are zeros
    x_t = x_t + ReLU(LN(sum over i < kernel_size of  V_i y_(t - 2 i l)  + c))

The query after position t is x_t of the last block. For example with kernel_size 3 and l = 1, y_t depends on x at t,
t - 1 and t - 2, and x_t on y at t, t - 2 and t - 4: one block reads six items back.

Source: Yuan, Karatzoglou, Arapakis, Jose and He, "A simple convolutional generative network for next item
recommendation", WSDM 2019.

Differs from the authors' program (github.com/fajieyuan/nextitnet) in:
  * the program repeats the dilations 1 and 2 four times at d = 100, and items have a bias; the preset `author` does so
    too (the preset `hgn` is that of HGN's comparison: once, at d = 50);
  * the program trains by a softmax over a sampled fifth of the items; the default here is over all of them;
  * the program lets padding pass through its layers as an item of its own; here padding is zero in every layer.
"""

from __future__ import annotations

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
from segue.models.base.causal import CausalModel, history_and_query_count
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.convolution import CausalConv1d
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding

_EPS = 1e-8


class NextItNetConfig(RankingConfig):
    """Settings of NextItNet."""

    renamed: ClassVar[dict[str, str]] = {"cover": "coverage", "repeats": "num_repeats", "kernel": "kernel_size"}
    window: int = Field(50, ge=1, description="Number of most recent items that are read.")
    coverage: Literal["last", "all"] = Field(
        "all",
        description=(
            "Which items of a user are trained on: the last window alone, or all, in one subsequence of window items "
            "after another."
        ),
    )
    dilations: tuple[int, ...] = Field((1, 2), description="Dilations of the residual blocks, from the first one on.")
    num_repeats: int = Field(1, ge=1, le=100, description="Number of times that this sequence of blocks is repeated.")
    kernel_size: int = Field(3, ge=1, description="Number of positions that each convolution combines.")
    tied: bool = Field(False, description="Whether input and output share the item embeddings.")
    item_bias: bool = Field(False, description="Whether items have a bias.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout rate of the input embeddings and of each block.")
    batch_size: int = 128
    lr: float = 3e-3

    def check(self) -> None:
        super().check()
        require(min(self.dilations, default=0) >= 1, f"dilations={self.dilations}: must be numbers from 1 up")
        require(
            not (self.item_bias and (self.tied or self.temperature)),
            "item_bias=true cannot be combined with tied=true or temperature above 0; set item_bias=false",
        )


class NextItNet(CausalModel):
    """A stack of residual blocks of dilated causal convolutions."""

    name = "nextitnet"
    Config = NextItNetConfig
    config: NextItNetConfig
    presets: ClassVar = {
        "author": {"embedding_dim": 100, "num_repeats": 4, "item_bias": True, "dropout": 0.0, "lr": 1e-3},
        "hgn": {"embedding_dim": 50, "batch_size": 32, "dropout": 0.0, "lr": 1e-3},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "num_repeats": Choice(1, 2, 4),
        "dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(5e-4, 5e-3),
        "batch_size": Choice(64, 128, 256),
    }
    skips_padding = "inside"
    output_table = "output_embedding"

    def __init__(self, config: NextItNetConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        # input embeddings need the scale of the outputs of the blocks, which are added to them
        if not config.tied:
            self.input_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).div_(dim**0.5))
            zero_padding(self.input_embedding)
            self.encode("input_embedding")
        std = 1 / dim**0.5 if config.tied else 0.02
        self.output_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim + config.item_bias).mul_(std))
        zero_padding(self.output_embedding)
        self.encode("output_embedding")
        dilations = config.dilations * config.num_repeats
        self.blocks = nn.ModuleList(ResidualBlock(dim, config.kernel_size, dilation) for dilation in dilations)
        self.micro_batch_size = max(1, 2**13 // config.window)

    def training_sequences(self, log: Log) -> CausalSequences:
        return replace(super().training_sequences(log), coverage=self.config.coverage)

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """x_t of the last block after every item, with a 1 appended if items have a bias."""
        config = self.config
        history, _ = history_and_query_count(batch)  # (B, P)
        x = self.encoded("output_embedding" if config.tied else "input_embedding", history)  # (B, P, d)
        x = dropout(x, config.dropout, self.training)
        valid = (history > 0).to(x.dtype).unsqueeze(2)  # (B, P, 1)
        for block in self.blocks:
            x = x + dropout(block(x, valid), config.dropout, self.training)
        return torch.cat([x, torch.ones_like(valid)], 2) if config.item_bias else x


class ResidualBlock(nn.Module):
    """Two dilated causal convolutions, the second with twice the dilation; the caller adds the input."""

    def __init__(self, dim: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = CausalConv1d(dim, kernel_size, dilation)
        self.conv2 = CausalConv1d(dim, kernel_size, 2 * dilation)
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=_EPS) for _ in range(2))

    def forward(self, x: Float[Tensor, "B P d"], valid: Float[Tensor, "B P 1"]) -> Float[Tensor, "B P d"]:
        """The change of x. `valid` is 1 at items and 0 at padding, which biases and norms would make non-zero."""
        y = self.norm1(self.conv1(x)).relu() * valid
        return self.norm2(self.conv2(y)).relu() * valid
