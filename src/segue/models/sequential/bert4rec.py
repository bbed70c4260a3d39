"""BERT4Rec: a bidirectional transformer that is trained to fill in masked items.

Some items of a sequence are masked, and the model predicts each of them from all others, on both sides. The next item
of a history is the mask that is put at its end. The embedding e_i of an item, or that of the mask, plus that of its
position is the input of the first block:

    h_t = LN(e_t + p_t)
    a_t = LN(h_t + O (sum over all s of  softmax_s(Q h_t . K h_s / sqrt(d)) V h_s))    attention with `num_heads` heads
    h_t = LN(a_t + W2 gelu(W1 a_t + b1) + b2)                                            (3) to (5)
    score of item i at a mask t = LN(gelu(W h_t + b)) . e_i + b_i                        (7)

The loss is the cross-entropy of the masked items (8). In some sequences the newest item alone is masked.

Source: Sun, Liu, Wu, Pei, Lin, Ou and Jiang, "BERT4Rec: sequential recommendation with bidirectional encoder
representations from transformer", CIKM 2019.

Like the authors' program (github.com/FeiSun/BERT4Rec), the inputs and the last layer are normalised, which the paper
does not show. Differs from the authors' program in:
  * items are masked anew in each epoch, where the program prepares ten maskings of each sequence;
  * parts of a long history follow each other, where the program moves a window over it in steps of half its length;
  * positions are counted from the mask at the end, so padding changes nothing;
  * matrices are initialised by Glorot's rule, which learns faster than the program's N(0, .02^2);
  * Adam has a constant learning rate of .001 and no weight decay, where the program has .0001, which rises and falls.

It learns from a fifth of the items of an epoch, and needs more epochs than a causal transformer: with the settings of
the program, many comparisons show it undertrained (Petrov and Macdonald, "A systematic review and replicability study
of BERT4Rec for sequential recommendation", RecSys 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch, pad_history
from segue.batches.masked_sequences import MaskedSequences
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.event_vectors import EventVectors
from segue.models.base.model import Sizes
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.base.transformer import TransformerConfig, attention_rows
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.post_norm_block import EPS, PostNormBlock


class BERT4RecConfig(TransformerConfig):
    """Settings of BERT4Rec."""

    num_heads: int = 2
    epochs: int = 200
    ffn_factor: int = Field(
        4, ge=1, description="Hidden size of the feed-forward network, as a multiple of embedding_dim."
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate of the input, the attention weights and of what each part of a block adds.",
    )
    mask_prob: float = Field(
        0.2, gt=0, lt=1, description="Share of the items of a training sequence that are masked; at least one is."
    )
    newest_prob: float = Field(
        0.1, ge=0, le=1, description="Share of the training sequences in which the newest item alone is masked."
    )
    item_bias: bool = Field(True, description="Whether items have a bias.")

    def check(self) -> None:
        super().check()
        require(
            not (self.item_bias and self.temperature),
            "item_bias=true cannot be combined with temperature above 0; set item_bias=false",
        )


class BERT4Rec(EventVectors):
    """A bidirectional transformer over the item sequence, with a mask in the place of the next item."""

    name = "bert4rec"
    Config = BERT4RecConfig
    config: BERT4RecConfig
    training_cost = "high"
    presets: ClassVar = {
        "author": {"window": 199, "batch_size": 256, "lr": 1e-4, "weight_decay": 0.01, "epochs": 2000},
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "num_blocks": Choice(1, 2, 3),
        "num_heads": Choice(1, 2, 4),
        "dropout": Uniform(0.1, 0.5),
        "mask_prob": Uniform(0.1, 0.6),
        "lr": LogUniform(3e-4, 3e-3),
    }
    skips_padding = "inside"

    def __init__(self, config: BERT4RecConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.item_embedding = nn.Parameter(torch.empty(sizes.num_items + 1, dim + config.item_bias))
        self.mask_embedding = nn.Parameter(torch.empty(dim))
        self.position_embedding = nn.Parameter(torch.empty(config.window + 1, dim))
        self.input_norm, self.output_norm = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)
        self.blocks = nn.ModuleList(
            PostNormBlock(dim, num_heads=config.num_heads, ffn_dim=config.ffn_factor * dim, dropout_rate=config.dropout)
            for _ in range(config.num_blocks)
        )
        self.output = nn.Linear(dim, dim)
        for name, weight in self.named_parameters():
            if name.endswith("_embedding"):
                nn.init.normal_(weight, std=0.02)
            elif weight.ndim == 2:
                nn.init.xavier_uniform_(weight)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        with torch.no_grad():
            self.item_embedding[:, dim:] = 0
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.embed_events(dim)
        self.micro_batch_size = attention_rows(config.num_heads, config.window + 1)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        sequences = MaskedSequences(
            window=config.window + 1,  # the items of a history, and the one that the mask stands for
            mask_prob=config.mask_prob,
            newest_prob=config.newest_prob,
            num_negatives=config.negatives_per_target,
            shown=config.draws_from_shown,
            types=self.reads_event_types,
            features=self.reads_event_features,
            sessions=self.session_rule,
        )
        return self.with_shared_negatives(sequences.batches(log, config.batch_size, rng), log, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return super().forward(batch.trimmed())

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query at every position of a training batch, or at a mask after the newest item of a history."""
        last_only = not isinstance(batch, SequenceBatch)  # a training batch may have one position, too
        if isinstance(batch, SequenceBatch):
            masked = batch.target_mask
        else:
            batch = batch.trimmed().map_history(lambda column: pad_history(column, 0, 1))
            newest = torch.arange(batch.history.shape[1], device=batch.history.device) == batch.history.shape[1] - 1
            masked = newest.expand(len(batch), -1)  # the mask stands after the newest item
        x, history = self._input(batch, masked), batch.history  # (B, P, d), (B, P)
        length = history.shape[1]
        padding = torch.zeros(history.shape, device=x.device).masked_fill_((history == 0) & ~masked, -torch.inf)
        mask = padding[:, None, None].expand(-1, -1, length, -1)  # (B, 1, P, P)
        for number, block in enumerate(self.blocks, 1):
            is_last = last_only and number == len(self.blocks)  # the last block computes what is used alone
            x = block(x, mask[:, :, -1:] if is_last else mask)  # (B, C, d)
        query = self.output_norm(nn.functional.gelu(self.output(x)))
        return torch.cat([query, torch.ones_like(query[..., :1])], 2) if self.config.item_bias else query

    def _input(self, batch: Batch, masked: Bool[Tensor, "B P"]) -> Float[Tensor, "B P d"]:
        """The input of the first block; of a masked event neither the item, nor the type, nor a feature is read."""
        x = self.encoded("item_embedding", batch.history)[..., : self.config.embedding_dim]  # (B, P, d)
        x = self.with_event_vectors(x, batch)
        x = torch.where(masked.unsqueeze(2), self.mask_embedding, x) + self.position_embedding[-x.shape[1] :]
        return dropout(self.input_norm(x), self.config.dropout, self.training)
