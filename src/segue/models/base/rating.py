"""`PairScorer`: base class of models that predict the rating of a (user, item, time) triple.

The input is a batch of rated events, each with the earlier history of its user and of its item (`RatedEvents`). The
loss is the squared error of the ratings. `predict` returns one rating per row. `score` calls it for every item, so
rating models rank, recommend and are saved like all other models.

    PairScorer          the base class
    RatingModel         is trained by gradient descent on the squared error
    BiasedRatingModel   starts from the mean and the biases in closed form, and learns a residual
    DotProductRating    predicts the dot product of a query and an item vector
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import AnyBatch, Batch, PairBatch, RatingBatch
from segue.batches.gaps import close_gaps
from segue.batches.rated_events import RatedEvents
from segue.config import Field
from segue.data.log import Log
from segue.errors import ConfigError
from segue.models.base.bias_solver import solve_biases
from segue.models.base.gradient_config import GradientModelConfig
from segue.models.base.model import DotProductModel, GradientModel, Model, Sizes

MAX_PAIRS = 1 << 16  # pairs predicted at a time when all items are scored


class PairScorer(Model):
    """Base class of models that predict the rating of (user, item) pairs.

    Attributes:
        item_window: number of most recent users that `predict` reads of an item's history; None reads all of them.
    """

    task = "rating"
    scores_pairs: ClassVar[bool] = True
    item_window: int | None = 0

    @staticmethod
    def rating_stage_of(model: Model) -> PairScorer:
        """The rating model that a model is, or that its last stage is.

        Raises:
            ConfigError: there is none.
        """
        last = model.parts[-1] if model.parts else model
        if not isinstance(last, PairScorer):
            raise ConfigError(f"{last.name}: ranks items and predicts no rating; explain it without an item")
        return last

    def readable(self, batch: AnyBatch) -> AnyBatch:
        batch = super().readable(batch)
        if isinstance(batch, PairBatch) and batch.item_history is not None:
            users = batch.item_history
            if self.item_window is not None:
                users = users[:, max(0, users.shape[1] - self.item_window) :]
            if self.skips_padding != "anywhere":
                users = close_gaps(users, keep_inner=self.skips_padding == "inside")
            batch = replace(batch, item_history=users)
        return batch

    @abstractmethod
    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        """The predicted rating of each pair.

        If the batch has no times or no item histories, those at the end of the training log are used.
        """

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        if items is None:
            items = torch.arange(self.sizes.num_items + 1, device=batch.user.device)
        rows = max(1, MAX_PAIRS // max(len(items), 1))
        scores = torch.cat([self._predict_all(part, items) for part in batch.slices(rows)])
        # all items include the padding item 0; its score is overwritten with -inf
        scores[:, items == 0] = -torch.inf
        return scores

    def _predict_all(self, batch: Batch, items: Int[Tensor, "K"]) -> Float[Tensor, "B K"]:
        """The predicted ratings of all of `items` by each user."""
        row = torch.arange(len(batch), device=items.device).repeat_interleave(len(items))  # (B K,)
        time = None if batch.time is None else batch.time[row]
        pairs = PairBatch(batch.user[row], batch.history[row], items.repeat(len(batch)), time=time)
        return self.predict(pairs).view(len(batch), len(items))


class RatingModel(GradientModel, PairScorer):
    """Base class of rating models that are trained by gradient descent on the squared error (equation 13 of IARN)."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[RatingBatch]:
        events = RatedEvents.from_log(log)
        return events.batches(self.config.batch_size, rng, window=self.window, item_window=self.item_window)

    def forward(self, batch: RatingBatch) -> Float[Tensor, ""]:
        predicted = self.predict(batch)
        return (predicted - batch.rating.to(predicted)).square().sum()


class BiasedRatingConfig(GradientModelConfig):
    """Settings of rating models that start from biases."""

    l2_user: float = Field(5.0, ge=0, description="Weight of the L2 penalty on the user biases.")
    l2_item: float = Field(10.0, ge=0, description="Weight of the L2 penalty on the item biases.")


class BiasedRatingModel(RatingModel):
    """A rating model that starts from a global mean and biases in closed form, and learns a residual on top of them.

    L2 penalties apply once per user (item), not once per rating. Each rating therefore carries 1 / (number of ratings
    of its user) of the user's penalty, so that batches add up to the full objective; likewise for items.

    Attributes:
        mean: mean of the ratings.
        user_bias: (U + 1,) biases of the users.
        item_bias: (I + 1,) biases of the items.
        user_penalty_weight: (U + 1,) 1 / (number of ratings of each user).
        item_penalty_weight: (I + 1,) 1 / (number of ratings of each item).
        training_log: the log of the last call of `rated_events`.
    """

    config: BiasedRatingConfig
    window = 0
    mean: Tensor
    user_bias: Tensor
    item_bias: Tensor
    user_penalty_weight: Tensor
    item_penalty_weight: Tensor

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.register_buffer("mean", torch.zeros(()))
        for side, count in (("user", sizes.num_users + 1), ("item", sizes.num_items + 1)):
            self.register_buffer(f"{side}_bias", torch.zeros(count))
            self.register_buffer(f"{side}_penalty_weight", torch.zeros(count), persistent=False)
        self.training_log: Log | None = None

    def rated_events(self, log: Log) -> RatedEvents:
        """The rated events of a log. The first call with a log also fits what is not trained by gradient descent."""
        events = RatedEvents.from_log(log)
        if self.training_log is not log:
            self.fit_statistics(events)
            self.training_log = log
        return events

    def fit_statistics(self, events: RatedEvents) -> None:
        """Set what is not trained by gradient descent: the mean, the biases and the weights of the penalties.

        Subclasses add what else they compute from the log alone.
        """
        mean, *both = solve_biases(events, {"item": self.config.l2_item, "user": self.config.l2_user})
        self.mean.fill_(mean)
        for side, key, bias in zip(("user", "item"), (events.user, events.item), both, strict=True):
            getattr(self, f"{side}_bias").copy_(torch.from_numpy(bias))
            count = np.bincount(key, minlength=len(bias))
            getattr(self, f"{side}_penalty_weight").copy_(torch.from_numpy(1 / np.maximum(count, 1)))


class DotProductRating(DotProductModel, PairScorer):
    """Base class of rating models whose rating is the dot product of a query and an item vector."""

    scores_pairs: ClassVar[bool] = False

    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        return (self.query(batch) * self.item_vectors()[batch.item]).sum(-1)
