"""HGN: hierarchical gating networks for sequential recommendation.

Two gates weigh the last |L| items of a user: a feature gate selects features of each item embedding, an instance gate
selects items. The score of an item adds the user's long-term interest, the gated items, and direct item-item products.
E and Q hold the input and output embeddings of items, U those of users. With s_l = E[item at place l] and u that of the
user (equation numbers are the paper's):

    s^F_l = s_l * sigma(W1 s_l + W2 u + b)                                  (1) feature gate
    s^I_l = s^F_l * sigma(w3 . s^F_l + u . W4[:, l])                        (2) instance gate
    s     = mean over l of s^I_l,  or  s = max over l, element by element   (3), (4)
    r_j   = u . q_j + s . q_j + sum over l of  s_l . q_j                    (5)
    loss  = sum of -ln sigma(r_j - r_k)  +  weight_decay over every weight  (6)

Every term of (5) ends in q_j, so the score is a dot product with the query u + s + sum over l of s_l.

Two settings let older items count less in the last sum of (5), which the paper does not have. Its terms are then
e^c_l s_l . q_j, where c_l is a learnt number of the place l (`item_item_decay`), plus one of the bucket of the time
since the event of s_l (`time`, see `segue.nn.positions`). All of them begin at 0. The time ends at the event of the
newest item (events), or when the next item is requested (request).

Source: Ma, Kang and Liu, "Hierarchical gating networks for sequential recommendation", KDD 2019.

The default settings were chosen on validation: every prefix of a history has one target, and the loss is cross-entropy
over all items, and pooling is that of the authors' program. The preset `paper` has the settings of the paper.

`window_encoder` replaces s as in the paper's Table 4, together with `item_item_product=false`: by nothing (row 1), the
last state of a GRU (row 6), or Caser's convolutions (row 7).

The feature gate depends on the user and the item, but not on the window. A batch row therefore holds `windows_per_row`
overlapping windows, and the gate is computed once for each item (see `SlidingWindows`). Padded positions are left out
of the gates, of the mean and of the sum.

Differs from the authors' program (github.com/allenjack/HGN) in:
  * the program's pooling divides by the sum of the instance gates, and its items have a bias; the preset `author` does
    so too;
  * the program's instance gate is never trained, because its weights are not registered as parameters; here it is
    trained in every preset;
  * by an indexing error, most negatives of the program are drawn for other users; here they are the user's own;
  * the program scores padding and lets items of the history fall to score 0 instead of excluding them.
The preset `recbole` has the hyper-parameters of RecBole's page on HGN, and RecBole's pooling. Differs from RecBole's
program in: negatives are scored with Q (RecBole: with E), padding is masked (RecBole: it adds noise and is a class of
the softmax), and W1 and W2 begin as torch's linear layers do (RecBole: Xavier).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, Literal

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
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.base.timed import TimedConfig, TimedModel
from segue.nn.compiled.loop import overrides
from segue.nn.compiled.loops import gated_queries
from segue.nn.convolution import WindowConvolutions
from segue.nn.embedding import embedding, zero_padding
from segue.nn.positions import NUM_BUCKETS, duration_buckets
from segue.nn.recorder import record
from segue.nn.recurrent.gru import WindowGRU
from segue.nn.sliding_windows import windows_to_positions

EMBEDDINGS = "user_embedding", "input_embedding", "output_embedding"


class HGNConfig(TimedConfig):
    """Settings of HGN."""

    renamed: ClassVar[dict[str, str]] = {
        "targets": "num_targets",
        "asked": "training_windows",
        "per_row": "windows_per_row",
        "group": "window_encoder",
        "group_dropout": "cnn_dropout",
        "item_item": "item_item_product",
    }
    later: ClassVar[tuple[str, ...]] = ("time", "item_item_decay")
    embedding_dim: int = 64
    window: int = Field(5, ge=1, description="Number |L| of most recent items that are read.")
    num_targets: int = Field(1, ge=1, description="Number |T| of next items that are the targets of each window.")
    training_windows: Literal["full", "every"] = Field(
        "every",
        description=(
            "Which windows are trained on: full ones, with window items and num_targets targets, or every prefix of a "
            "history, padded where it is shorter."
        ),
    )
    windows_per_row: int = Field(
        4,
        ge=1,
        description=(
            "Number of neighbouring windows in one batch row. More make an epoch faster, and it learns slightly less."
        ),
    )
    window_encoder: Literal["gates", "gru", "cnn", "none"] = Field(
        "gates", description="How the window is encoded as s: by the gates, a GRU, Caser's convolutions (cnn), or not."
    )
    cnn_dropout: float = Field(0.5, ge=0, lt=1, description="Dropout rate of the filter outputs of window_encoder=cnn.")
    pooling: Literal["avg", "max", "gate_avg", "gate_max"] = Field(
        "gate_avg",
        description=(
            "Pooling of the gated items: avg, the mean (3); max, the maximum of each element (4); gate_avg, their sum "
            "divided by that of the instance gates, as in the authors' program and RecBole's average; or gate_max, the "
            "item with the largest instance gate, RecBole's max."
        ),
    )
    feature_gate: bool = Field(True, description="Whether the feature gate (1) is used.")
    instance_gate: bool = Field(True, description="Whether the instance gate (2) is used.")
    item_item_product: bool = Field(
        True, description="Whether the score has the item-item products, the last sum of (5)."
    )
    item_item_decay: bool = Field(
        False, description="Whether these products have a learnt weight for each place in the window."
    )
    item_bias: bool = Field(False, description="Whether items have a bias.")
    tied: bool = Field(False, description="Whether input and output share the item embeddings (E = Q).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of the input embeddings of items.")
    reg_weight: tuple[float, float] = Field(
        (0.0, 0.0),
        description=(
            "RecBole's two regularisation weights: of the norms of W1 to W4 and w3, and of the norms of the batch's "
            "embeddings. The norms are not squared, so the parts of several processes do not add up to one."
        ),
    )
    batch_size: int = 2048
    lr: float = 3e-3

    def check(self) -> None:
        super().check()
        require(
            not (self.item_bias and (self.tied or self.temperature)),
            "item_bias=true cannot be combined with tied=true or temperature above 0; set item_bias=false",
        )
        require(min(self.reg_weight) >= 0, f"reg_weight={self.reg_weight}: must not be negative")
        require(
            self.instance_gate or self.pooling not in ("gate_avg", "gate_max"),
            f"pooling={self.pooling} depends on the instance gates: it needs instance_gate=true, or pooling=avg",
        )
        require(
            self.window_encoder == "gates"
            or (self.feature_gate and self.instance_gate and self.pooling.endswith("avg")),
            f"window_encoder={self.window_encoder} has no gates: pooling, feature_gate and instance_gate must keep "
            "their defaults",
        )
        require(
            self.item_item_product or (self.time == "none" and not self.item_item_decay),
            "time and item_item_decay weigh the item-item products: they need item_item_product=true",
        )

    @property
    def reads_history(self) -> bool:
        """Whether any term of the score depends on the history."""
        return self.window_encoder != "none" or self.item_item_product


_PAPER: dict[str, Any] = {
    "embedding_dim": 50,
    "num_targets": 3,
    "training_windows": "full",
    "windows_per_row": 1,
    "pooling": "avg",
    "loss": "bpr",
    "batch_size": 4096,
    "lr": 1e-3,
    "weight_decay": 1e-3,
    "reduction": "sum",
}


class HGN(TimedModel):
    """A user embedding, gated items of the last window, and item-item products."""

    name = "hgn"
    training_cost = "low"
    Config = HGNConfig
    config: HGNConfig
    presets: ClassVar = {
        "paper": _PAPER,
        "author": {**_PAPER, "pooling": "gate_avg", "item_bias": True, "epochs": 200},
        "recbole": {
            "embedding_dim": 64,
            "pooling": "gate_avg",
            "window": 50,
            "num_targets": 1,
            "training_windows": "every",
            "windows_per_row": 16,
            "loss": "ce",
            "batch_size": 2048,
            "lr": 1e-3,
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
        "weight_decay": Choice(0.0, 1e-7, 1e-6),
    }
    skips_padding = "anywhere"
    output_table = "output_embedding"

    def __init__(self, config: HGNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        if config.window_encoder == "none" and not config.temperature and config.time == "none":
            self.additive = "sum"  # what is left of (5) is u . q_j and the item-item products
        dim, self.window = config.embedding_dim, config.window
        if any(config.reg_weight):
            self.micro_batch_size = config.batch_size  # the norms of slices do not add up to the norm of the batch
        self.user_embedding = nn.Parameter(torch.randn(sizes.num_users + 1, dim).div_(dim))  # U
        if config.reads_history and not config.tied:
            self.input_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).div_(dim))  # E
            zero_padding(self.input_embedding)
            self.encode("input_embedding")
        self.output_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim + config.item_bias).div_(dim))  # Q
        zero_padding(self.user_embedding)
        zero_padding(self.output_embedding)
        self.encode("output_embedding")
        if config.window_encoder == "gru":
            self.window_encoder: nn.Module = WindowGRU(dim)
        elif config.window_encoder == "cnn":
            self.window_encoder = WindowConvolutions(dim, config.window, dropout=config.cnn_dropout)
        has_gates = config.window_encoder == "gates"
        if has_gates and config.feature_gate:
            self.feature_gate_item = nn.Linear(dim, dim, bias=False)  # W1
            self.feature_gate_user = nn.Linear(dim, dim)  # W2, b
        if has_gates and config.instance_gate:
            self.instance_gate_item = nn.Parameter(nn.init.xavier_uniform_(torch.empty(dim, 1)).squeeze(1))  # w3
            self.instance_gate_user = nn.Parameter(nn.init.xavier_uniform_(torch.empty(dim, config.window)))  # W4
        if config.item_item_decay:
            self.place_decay = nn.Parameter(torch.zeros(config.window))
        if self.reads_times:
            self.time_decay = nn.Parameter(torch.zeros(NUM_BUCKETS, 1))

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        windows = SlidingWindows(
            window=config.window,
            num_targets=config.num_targets,
            windows_per_row=config.windows_per_row,
            num_negatives=config.negatives_per_target,
            shown=config.draws_from_shown,
            positions=config.training_windows,
            times=self.reads_times,
        )
        return self.with_shared_negatives(windows.batches(log, config.batch_size, rng), log, rng)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        loss = super().forward(batch)
        if any(self.config.reg_weight):
            # times the number of targets, which the mean over them takes away again
            loss = loss + self.regularisation(batch) * batch.num_targets
        return loss

    def regularisation(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        """RecBole's penalty: the weighted norms of the gates' weights without biases, and of the batch's embeddings.

        An embedding counts once for each window that has it, as if each window were a batch row.
        """
        gate_weight, embedding_weight = self.config.reg_weight
        others = (*EMBEDDINGS, "encoders.", "bias")
        names = (name for name, _ in self.named_parameters() if not any(other in name for other in others))
        norms = [gate_weight * self.get_parameter(name).norm() for name in names]
        mask = batch.target_mask.to(self.user_embedding.dtype).unsqueeze(2)  # (B, C, 1)
        looked_up: list[tuple[Tensor, Tensor, int]] = [
            (self.user_embedding, batch.user.unsqueeze(1).expand_as(batch.target_mask), 1),
            (self.output_embedding, batch.target, self.config.num_targets),
        ]
        if self.config.reads_history:
            looked_up.append((self.get_parameter(self.input_table), batch.history, self.config.window))
        for table, ids, width in looked_up:
            count = windows_to_positions(mask.expand(-1, -1, width)).sum(1)  # (B, P): windows that have the embedding
            norms.append(embedding_weight * (embedding(table, ids) * count.sqrt().unsqueeze(2)).norm())
        return torch.stack(norms).sum()

    @property
    def input_table(self) -> str:
        """The name of E, the embeddings of the items of histories."""
        return "output_embedding" if self.config.tied else "input_embedding"

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """u + s + sum of s_l of each window: the left side of (5), with a 1 appended if items have a bias."""
        config = self.config
        query = embedding(self.user_embedding, batch.user).unsqueeze(1)  # (B, 1, d)
        valid = (batch.history > 0).to(query.dtype).unfold(1, config.window, 1)  # (B, C, L)
        compiled = self._compiled_queries()
        if compiled is not None:
            query = compiled(query.squeeze(1), self.get_parameter(self.input_table), batch.history)
        elif config.reads_history:
            item = self.encoded(self.input_table, batch.history)  # (B, P, d); zeros at padding
            if config.dropout:
                item = nn.functional.dropout(item, config.dropout, self.training)
            query = query + self.encode_windows(query, item, valid)
            if config.item_item_product:
                weight = windows_to_positions(self._product_weights(batch, valid))  # (1 or B, C, P)
                query = query + weight.expand(len(valid), -1, -1) @ item
        query = query.expand(-1, valid.shape[1], -1)  # (B, C, d)
        return torch.cat([query, torch.ones_like(query[..., :1])], 2) if config.item_bias else query

    def _product_weights(self, batch: Batch, valid: Float[Tensor, "B C L"]) -> Float[Tensor, "#B C L"]:
        """e^c_l of the items of each window."""
        c = torch.zeros_like(valid[:1])  # (1, C, L)
        if self.config.item_item_decay:
            c = c + self.place_decay
        if self.reads_times:
            assert batch.times is not None
            moment = batch.moments(of_request=self.reads_request_time)[:, self.config.window - 1 :]  # (B, C)
            bucket = duration_buckets(moment.unsqueeze(2) - batch.times.unfold(1, self.config.window, 1))  # (B, C, L)
            c = c + nn.functional.embedding(bucket, self.time_decay).squeeze(3)  # (B, C, L)
        return c.exp()

    def _compiled_queries(self) -> Callable[..., Tensor] | None:
        """The queries with both gates as a compiled loop; None where there is none, or it cannot pay."""
        config = self.config
        has_gates = config.window_encoder == "gates" and config.feature_gate and config.instance_gate
        if not has_gates or config.pooling.endswith("max") or config.dropout or overrides(self, HGN, "encode_windows"):
            return None
        if self.features is not None or config.item_item_decay or self.reads_times:
            return None  # the loop looks up the embeddings alone, and adds them up
        loop = gated_queries.for_training(self.get_parameter(self.input_table))
        return loop and partial(
            loop,
            feature_gate=(self.feature_gate_item.weight, self.feature_gate_user.weight, self.feature_gate_user.bias),
            instance_gate=(self.instance_gate_item, self.instance_gate_user),
            weighted_mean=config.pooling == "gate_avg",
            item_item_product=config.item_item_product,
        )

    def encode_windows(
        self, user: Float[Tensor, "B 1 d"], item: Float[Tensor, "B P d"], valid: Float[Tensor, "B C L"]
    ) -> Float[Tensor, "B c d"]:
        """s of each window; `valid` is 1 at items and 0 at padding."""
        config = self.config
        if config.window_encoder == "none":
            return torch.zeros_like(user)
        if config.window_encoder == "gru":
            return self.window_encoder(item, valid)
        if config.window_encoder == "cnn":
            return self.window_encoder(item)
        gated, weight = item, valid
        if config.feature_gate:
            gate = self.feature_gate_item(item).add_(self.feature_gate_user(user)).sigmoid_()  # (1): (B, P, d)
            record("feature gate", lambda: gate.transpose(1, 2))
            gated = item * gate
        if config.instance_gate:
            logit = (gated @ self.instance_gate_item).unfold(1, config.window, 1)  # (B, C, L)
            weight = valid * torch.sigmoid(logit + user @ self.instance_gate_user)  # (2): (B, C, L)
            record("instance gate", weight)
        if config.pooling == "max":
            return self.max_pool(gated, weight, valid)  # (4)
        if config.pooling == "gate_max":
            share = weight * nn.functional.one_hot(weight.argmax(2), config.window)  # (B, C, L)
        else:
            total = (weight if config.pooling == "gate_avg" else valid).sum(2, keepdim=True)  # (B, C, 1)
            share = weight / total.clamp(min=1e-12)  # (3)
        return windows_to_positions(share) @ gated  # (B, C, d)

    def max_pool(
        self, gated: Float[Tensor, "B P d"], weight: Float[Tensor, "B C L"], valid: Float[Tensor, "B C L"]
    ) -> Float[Tensor, "B C d"]:
        """The maximum over each window, element by element; zeros where a window is padding alone."""
        values = gated.unfold(1, self.config.window, 1) * weight.unsqueeze(2)  # (B, C, d, L)
        values = values.masked_fill(valid.unsqueeze(2) == 0, -torch.inf)
        return values.amax(3).nan_to_num(neginf=0.0)
