"""CORE: session-based recommendation within a consistent representation space.

A session vector is a weighted sum of the vectors of its items, and nothing else: so both lie in the same space, and
their cosine can be compared. With e_i the vector of an item, and h_1 .. h_n those of the items of a session:

    alpha = softmax over i of  w . F_i      F = transformer(h_1 + p_1, .., h_n + p_n)     CORE-trm, `encoder=trm`
    alpha_i = 1 / n                                                                       CORE-ave, `encoder=ave`
    h_s = sum over i of alpha_i h_i
    score of item i = cos(h_s, e_i) / tau
    loss = -ln softmax(scores)[next item]

The vectors e_i of the loss have a dropout (`item_dropout`), and the h_i of the session have another one
(`session_dropout`): this is the paper's robust distance measuring. The transformer is that of BERT, but causal: F_i
depends on the items up to i alone. Therefore one pass over a sequence gives the session vectors of all of its prefixes.

Source: Hou, Hu, Zhang and Zhao, "CORE: simple and effective session-based recommendation within consistent
representation space", SIGIR 2022.

Differs from the authors' program (github.com/RUCAIBox/CORE) in:
  * the program trains on each prefix of a session as an example of its own, with its own dropout;
  * the program adds a constant to each w . F_i, and the last layer norm another one. A softmax is the same without;
  * positions are counted from the newest item of a sequence, so padding changes nothing;
  * the gains and shifts of layer norms begin at 1 and 0, where the program draws them like the other weights: uniformly
    between -1 and 1, over sqrt(d).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.errors import require
from segue.models.base.causal import CausalModel, history_and_query_count
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.base.transformer import attention_rows
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.post_norm_block import EPS, PostNormBlock
from segue.nn.recorder import record
from segue.nn.self_attention import causal_mask

OF_TRANSFORMER = "num_blocks", "num_heads", "ffn_dim", "dropout"


class COREConfig(RankingConfig):
    """Settings of CORE."""

    encoder: Literal["trm", "ave"] = Field(
        "trm", description="The weights of the items of a session: those of a transformer (trm), or equal ones (ave)."
    )
    window: int = Field(50, ge=1, description="Number of most recent items that are read.")
    num_blocks: int = Field(2, ge=1, le=100, description="Number of transformer blocks; encoder=trm only.")
    num_heads: int = Field(
        2, ge=1, description="Number of attention heads; it must divide embedding_dim; encoder=trm only."
    )
    ffn_dim: int = Field(256, ge=1, description="Hidden size of the feed-forward network; encoder=trm only.")
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description=(
            "Dropout rate of the input of the transformer, the attention weights and of what each part of a block "
            "adds; encoder=trm only."
        ),
    )
    session_dropout: float = Field(0.2, ge=0, lt=1, description="Dropout rate of the vectors of the items of sessions.")
    item_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout rate of the item vectors that a session vector is compared with."
    )
    temperature: float = 0.07
    batch_size: int = 128
    lr: float = 3e-3

    def check(self) -> None:
        super().check()
        if self.encoder == "ave":
            for name in OF_TRANSFORMER:
                value, default = getattr(self, name), type(self).model_fields[name].default
                require(value == default, f"{name}={value}: is a setting of encoder=trm")
        require(
            self.encoder == "ave" or self.embedding_dim % self.num_heads == 0,
            f"num_heads={self.num_heads}: must divide embedding_dim={self.embedding_dim}",
        )


class CORE(CausalModel):
    """A session vector that is a weighted sum of item vectors, and its cosine with them."""

    name = "core"
    training_cost = "high"
    Config = COREConfig
    config: COREConfig
    presets: ClassVar = {
        "trm": {"embedding_dim": 100, "dropout": 0.5, "batch_size": 512, "lr": 1e-3, "epochs": 300},
        "ave": {"encoder": "ave", "embedding_dim": 100, "batch_size": 512, "lr": 1e-3, "epochs": 300},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(64, 100, 128),
        "session_dropout": Uniform(0.0, 0.5),
        "item_dropout": Uniform(0.0, 0.5),
        "temperature": LogUniform(0.03, 0.2),
        "lr": LogUniform(5e-4, 5e-3),
    }
    skips_padding = "inside"

    def __init__(self, config: COREConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.item_embedding = nn.Parameter(torch.empty(sizes.num_items + 1, dim))
        if config.encoder == "trm":
            self.position_embedding = nn.Parameter(torch.empty(config.window, dim))
            self.input_norm = nn.LayerNorm(dim, eps=EPS)
            self.blocks = nn.ModuleList(
                PostNormBlock(dim, num_heads=config.num_heads, ffn_dim=config.ffn_dim, dropout_rate=config.dropout)
                for _ in range(config.num_blocks)
            )
            # a shift here would be the same for each F_i
            self.blocks[-1].ffn_norm = nn.LayerNorm(dim, eps=EPS, bias=False)
            self.weight = nn.Linear(dim, 1, bias=False)  # w
        for name, weight in self.named_parameters():
            if "norm" not in name:
                nn.init.uniform_(weight, -(dim**-0.5), dim**-0.5)
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.micro_batch_size = attention_rows(config.num_heads, config.window)

    @property
    def item_embeddings(self) -> Float[Tensor, "I d"]:
        return dropout(super().item_embeddings, self.config.item_dropout, self.training)

    def _item_vectors_of(self, ids: Tensor) -> Tensor:
        vectors = dropout(self.encoded("item_embedding", ids), self.config.item_dropout, self.training)
        return nn.functional.normalize(vectors, dim=-1) if self.config.temperature else vectors

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """h_s after every item, or after the newest one alone in a batch that is only scored."""
        history, count = history_and_query_count(batch)  # (B, P)
        valid = history > 0
        x = dropout(self.encoded("item_embedding", history), self.config.session_dropout, self.training)  # (B, P, d)
        mask = causal_mask(valid)  # (B, 1, P, P)
        logits = self._logits(x, valid, mask) if self.config.encoder == "trm" else x.new_zeros(x.shape[:2])  # (B, P)
        alpha = torch.softmax(logits.unsqueeze(1) + mask[:, 0, -count:], -1)  # (B, C, P)
        record("attention", alpha)
        return alpha @ x

    def _logits(
        self, x: Float[Tensor, "B P d"], valid: Bool[Tensor, "B P"], mask: Float[Tensor, "#B 1 P P"]
    ) -> Float[Tensor, "B P"]:
        """w . F_i of each item."""
        x = self.input_norm(x + self.position_embedding[-x.shape[1] :])
        x = dropout(x, self.config.dropout, self.training) * valid.unsqueeze(2)
        for block in self.blocks:
            x = block(x, mask) * valid.unsqueeze(2)
        return linear_2d(self.weight, x).squeeze(2)
