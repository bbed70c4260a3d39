"""`PairScorer`: a model that is asked about (user, item, time), and says which rating comes of it.

                 a retriever                        a pairwise model
    fed          histories, what came next          rated events, with what both sides had met before: `RatedEvents`
    taught       any loss of ranking                (r~ - r)^2, summed
    asked        `query` . `item_vectors`           `predict`: one rating a row of the batch

`score` asks it about every item, so a pairwise model ranks, recommends, is saved and obeys the laws like any other.
`RatingModel` is one that gradients teach, `BiasedRatingModel` one that starts from biases, `DotProductRating` a model
whose rating is a dot product.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch, PairBatch, RatingBatch
from segue.batches.rated_events import RatedEvents
from segue.config import Field
from segue.data.log import Log
from segue.errors import ConfigError
from segue.models.base.bias_solver import solve_biases
from segue.models.base.model import DotProductModel, GradientModel, GradientModelConfig, Model, Sizes

PAIRS = 1 << 16  # predicted at a time where all items are asked about


class PairScorer(Model):
    """A model of ratings.

    Attributes:
        item_window: how many users of an item's history it reads, the newest; None for all of them.
    """

    task = "rating"
    scores_pairs: ClassVar[bool] = True
    item_window: int | None = 0

    @staticmethod
    def within(model: Model) -> PairScorer:
        """The rating model that a model is, or that its last stage is.

        Raises:
            ConfigError: there is none.
        """
        last = model.parts[-1] if model.parts else model
        if not isinstance(last, PairScorer):
            raise ConfigError(f"{last.name}: ranks items and predicts no rating; explain it without an item")
        return last

    @abstractmethod
    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        """The ratings that the users are expected to give the items of their rows. Where the batch has no item
        histories or no times, the model takes those at the end of its training log."""

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        if items is None:
            items = torch.arange(self.sizes.num_items + 1, device=batch.user.device)
        # whoever is asked about all at once is asked about item 0 too, and what is said of it is dropped
        ratings = [self._of_all(part, items) for part in batch.slices(max(1, PAIRS // max(len(items), 1)))]
        scores = torch.cat(ratings)
        scores[:, items == 0] = -torch.inf
        return scores

    def _of_all(self, batch: Batch, items: Int[Tensor, "K"]) -> Float[Tensor, "B K"]:
        every = torch.arange(len(batch), device=items.device).repeat_interleave(len(items))
        time = None if batch.time is None else batch.time[every]
        pairs = PairBatch(batch.user[every], batch.history[every], items.repeat(len(batch)), time=time)
        return self.predict(pairs).view(len(batch), len(items))


class RatingModel(GradientModel, PairScorer):
    """A pairwise model that gradients teach to predict ratings, by the squared error: equation (13) of IARN."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[RatingBatch]:
        pairs = RatedEvents.from_log(log)
        return pairs.batches(self.config.batch_size, rng, window=self.window, item_window=self.item_window)

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
    """A pairwise model whose rating is a dot product of a query and an item vector."""

    scores_pairs: ClassVar[bool] = False

    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        return (self.query(batch) * self.item_vectors()[batch.item]).sum(-1)
