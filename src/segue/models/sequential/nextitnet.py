"""NextItNet: dilated causal convolutions over the items so far.

Yuan, Karatzoglou, Arapakis, Jose and He, WSDM 2019. An item has an input vector, x_t at position t, and an output
vector. A residual block (b), figure 3, makes of all x up to position t, for a dilation l:

    y_t = ReLU(LN(sum over taps i < kernel of  W_i x_(t - i l)  + b))          what lies before the first item is zeros
    x_t = x_t + ReLU(LN(sum over taps i < kernel of  V_i y_(t - 2 i l)  + c))

and the query after position t is x_t of the last block: one pass answers at all positions.

    kernel 3, l = 1:   y_t sees x at t, t - 1, t - 2;  x_t sees y at t, t - 2, t - 4: six items back in one block

Differs from the authors' program (github.com/fajieyuan/nextitnet), which the preset `author` follows where it says so:
  * it stacks the dilations 1 and 2 four times at d = 100 (HGN's comparison: once, at d = 50, the preset `hgn`);
  * items have a bias there (`item_bias`), and a fifth of them are drawn for a sampled softmax; here all of them count;
  * padding is nothing: the program lets it through its layers as an item of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.sequences import CausalSequences
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.causal import CausalModel, asked_of
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding

EPS = 1e-8


class NextItNetConfig(RankingConfig):
    """Settings of NextItNet."""

    window: int = Field(50, ge=1, description="How many of the last items are read.")
    coverage: Literal["last", "all"] = Field(
        "all", description="Train on 'all' stretches of `window` items of each user, or on the 'last' alone."
    )
    dilations: tuple[int, ...] = Field((1, 2), description="Of the blocks, from the first on.")
    num_repeats: int = Field(1, ge=1, description="How often these blocks follow one another.")
    kernel_size: int = Field(3, ge=1, description="Taps of each convolution.")
    tied: bool = Field(False, description="Whether an item has one vector, read and recommended.")
    item_bias: bool = Field(False, description="Whether items have a bias.")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the entries of item vectors, and of each block's outcome, that training leaves out.",
    )
    batch_size: int = 128

    def check(self) -> None:
        super().check()
        require(min(self.dilations, default=0) >= 1, f"dilations={self.dilations}: must be numbers from 1 up")
        require(
            not (self.item_bias and (self.tied or self.temperature)),
            "item_bias=true is one more column of item vectors: not with tied tables, nor with cosines (temperature)",
        )


class NextItNet(CausalModel):
    """A stack of residual blocks of dilated convolutions."""

    name = "nextitnet"
    Config = NextItNetConfig
    config: NextItNetConfig
    presets: ClassVar = {
        "author": {"embedding_dim": 100, "num_repeats": 4, "item_bias": True},
        "hgn": {"embedding_dim": 50, "batch_size": 32},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "num_repeats": Choice(1, 2, 4),
        "dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(5e-4, 5e-3),
        "batch_size": Choice(64, 128, 256),
    }

    def __init__(self, config: NextItNetConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        # what is read has to be of the size of what the blocks add to it, or they drown it
        if not config.tied:
            self.item_in = nn.Parameter(torch.randn(sizes.num_items + 1, dim) / dim**0.5)
            zero_padding(self.item_in)
        width = 1 / dim**0.5 if config.tied else 0.02
        self.item_out = nn.Parameter(torch.randn(sizes.num_items + 1, dim + config.item_bias) * width)
        zero_padding(self.item_out)
        dilations = config.dilations * config.num_repeats
        self.blocks = nn.ModuleList(Block(dim, config.kernel_size, dilation) for dilation in dilations)
        self.rows_at_once = max(1, 2**13 // config.window)

    def stretches(self, log: Log) -> CausalSequences:
        return replace(super().stretches(log), coverage=self.config.coverage)

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """After every item, with a 1 on top where items have a bias."""
        config = self.config
        history, _ = asked_of(batch)
        x = embedding(self.item_out if config.tied else self.item_in, history)
        x = dropout(x, config.dropout, self.training)
        real = (history > 0).to(x.dtype).unsqueeze(2)  # B P 1
        for block in self.blocks:
            x = x + dropout(block(x, real), config.dropout, self.training)
        return torch.cat([x, torch.ones_like(real)], 2) if config.item_bias else x


class Block(nn.Module):
    """What a residual block adds to its input."""

    def __init__(self, dim: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        self.near, self.far = (nn.Linear(kernel * dim, dim) for _ in range(2))
        self.norm_near, self.norm_far = (nn.LayerNorm(dim, eps=EPS) for _ in range(2))

    def forward(self, x: Float[Tensor, "B P d"], real: Float[Tensor, "B P 1"]) -> Float[Tensor, "B P d"]:
        """`real` is 0 at padding, which the layers would make something of, and 1 elsewhere."""
        y = self.norm_near(self.near(past(x, self.kernel, self.dilation))).relu() * real
        return self.norm_far(self.far(past(y, self.kernel, 2 * self.dilation))).relu() * real


def past(x: Float[Tensor, "B P d"], kernel: int, step: int) -> Float[Tensor, "B P kd"]:
    """At each position the vectors of `kernel` positions, `step` apart, oldest first, its own last; zeros before all.

    >>> past(torch.tensor([[[1.0], [2.0], [3.0]]]), kernel=2, step=2)
    tensor([[[0., 1.],
             [0., 2.],
             [1., 3.]]])
    """
    found: Tensor = _Past.apply(x, kernel, step)
    return found


class _Past(torch.autograd.Function):
    """Padding, slicing and joining, whose gradients are not spread over as many tensors of their own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, step: int) -> Tensor:
        ctx.kernel, ctx.step = kernel, step
        batch, places, dim = x.shape
        out = x.new_empty(batch, places, kernel, dim)
        for tap, back in _taps(kernel, step, places):
            out[:, back:, tap] = x[:, : places - back]
            out[:, :back, tap] = 0
        return out.flatten(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        parts = gradient.unflatten(2, (ctx.kernel, -1))
        batch, places, _, dim = parts.shape
        total = gradient.new_zeros(batch, places, dim)
        for tap, back in _taps(ctx.kernel, ctx.step, places):
            total[:, : places - back] += parts[:, back:, tap]
        return total, None, None


def _taps(kernel: int, step: int, places: int) -> Iterator[tuple[int, int]]:
    """(tap, how far back it looks), no farther than there are positions."""
    for tap in range(kernel):
        yield tap, min(step * (kernel - 1 - tap), places)
