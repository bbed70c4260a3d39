"""HGN: hierarchical gating networks for sequential recommendation.

Ma, Kang and Liu, KDD 2019 (equation numbers are the paper's). E and Q hold an input and an output vector of each item,
U one of each user; s_l = E[item at place l] are the vectors of the last |L| items, u is the user's:

    s^F_l = s_l * sigma(W1 s_l + W2 u + b)                                  (1) feature gate
    s^I_l = s^F_l * sigma(w3 . s^F_l + u . W4[:, l])                        (2) instance gate
    s     = mean over l of s^I_l,  or  s = max over l, element by element   (3), (4)
    r_j   = u . q_j + s . q_j + sum over l of  s_l . q_j                    (5)
    loss  = sum of -ln sigma(r_j - r_k)  +  weight_decay over every weight  (6)

`window_encoder` puts other things in the place of s, as the paper's Table 4 does, there without the last sum of (5)
(`item_item_product=false`): nothing (its row 1), the last state of a GRU (row 6), Caser's convolutions (row 7).

Every term of (5) ends in q_j, so the score is a dot product with the query u + s + sum over l of s_l.

Whatever (1) gates depends on the user and the item but not on the window, so neighbouring windows of a user share it: a
batch row carries `windows_per_row` windows that overlap, and gates each item once (see `SlidingWindows`).

Padded positions are left out of the gates, of the mean and of the sum. Differs from the authors' program
(github.com/allenjack/HGN), which the preset `author` follows where it says so:
  * their pooling divides by the sum of the instance gates (`pooling="gate_avg"`) and items have a bias (`item_bias`);
  * their instance gate is never trained (its weights are not registered as parameters): ours is, in every preset;
  * their negatives are, by a slip of indexing, mostly other users': ours are the user's own;
  * they score padding and let seen items fall to 0 instead of out: evaluation here does neither.
The preset `recbole` has the hyper-parameters of RecBole's page. Departures from its program: max pooling is the paper's
(RecBole takes the item with the largest gate), negatives are scored with Q (RecBole: with E), padding is masked
(RecBole: noise).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

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
from segue.models.base.ranking import Loss, RankingConfig, RankingModel
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.convolution import WindowConvolutions
from segue.nn.embedding import embedding, zero_padding
from segue.nn.recorder import record
from segue.nn.recurrent.gru import WindowGRU
from segue.nn.sliding_windows import windows_to_positions

TABLES = "user", "item_in", "item_out"


class HGNConfig(RankingConfig):
    """Settings of HGN."""

    embedding_dim: int = 50
    window: int = Field(
        5, ge=1, description="|L|, how many of the last items are read (RecBole: MAX_ITEM_LIST_LENGTH)."
    )
    num_targets: int = Field(3, ge=1, description="|T|, how many of the next items each window is trained to rank.")
    training_windows: Literal["full", "every"] = Field(
        "full", description="Train on windows that are 'full', or on 'every' prefix, padded."
    )
    windows_per_row: int = Field(
        1,
        ge=1,
        description=(
            "Neighbouring windows that share one batch row; more is faster, and learns a little less an epoch."
        ),
    )
    loss: Loss = "bpr"
    window_encoder: Literal["gates", "gru", "cnn", "none"] = Field(
        "gates", description="What sums a window up: the gates, a gru, Caser's convolutions (cnn), or none does."
    )
    cnn_dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the features that training leaves out of what the cnn sums up."
    )
    pooling: Literal["avg", "max", "gate_avg"] = Field(
        "avg",
        description=(
            "Of the gated items: avg (3), max (4), or gate_avg, the authors' mean weighted by the instance gates."
        ),
    )
    feature_gate: bool = Field(
        True, description="The parts of the model; switched off they give the paper's ablations."
    )
    instance_gate: bool = Field(
        True, description="The parts of the model; switched off they give the paper's ablations."
    )
    item_item_product: bool = Field(
        True, description="The parts of the model; switched off they give the paper's ablations."
    )
    item_bias: bool = Field(False, description="Whether items have a bias.")
    tied: bool = Field(False, description="Whether an item has one vector, read and recommended (E = Q).")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the entries of item vectors that training leaves out of what is read."
    )
    reg_weight: tuple[float, float] = Field(
        (0.0, 0.0),
        description=(
            "RecBole's pair: weight of the length of the gates' matrices, and of the batch's embeddings. "
            "Lengths, not squares, so that several processes do not add up to one."
        ),
    )
    weight_decay: float = 1e-3
    reduction: Literal["sum", "mean"] = "sum"

    def check(self) -> None:
        super().check()
        require(
            not (self.item_bias and (self.tied or self.temperature)),
            "item_bias=true is one more column of item vectors: not with tied tables, nor with cosines (temperature)",
        )
        require(min(self.reg_weight) >= 0, f"reg_weight={self.reg_weight}: must not be negative")
        require(
            self.instance_gate or self.pooling != "gate_avg",
            "pooling=gate_avg divides by the instance gates: it needs instance_gate=true",
        )
        require(
            self.window_encoder == "gates" or (self.feature_gate and self.instance_gate and self.pooling == "avg"),
            f"window_encoder={self.window_encoder} has no gates: pooling, feature_gate and instance_gate must be left as they are",
        )

    @property
    def reads(self) -> bool:
        """Whether anything looks at the window."""
        return self.window_encoder != "none" or self.item_item_product


class HGN(RankingModel):
    """A user vector, gates over the last items, and item-item products."""

    name = "hgn"
    Config = HGNConfig
    config: HGNConfig
    presets: ClassVar = {
        "paper": {},
        "author": {"pooling": "gate_avg", "item_bias": True, "epochs": 200},
        "recbole": {
            "embedding_dim": 64,
            "window": 50,
            "num_targets": 1,
            "training_windows": "every",
            "windows_per_row": 16,
            "loss": "ce",
            "batch_size": 2048,
            "weight_decay": 0.0,
            "reduction": "mean",
            "epochs": 300,
        },
    }

    space: ClassVar[Space] = {
        "embedding_dim": Choice(32, 64, 128),
        "window": Choice(3, 5, 8),
        "lr": LogUniform(5e-4, 1e-2),
        "loss": Choice("bpr", "ce"),
        "weight_decay": Choice(0.0, 1e-3, 1e-2),
    }

    def __init__(self, config: HGNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        if any(config.reg_weight):
            self.rows_at_once = config.batch_size  # lengths of parts do not add up to the length of the whole
        self.user = nn.Parameter(torch.randn(sizes.num_users + 1, dim) / dim)
        if config.reads and not config.tied:
            self.item_in = nn.Parameter(torch.randn(sizes.num_items + 1, dim) / dim)
            zero_padding(self.item_in)
        self.item_out = nn.Parameter(torch.randn(sizes.num_items + 1, dim + config.item_bias) / dim)
        zero_padding(self.user)
        zero_padding(self.item_out)
        if config.window_encoder == "gru":
            self.group: nn.Module = WindowGRU(dim)
        elif config.window_encoder == "cnn":
            self.group = WindowConvolutions(dim, config.window, dropout=config.cnn_dropout)
        gates = config.window_encoder == "gates"
        if gates and config.feature_gate:
            self.feature_item = nn.Linear(dim, dim, bias=False)
            self.feature_user = nn.Linear(dim, dim)
        if gates and config.instance_gate:
            self.instance_item = nn.Parameter(nn.init.xavier_uniform_(torch.empty(dim, 1)).squeeze(1))
            self.instance_user = nn.Parameter(nn.init.xavier_uniform_(torch.empty(dim, config.window)))

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        windows = SlidingWindows(
            window=config.window,
            num_targets=config.num_targets,
            windows_per_row=config.windows_per_row,
            num_negatives=config.own,
            positions=config.training_windows,
        )
        return self.with_shared(windows.batches(log, config.batch_size, rng), log, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        loss = super().forward(batch)
        if any(self.config.reg_weight):
            loss = loss + self._regulariser(batch) * batch.num_targets  # so that it stands beside a mean loss
        return loss

    def _regulariser(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        gates, embeddings = self.config.reg_weight
        read = [(self._read, batch.history)] if self.config.reads else []
        vectors = [
            embedding(table, ids) for table, ids in [(self.user, batch.user), *read, (self.item_out, batch.target)]
        ]
        matrices = [w for name, w in self.named_parameters() if name not in TABLES and w.ndim > 1]
        lengths = [gates * weight.norm() for weight in matrices]
        return torch.stack(lengths + [embeddings * vector.norm() for vector in vectors]).sum()

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    @property
    def _read(self) -> Float[Tensor, "I d"]:
        return self.item_out if self.config.tied else self.item_in

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """u + s + sum of s_l for each window: the left side of (5), with a 1 on top where items have a bias."""
        config = self.config
        query = embedding(self.user, batch.user).unsqueeze(1)  # B 1 d
        real = (batch.history > 0).to(query.dtype).unfold(1, config.window, 1)  # B C L
        if config.reads:
            item = embedding(self._read, batch.history)  # B P d; padding is zeros
            if config.dropout:
                item = nn.functional.dropout(item, config.dropout, self.training)
            query = query + self._group(query, item, real)
            if config.item_item_product:
                query = query + windows_to_positions(torch.ones_like(real[:1])).expand(len(real), -1, -1) @ item
        query = query.expand(-1, real.shape[1], -1)
        return torch.cat([query, torch.ones_like(query[..., :1])], 2) if config.item_bias else query

    def _group(self, user: Tensor, item: Tensor, real: Tensor) -> Tensor:
        """s: what the window as a whole is worth."""
        config = self.config
        if config.window_encoder == "none":
            return torch.zeros_like(user)
        if config.window_encoder == "gru":
            return self.group(item, real)
        if config.window_encoder == "cnn":
            return self.group(item)
        gated, weight = item, real
        if config.feature_gate:
            gate = self.feature_item(item).add_(self.feature_user(user)).sigmoid_()  # (1)
            record("feature gate", lambda: gate.transpose(1, 2))
            gated = item * gate
        if config.instance_gate:
            logit = (gated @ self.instance_item).unfold(1, config.window, 1)
            weight = real * torch.sigmoid(logit + user @ self.instance_user)  # (2)
            record("instance gate", weight)
        if config.pooling == "max":
            return self._max(gated, weight, real)  # (4)
        total = (weight if config.pooling == "gate_avg" else real).sum(2, keepdim=True)
        return windows_to_positions(weight / total.clamp(min=1e-12)) @ gated  # (3)

    def _max(self, gated: Tensor, weight: Tensor, real: Tensor) -> Float[Tensor, "B C d"]:
        values = gated.unfold(1, self.config.window, 1) * weight.unsqueeze(2)  # B C d L
        values = values.masked_fill(real.unsqueeze(2) == 0, -torch.inf)
        return values.amax(3).nan_to_num(neginf=0.0)  # a window of nothing but padding is worth nothing
