"""`RankingModel`: base class of models that are trained to rank the next item, with any of the losses.

A subclass computes the queries of a batch (`queries`) and has item embeddings (`item_embeddings`). The loss of these
queries is implemented here (`ranking_loss`), so that models can be compared under the same loss.

    negatives                   loss                                            sampled from
    per_target  (B, C, T, G)    any but ce                                      items new to the user, uniformly
    impressions (B, C, T, G)    any but ce and gbce                             those shown with the target, uniformly
    shared      (S,)            any but ce; usual for top1, bpr-max, sampled-ce all items, ~ count^sample_alpha
    none                        ce, which compares a target with all items      -

With item features (`segue.models.base.encoded_items`), an item without an event in training is no negative: training
learns nothing about it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
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
from segue.models.base.encoded_items import EncodedItems, EncodedItemsConfig
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import Sizes
from segue.nn import losses
from segue.nn.compiled.loop import overrides
from segue.nn.compiled.loops import target_loss
from segue.nn.embedding import embedding
from segue.nn.sampled_loss import LossWithGrad, loss_with_autograd, sampled_loss
from segue.nn.sliding_windows import positions_to_windows
from segue.nn.softmax_loss import all_items_cross_entropy

Loss = Literal["bpr", "bce", "gbce", "ce", "sampled-ce", "top1", "top1-max", "bpr-max"]

ITEMS_PER_LOOKUP = 24  # items that a product of matrices scores in the time that it takes to look up one vector


class RankingConfig(EventWeightsConfig, EncodedItemsConfig):
    """Settings of models that are trained to rank."""

    renamed: ClassVar[dict[str, str]] = {
        "negatives": "num_negatives",
        "sampling": "negative_sampling",
        "alpha": "sample_alpha",
        "correction": "logq_correction",
        "calibration": "gbce_t",
        "penalty": "bpreg",
    }
    renamed_values: ClassVar[dict[str, dict[str, str]]] = {"negative_sampling": {"own": "per_target"}}
    min_num_negatives: ClassVar[int] = 1  # 0 for models that have other negatives as well
    embedding_dim: int = Field(64, ge=1, description="Size d of the embeddings.")
    loss: Loss = Field("ce", description="Loss function; see `segue.nn.losses`.")
    num_negatives: int = Field(
        1, description="Number of sampled negatives of each target, or of each batch if they are shared; ce uses none."
    )
    negative_sampling: Literal["per_target", "shared", "impressions"] = Field(
        "per_target",
        description=(
            "How negatives are sampled. per_target: for each target, uniformly from the items without an event of its "
            "user. shared: once for each batch, by popularity, for all of its targets. impressions: as per_target, of "
            "the items that were shown with the target, if there are any; the log must have impressions."
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

        if self.draws_from_shown:
            is_corrected = self.loss == "sampled-ce" and self.logq_correction
            require(
                self.loss not in ("ce", "gbce") and not is_corrected,
                f"negative_sampling=impressions: loss={self.loss} compares a target with all items; choose bpr, bce, "
                "top1, bpr-max, or sampled-ce with logq_correction=false",
            )

    @property
    def draws_from_shown(self) -> bool:
        """Whether negatives are drawn from the items that were shown with a target."""
        return self.negative_sampling == "impressions"

    @property
    def negatives_per_target(self) -> int:
        """G, the number of negatives sampled for each target; 0 with shared negatives or without any."""
        return self.num_negatives if self.loss != "ce" and self.negative_sampling != "shared" else 0


class RankingModel(EncodedItems):
    """Base class of models that are trained to rank: queries, item vectors and the ranking loss."""

    config: RankingConfig

    def __init__(self, config: RankingConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)

    @abstractmethod
    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query vectors of the batch, C for each row."""

    def with_shared_negatives(
        self, batches: Iterator[SequenceBatch], log: Log, rng: np.random.Generator
    ) -> Iterator[SequenceBatch]:
        """`batches` with shared negatives, if the settings use them; features are read first."""
        self.read_features(log)
        config = self.config
        if config.loss == "ce" or config.negative_sampling != "shared":
            yield from batches
            return
        popular = PopularityNegatives(log.counts(), config.sample_alpha)
        log_expected_count = torch.from_numpy(popular.log_expected_count(config.num_negatives))
        for batch in batches:
            shared = torch.from_numpy(popular.draw(config.num_negatives, rng))
            yield replace(batch, shared_negatives=shared, log_expected_count=log_expected_count)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        return self.ranking_loss(self.queries(batch), batch)

    def ranking_loss(self, queries: Float[Tensor, "B C d"], batch: SequenceBatch) -> Float[Tensor, ""]:
        """The loss of the queries, summed over the targets of the batch."""
        query, batch = self._scaled(queries), self.without_cold_negatives(batch)
        if self.config.loss != "ce" and batch.shared_negatives is None:
            return self._per_target_loss(query, batch)
        target, query = batch.targets.flatten(), query.flatten(0, 1)  # (B C T,), (B C, d)
        index = target.nonzero().squeeze(1)
        if len(index) < len(target) or batch.targets.shape[2] > 1:
            target, query = target[index], query.index_select(0, index // batch.targets.shape[2])  # (n,), (n, d)
        if batch.shared_negatives is None:
            return self._all_items_loss(query, *self._softmax_items(target))
        shared = batch.shared_negatives  # (S,)
        vectors = self._item_vectors_of(shared)  # (S, d)
        target_vectors = None if torch.equal(shared[: len(target)], target) else self._item_vectors_of(target)
        return sampled_loss(query, target_vectors, vectors, (target, shared), self._loss_with_grad(batch))

    def _all_items_loss(
        self, query: Float[Tensor, "n d"], vectors: Float[Tensor, "I d"], target: Int[Tensor, "n"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy over all items, of which row 0 of `vectors` is none, summed over the targets."""
        return all_items_cross_entropy(query, vectors, target)

    def _softmax_items(self, target: Int[Tensor, "n"]) -> tuple[Float[Tensor, "I d"], Int[Tensor, "n"]]:
        """The vectors of the items that targets are compared with, and the rows of the targets among them.

        With features, they are the items of the training alone, after the row of padding.
        """
        vectors = self.item_vectors()
        if self.features is None or bool(self.features.trained[1:].all()):
            return vectors, target
        trained = self.features.trained
        kept = torch.cat([trained.new_ones(1), trained[1:]])  # (I + 1,)
        return vectors[kept], (kept.cumsum(0) - 1)[target]

    def _per_target_loss(self, query: Float[Tensor, "B C d"], batch: SequenceBatch) -> Float[Tensor, ""]:
        compiled = self._compiled_loss()
        if compiled is not None:
            return compiled(query, self.item_embeddings, batch.targets, batch.negatives)
        target = self._item_vectors_of(batch.target)  # (B, R, d)
        if batch.target.shape[1] == query.shape[1]:
            positive = (query * target).sum(-1, keepdim=True)  # (B, C, 1)
        else:
            positive = positions_to_windows(query @ target.transpose(1, 2))  # (B, C, T)
        negative = self._own_negative_scores(query, batch.negatives)  # (B, C, T, G)
        target_mask = batch.targets > 0  # (B, C, T)
        negative_mask = target_mask.unsqueeze(3) & (batch.negatives > 0)  # (B, C, T, G)
        return (self._loss(positive, negative, negative_mask, batch) * target_mask).sum()

    def _own_negative_scores(
        self, query: Float[Tensor, "B C d"], negatives: Int[Tensor, "B C T G"]
    ) -> Float[Tensor, "B C T G"]:
        """The scores of the negatives that each target has for itself."""
        num_own = negatives.shape[2] * negatives.shape[3]
        has_plain_vectors = self.features is None and not overrides(self, RankingModel, "_item_vectors_of")
        if has_plain_vectors and self.sizes.num_items < ITEMS_PER_LOOKUP * num_own:
            scores = query @ self.item_vectors().T  # (B, C, I + 1)
            return scores.gather(2, negatives.flatten(2).long()).view(negatives.shape)
        return (self._item_vectors_of(negatives) * query[:, :, None, None]).sum(-1)

    def _compiled_loss(self) -> Callable[..., Tensor] | None:
        """The loss of targets and their own negatives as a compiled loop; None if there is none, or it cannot pay."""
        config = self.config
        if config.temperature or self.features is not None or config.loss not in ("bpr", "bce", "gbce"):
            return None
        if overrides(self, RankingModel, "_loss", "_item_vectors_of"):
            return None
        loop = target_loss.for_training(self.item_embeddings)
        return loop and partial(loop, pairwise=config.loss == "bpr", beta=self._beta)

    @property
    def _beta(self) -> float:
        """The weight of the target in binary cross-entropy."""
        config = self.config
        return (
            losses.gbce_beta(config.num_negatives, self.sizes.num_items, config.gbce_t)
            if config.loss == "gbce"
            else 1.0
        )

    def _loss(
        self,
        positive: Float[Tensor, "*n"],
        negative: Float[Tensor, "*n G"],
        negative_mask: Bool[Tensor, "*n G"],
        batch: SequenceBatch,
    ) -> Float[Tensor, "*n"]:
        """The loss of each target."""
        config = self.config
        if config.loss == "bpr-max":
            return losses.bpr_max(positive, negative, negative_mask, config.bpreg)
        if config.loss == "gbce":
            return losses.bce(positive, negative, negative_mask, self._beta)
        if config.loss == "sampled-ce" and config.logq_correction:
            negative = negative - self._log_expected_count(negative, batch)
        plain = {
            "bpr": losses.mean_bpr,
            "bce": losses.bce,
            "top1": losses.top1,
            "top1-max": losses.top1_max,
            "sampled-ce": losses.sampled_cross_entropy,
        }
        return plain[config.loss](positive, negative, negative_mask)

    def _loss_with_grad(self, batch: SequenceBatch) -> LossWithGrad:
        """The loss of targets among shared negatives, with its gradients."""
        config = self.config
        if config.loss not in losses.GRADIENTS:
            return loss_with_autograd(lambda positive, negative, mask: self._loss(positive, negative, mask, batch))
        if config.loss == "bpr-max":
            return partial(losses.bpr_max_with_grad, bpreg=config.bpreg)
        if config.loss == "gbce":
            return partial(losses.bce_with_grad, beta=self._beta)
        loss_with_grad = losses.GRADIENTS[config.loss]
        if config.loss == "sampled-ce" and config.logq_correction:
            return lambda positive, negative, false_negatives: loss_with_grad(
                positive, negative.sub_(self._log_expected_count(negative, batch)), false_negatives
            )
        return loss_with_grad

    def _log_expected_count(self, like: Tensor, batch: SequenceBatch) -> Float[Tensor, "*G"]:
        """Logarithm of the expected number of draws of each negative, in the dtype of `like`."""
        if batch.shared_negatives is None or batch.log_expected_count is None:  # uniform over all items but the target
            return like.new_full((), float(np.log(self.config.num_negatives / max(self.sizes.num_items - 1, 1))))
        return batch.log_expected_count[batch.shared_negatives].to(like.dtype)

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        assert self.window is not None
        cut = batch.last_events(self.window)
        # without the targets of a training batch
        cut = Batch(cut.user, cut.history, time=cut.time, **cut.of_events)
        if len(cut) <= self.micro_batch_size:
            return self._scaled(self.queries(cut)[:, -1])
        order = (cut.history > 0).sum(1).argsort()  # rows of similar length are computed together
        parts = cut.take(order).slices(self.micro_batch_size)
        return torch.cat([self._scaled(self.queries(part)[:, -1]) for part in parts])[order.argsort()]

    def item_vectors(self) -> Float[Tensor, "I d"]:
        return nn.functional.normalize(self.item_embeddings, dim=1) if self.config.temperature else self.item_embeddings

    def _item_vectors_of(self, ids: Tensor) -> Tensor:
        has_features = self.features is not None
        vectors = self.encoded(self.output_table, ids) if has_features else embedding(self.item_embeddings, ids)
        return nn.functional.normalize(vectors, dim=-1) if self.config.temperature else vectors

    def _scaled(self, query: Tensor) -> Tensor:
        tau = self.config.temperature
        return nn.functional.normalize(query, dim=-1) / tau if tau else query
