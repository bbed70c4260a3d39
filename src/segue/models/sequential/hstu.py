"""HSTU: hierarchical sequential transduction units, a transformer whose attention weights need not add up to 1.

The embedding of an item, times sqrt(d), plus that of its position is the input x_t of the first block. Each block
computes, from all x_s with s <= t (events oldest first, N is the window):

    u_t, v_t, q_t, k_t = silu(W LN(x_t))                                    (1)
    a_t = 1/N sum over s <= t of  silu(q_t . k_s + bias(t, s)) v_s          (2)
    x_t = x_t + W_o (LN(a_t) * u_t) + b_o                                   (3)
    score of item i after position t = x_t of the last block . e_i    (with a temperature: their cosine divided by it)

The bias is p[t - s], a number for each distance of two positions, plus with time="events" or "request" a number for the
bucket of the time between event s and the moment at t (`segue.nn.positions`). That moment is the time of event t
with "events". With "request" it is the time of the next event, the one to be predicted: when the item is requested.
Each head and each block has its own numbers.

Source: Zhai et al., "Actions speak louder than words: trillion-parameter sequential transducers for generative
recommendations", ICML 2024, (1) to (3).

Differs from the authors' program for MovieLens (github.com/meta-recsys/generative-recommenders) in:
  * N is the window for every batch; there it is the padded length of the batch;
  * positions are counted from the newest item, so padding changes nothing;
  * each head has its own biases, where one number serves all heads there, and the layer norms have weights;
  * at the newest event the moment is that of the request, where the program repeats the last time of its row;
  * sampled negatives are items that the user has no event with.
"""

from __future__ import annotations

import math
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.models.base.model import Sizes
from segue.models.base.transformer import TimedTransformer, TimedTransformerConfig
from segue.nn.dropout import dropout
from segue.nn.positions import RelativePositionBias, RelativeTimeBias, time_buckets

EPS = 1e-6


class HSTUConfig(TimedTransformerConfig):
    """Settings of HSTU."""

    dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout rate of the input embeddings and of what a block adds."
    )


class HSTU(TimedTransformer):
    """Pointwise attention over the item sequence, with biases by position and time."""

    name = "hstu"
    Config = HSTUConfig
    config: HSTUConfig
    training_cost = "high"
    presets: ClassVar = {
        "author": {
            "embedding_dim": 50,
            "window": 200,
            "loss": "sampled-ce",
            "num_negatives": 128,
            "temperature": 0.05,
            "logq_correction": False,
            "time": "request",
            "epochs": 101,
        },
    }

    def __init__(self, config: HSTUConfig, sizes: Sizes) -> None:
        dim = config.embedding_dim
        super().__init__(config, sizes, input_scale=math.sqrt(dim), position_std=math.sqrt(1 / dim))
        self.blocks = nn.ModuleList(HSTUBlock(config) for _ in range(config.num_blocks))

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query after every item, or after the newest one alone in a batch that is only scored."""
        batch = batch.trimmed() if batch.num_queries == 1 else batch
        valid, x = batch.history > 0, self.input_vectors(batch, self.config.dropout)  # (B, P), (B, P, d)
        allowed = valid.unsqueeze(1).expand(-1, valid.shape[1], -1).tril()  # (B, P, P)
        buckets = None
        if batch.times is not None:
            buckets = time_buckets(batch.moments(of_request=self.reads_request_time), batch.times)  # (B, P, P)
        for block in self.blocks:
            x = block(x, allowed, buckets) * valid.unsqueeze(2)  # (B, P, d)
        return x[:, -batch.num_queries :]


class HSTUBlock(nn.Module):
    """One unit: pointwise projection, spatial aggregation and pointwise transformation."""

    def __init__(self, config: HSTUConfig) -> None:
        super().__init__()
        dim, heads = config.embedding_dim, config.num_heads
        self.num_heads, self.dropout, self.window = heads, config.dropout, config.window
        self.input_norm, self.output_norm = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)
        self.projection = nn.Linear(dim, 4 * dim, bias=False)  # u, v, q, k
        nn.init.normal_(self.projection.weight, std=0.02)
        self.output = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.output.weight)
        self.position_bias = RelativePositionBias(config.window, heads)
        self.time_bias = RelativeTimeBias(heads) if config.time != "none" else None

    def forward(
        self, x: Float[Tensor, "B P d"], allowed: Bool[Tensor, "B P P"], buckets: Int[Tensor, "B P P"] | None
    ) -> Float[Tensor, "B P d"]:
        """The output at every position; `allowed` says which events are seen from each position."""
        gate, *parts = nn.functional.silu(self.projection(self.input_norm(x))).chunk(4, 2)
        value, query, key = (part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in parts)  # (B, h, P, e)
        scores = query @ key.transpose(2, 3) + self.position_bias(x.shape[1])  # (B, h, P, P)
        if self.time_bias is not None:
            assert buckets is not None
            scores = scores + self.time_bias(buckets)
        weights = nn.functional.silu(scores) * (allowed.unsqueeze(1).to(scores) / self.window)
        attended = (weights @ value).transpose(1, 2).flatten(2)  # (B, P, d)
        return x + self.output(dropout(self.output_norm(attended) * gate, self.dropout, self.training))
