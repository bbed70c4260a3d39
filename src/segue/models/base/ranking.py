"""`RankingModel`: a retriever that is trained to rank what came next, by any loss.

A model of this kind says how a history becomes a query (`queries`) and which table the queries are held against
(`item_table`); what the loss makes of them is written here once, since it decides as much as the architecture does.

                        own negatives (B C T G)       shared negatives (S)         all items
                        bpr bce gbce sampled-ce       these, top1 top1-max bpr-max ce
    drawn from          what the user never touched   items, with count^alpha      -
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.negative_sampling import PopularityNegatives
from segue.config import Field
from segue.data.log import Log
from segue.errors import require
from segue.models.base.model import DotProductModel, GradientModel, GradientModelConfig, Sizes
from segue.nn import losses
from segue.nn.embedding import embedding
from segue.nn.sampled_loss import LossWithGrad, loss_with_autograd, sampled_loss
from segue.nn.sliding_windows import positions_to_windows
from segue.nn.softmax_loss import all_items_cross_entropy

Loss = Literal["bpr", "bce", "gbce", "ce", "sampled-ce", "top1", "top1-max", "bpr-max"]


class RankingConfig(GradientModelConfig):
    """Settings of models that are trained to rank."""

    renamed: ClassVar[dict[str, str]] = {
        "negatives": "num_negatives",
        "sampling": "negative_sampling",
        "alpha": "sample_alpha",
        "correction": "logq_correction",
        "calibration": "gbce_t",
        "penalty": "bpreg",
    }
    min_num_negatives: ClassVar[int] = 1  # 0 for models that have other negatives as well
    embedding_dim: int = Field(64, ge=1, description="Size d of the embeddings.")
    loss: Loss = Field("ce", description="Loss function; see `segue.nn.losses`.")
    num_negatives: int = Field(
        1, description="Number of sampled negatives of each target, or of each batch if they are shared; ce uses none."
    )
    negative_sampling: Literal["per_target", "shared"] = Field(
        "per_target",
        description=(
            "How negatives are sampled. per_target: for each target, uniformly from the items without an event of its "
            "user. shared: once for each batch, by popularity, for all of its targets."
        ),
    )
    sample_alpha: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Shared negatives are sampled in proportion to (number of events of the item)^alpha.",
    )
    logq_correction: bool = Field(
        True, description="Whether sampled-ce subtracts the logarithm of the expected count of each negative (logQ)."
    )
    gbce_t: float = Field(
        0.75, ge=0, le=1, description="Calibration parameter t of gbce, from 0 (equal to bce) to 1 (fully calibrated)."
    )
    bpreg: float = Field(1.0, ge=0, description="Weight of the penalty of bpr-max on high scores of negatives.")
    temperature: float = Field(
        0.0, ge=0, description="Scores are cosine similarities divided by this temperature; 0 for plain dot products."
    )

    def check(self) -> None:
        super().check()
        require(
            self.num_negatives >= self.min_num_negatives,
            f"num_negatives={self.num_negatives}: must be at least {self.min_num_negatives}",
        )

    @property
    def negatives_per_target(self) -> int:
        """G, the number of negatives sampled for each target; 0 with shared negatives or without any."""
        return self.num_negatives if self.loss != "ce" and self.negative_sampling == "per_target" else 0


class RankingModel(GradientModel, DotProductModel):
    """Queries held against a table of items."""

    config: RankingConfig

    def __init__(self, config: RankingConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)

    @abstractmethod
    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """What each question of the batch looks for."""

    @property
    @abstractmethod
    def item_table(self) -> Float[Tensor, "I d"]:
        """The vectors of items 0..I (I + 1 rows) as they are learnt; row 0 is padding."""

    def with_shared(
        self, batches: Iterator[SequenceBatch], log: Log, rng: np.random.Generator
    ) -> Iterator[SequenceBatch]:
        """`batches`, each with its shared negatives, where the loss asks for any."""
        config = self.config
        if config.loss == "ce" or config.negative_sampling == "per_target":
            yield from batches
            return
        popular = PopularityNegatives(log.counts(), config.sample_alpha)
        log_expected_count = torch.from_numpy(popular.log_expected_count(config.num_negatives))
        for batch in batches:
            shared = torch.from_numpy(popular.draw(config.num_negatives, rng))
            yield replace(batch, shared_negatives=shared, log_expected_count=log_expected_count)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return self.ranked(self.queries(batch), batch)

    def ranked(self, queries: Float[Tensor, "B C d"], batch: SequenceBatch) -> Float[Tensor, ""]:
        """The loss of `queries`, summed over the targets of the batch."""
        query = self._scaled(queries)
        if self.config.loss != "ce" and batch.shared_negatives is None:
            return self._own(query, batch)
        wanted = batch.targets.flatten()
        found = wanted.nonzero().squeeze(1)
        target, query = wanted, query.flatten(0, 1)
        if len(found) < len(wanted) or batch.targets.shape[2] > 1:
            target, query = wanted[found], query.index_select(0, found // batch.targets.shape[2])  # n, n d
        if batch.shared_negatives is None:
            return self._among_all(query, target)
        vectors, shared = self._items(batch.shared_negatives), batch.shared_negatives
        own = None if torch.equal(shared[: len(target)], target) else self._items(target)
        return sampled_loss(query, own, vectors, (target, shared), self._loss_with_grad(batch))

    def _among_all(self, query: Float[Tensor, "n d"], target: Int[Tensor, "n"]) -> Float[Tensor, ""]:
        """Cross-entropy over all items, summed over the targets."""
        return all_items_cross_entropy(query, self.item_vectors(), target)

    def _own(self, query: Float[Tensor, "B C d"], batch: SequenceBatch) -> Float[Tensor, ""]:
        target = self._items(batch.target)  # B R d
        if batch.target.shape[1] == query.shape[1]:
            positive = (query * target).sum(-1, keepdim=True)  # B C 1
        else:
            positive = positions_to_windows(query @ target.transpose(1, 2))  # B C T
        negative = (self._items(batch.negatives) * query[:, :, None, None]).sum(-1)  # B C T G
        asked = batch.targets > 0
        known = asked.unsqueeze(3) & (batch.negatives > 0)
        return (self._loss(positive, negative, known, batch) * asked).sum()

    def _loss(
        self,
        positive: Float[Tensor, "*n"],
        negative: Float[Tensor, "*n G"],
        known: Bool[Tensor, "*n G"],
        batch: SequenceBatch,
    ) -> Float[Tensor, "*n"]:
        """The loss of each target."""
        config = self.config
        if config.loss == "bpr-max":
            return losses.bpr_max(positive, negative, known, config.bpreg)
        if config.loss == "gbce":
            beta = losses.gbce_beta(config.num_negatives, self.sizes.num_items, config.gbce_t)
            return losses.bce(positive, negative, known, beta)
        if config.loss == "sampled-ce" and config.logq_correction:
            negative = negative - self._expected(negative, batch)
        plain = {
            "bpr": losses.mean_bpr,
            "bce": losses.bce,
            "top1": losses.top1,
            "top1-max": losses.top1_max,
            "sampled-ce": losses.sampled_cross_entropy,
        }
        return plain[config.loss](positive, negative, known)

    def _loss_with_grad(self, batch: SequenceBatch) -> LossWithGrad:
        """The loss of targets among shared negatives, with its derivatives."""
        config = self.config
        if config.loss not in losses.GRADIENTS:
            return loss_with_autograd(lambda positive, negative, known: self._loss(positive, negative, known, batch))
        if config.loss == "bpr-max":
            return partial(losses.bpr_max_with_grad, bpreg=config.bpreg)
        loss_with_grad = losses.GRADIENTS[config.loss]
        if config.loss == "sampled-ce" and config.logq_correction:
            return lambda positive, negative, false_negatives: loss_with_grad(
                positive, negative.sub_(self._expected(negative, batch)), false_negatives
            )
        return loss_with_grad

    def _expected(self, like: Tensor, batch: SequenceBatch) -> Float[Tensor, "*G"]:
        """Logarithm of how often each negative is expected among those drawn."""
        if (
            batch.shared_negatives is None or batch.log_expected_count is None
        ):  # drawn all alike from what is not the target
            return like.new_full((), float(np.log(self.config.num_negatives / max(self.sizes.num_items - 1, 1))))
        return batch.log_expected_count[batch.shared_negatives].to(like.dtype)

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        assert self.window is not None
        read = Batch(batch.user, batch.last_items(self.window))
        if len(read) <= self.rows_at_once:
            return self._scaled(self.queries(read)[:, -1])
        order = (read.history > 0).sum(1).argsort()  # so that rows at once are of alike length
        parts = Batch(read.user[order], read.history[order]).slices(self.rows_at_once)
        return torch.cat([self._scaled(self.queries(part)[:, -1]) for part in parts])[order.argsort()]

    def item_vectors(self) -> Float[Tensor, "I d"]:
        return nn.functional.normalize(self.item_table, dim=1) if self.config.temperature else self.item_table

    def _items(self, ids: Tensor) -> Tensor:
        vectors = embedding(self.item_table, ids)
        return nn.functional.normalize(vectors, dim=-1) if self.config.temperature else vectors

    def _scaled(self, query: Tensor) -> Tensor:
        tau = self.config.temperature
        return nn.functional.normalize(query, dim=-1) / tau if tau else query
