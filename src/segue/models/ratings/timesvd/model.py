"""TimeSVD++: matrix factorisation whose user and item terms change over time.

    r~_ui(t) = mu + (b_i + b_{i,Bin(t)}) (c_u + c_{u,t})
                  + b_u + alpha_u dev_u(t) + b_{u,t}
                  + q_i . (p_u + a_u dev_u(t) + p_{u,t} + |R(u)|^-1/2 sum over R(u) of y_j)
    dev_u(t) = sign(t - t_u) |t - t_u|^beta

t is a day, t_u the mean day of the user's ratings, and R(u) the items that the user rated in training. Bin(t) divides
the days of training into bins of equal length; later days belong to the last bin. A term with the index (u, t) belongs
to one day of one user; on other days it is 0. Without a time, t is the last day of training.

    minimise  sum (r - r~)^2 + l2 sum (|p_u|^2 + |q_i|^2 + |y_i|^2) + l2_user sum b_u^2 + l2_item sum b_i^2
              + l2_time sum (b_{i,Bin}^2 + (c_u - 1)^2 + alpha_u^2 + |a_u|^2)
              + l2_day sum (b_{u,t}^2 + c_{u,t}^2 + |p_{u,t}|^2)

Training starts at the bias model: b_u and b_i have their closed form (`bias_solver`), c_u is 1, and all other terms are
0 or near 0. alpha_u and a_u are in units of the largest deviation, (last - first day)^beta, so that settings do not
depend on the length of the log. Each batch comes from a block of `USER_BLOCK` batches of the same users, and y is
summed once per user of a batch; batches of the whole log would spend most of their time on these sums.

The preset `paper` has the terms of single days. By default they are left out: days after training have none, and what
they learn about users with few rating days is lost there.

Source: Koren, "Collaborative filtering with temporal dynamics", KDD 2009, sections 3 and 4. beta and the number of bins
are those of IARN's paper. LibRec's program has two errors that this one does not copy: it converts t_u to days twice,
so that dev has no meaning, and it initialises c_u near 0 instead of 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, PairBatch, RatingBatch
from segue.batches.rated_events import RatedEvents
from segue.config import Field
from segue.data.log import Log, ranges
from segue.models.base.model import Sizes
from segue.models.base.rating import BiasedRatingConfig, BiasedRatingModel
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.ratings.timesvd.calendar import Calendar, TimeFeatures
from segue.nn.embedding import embedding, zero_padding

USER_BLOCK = 64  # batches that share their users


class TimeSVDConfig(BiasedRatingConfig):
    """Settings of TimeSVD++."""

    embedding_dim: int = Field(20, ge=1, description="Size of the user and item vectors.")
    beta: float = Field(0.4, gt=0, description="Exponent of the distance from the user's mean day.")
    num_bins: int = Field(30, ge=1, description="Number of bins of equal length for the days of training.")
    days_per_user: int = Field(
        0,
        ge=0,
        description=(
            "Number of days per user, on average, that have terms of their own. The days with the most ratings come "
            "first, and a day needs at least two ratings. 0 leaves these terms out."
        ),
    )
    l2: float = Field(10.0, ge=0, description="Weight of the L2 penalty on the vectors.")
    l2_time: float = Field(50.0, ge=0, description="Weight of the L2 penalty on the terms that change over time.")
    l2_day: float = Field(20.0, ge=0, description="Weight of the L2 penalty on the terms of single days.")
    lr: float = 0.0025
    renamed: ClassVar[dict[str, str]] = {"bins": "num_bins", "days": "days_per_user"}


class UserTerms(NamedTuple):
    """The parameters of the users and days of B ratings.

    Attributes:
        bias: (B, 3) additions to b_u and to c_u - 1, and alpha_u.
        vector: (B, d) p_u.
        drift: (B, d) a_u.
        day: (B, d + 2) p_{u,t}, b_{u,t} and c_{u,t}.
    """

    bias: Tensor
    vector: Tensor
    drift: Tensor
    day: Tensor


class ItemTerms(NamedTuple):
    """The parameters of the items of B ratings.

    Attributes:
        vector: (B, d) q_i.
        bias: (B, bins + 1) b_{i,Bin}, then the addition to b_i.
    """

    vector: Tensor
    bias: Tensor


class UserState(NamedTuple):
    """The user's part of a prediction: level + scale (b_i + b_{i,Bin}) + vector . q_i.

    Attributes:
        level: (B,)
        scale: (B,)
        vector: (B, d)
    """

    level: Tensor
    scale: Tensor
    vector: Tensor


class TimeSVD(BiasedRatingModel):
    """Matrix factorisation with biases, implicit feedback and terms that change over time."""

    name = "timesvd++"
    Config = TimeSVDConfig
    config: TimeSVDConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"days_per_user": 2}}
    space: ClassVar[Space] = {
        "embedding_dim": Choice(10, 20, 50),
        "lr": LogUniform(1e-3, 1e-2),
        "l2": LogUniform(2.0, 100.0),
        "l2_time": LogUniform(2.0, 500.0),
    }
    day_terms: Tensor
    user_implicit: Tensor

    def __init__(self, config: TimeSVDConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        users, items, dim, capacity = (
            sizes.num_users + 1,
            sizes.num_items + 1,
            config.embedding_dim,
            config.days_per_user * sizes.num_users,
        )
        self.calendar = Calendar(sizes.num_users, config.beta, config.num_bins, capacity)
        self.user_bias_terms = nn.Parameter(torch.zeros(users, 3))
        self.user_factors = nn.Parameter(torch.randn(users, dim).mul_(0.01))
        self.user_drift = nn.Parameter(torch.zeros(users, dim))
        day = torch.zeros(capacity + 1, dim + 2)
        if capacity:
            self.day_terms = nn.Parameter(day)
        else:
            self.register_buffer("day_terms", day, persistent=False)
        self.item_factors = nn.Parameter(torch.randn(items, dim).mul_(0.1))  # q
        self.implicit_factors = nn.Parameter(torch.zeros(items, dim))  # y
        self.item_bias_terms = nn.Parameter(torch.zeros(items, config.num_bins + 1))  # b_{i,Bin}, addition to b_i
        zero_padding(self.user_factors)
        zero_padding(self.item_factors)
        self.register_buffer("user_implicit", torch.zeros(users, dim))  # sums of y at the end of an epoch

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[RatingBatch]:
        events, batch_size = self.rated_events(log), self.config.batch_size
        order, end = rng.permutation(log.num_users + 1), log.lengths.cumsum()
        by_user = ranges((end - log.lengths)[order], end[order])
        for first in range(0, len(by_user), USER_BLOCK * batch_size):
            index = rng.permutation(by_user[first : first + USER_BLOCK * batch_size])
            for begin in range(0, len(index), batch_size):
                yield events.batch(index[begin : begin + batch_size])
        with torch.no_grad():
            self.user_implicit.copy_(
                self._implicit_sums(torch.arange(log.num_users + 1, device=self.implicit_factors.device))
            )

    def fit_statistics(self, events: RatedEvents) -> None:
        super().fit_statistics(events)
        self.calendar.fit(events)

    def forward(self, batch: RatingBatch) -> Float[Tensor, ""]:
        item, time = batch.item, self.calendar(batch.user, batch.time)
        user, index = batch.user.unique(return_inverse=True)  # (n,), (B,)
        user_terms, item_terms = self._user_terms(batch.user, time), self._item_terms(item)
        state = self._user_state(batch.user, user_terms, time, self._implicit_sums(user)[index])
        error = (self._rating(state, item_terms, item, time) - batch.rating.to(item_terms.vector)).square()
        penalty = self._user_penalty(batch.user, user_terms, time) + self._item_penalty(item, item_terms)
        return (error + penalty).sum()

    def _user_penalty(self, user: Int[Tensor, "B"], user_terms: UserTerms, time: TimeFeatures) -> Float[Tensor, "B"]:
        """The share of each rating in the penalty of its user and of the user's day."""
        config, bias = self.config, self.user_bias[user] + user_terms.bias[:, 0]
        drift = _squared_norm(user_terms.bias[:, 1:]) + _squared_norm(user_terms.drift)
        penalty = config.l2 * _squared_norm(user_terms.vector) + config.l2_user * bias.square() + config.l2_time * drift
        return (
            penalty * self.user_penalty_weight[user]
            + config.l2_day * _squared_norm(user_terms.day) * self.calendar.day_penalty_weight[time.day_row]
        )

    def _item_penalty(self, item: Int[Tensor, "B"], item_terms: ItemTerms) -> Float[Tensor, "B"]:
        """The share of each rating in the penalty of its item."""
        config, bias = self.config, self.item_bias[item] + item_terms.bias[:, -1]
        vectors = _squared_norm(item_terms.vector) + _squared_norm(embedding(self.implicit_factors, item))
        penalty = (
            config.l2 * vectors
            + config.l2_item * bias.square()
            + config.l2_time * _squared_norm(item_terms.bias[:, :-1])
        )
        return penalty * self.item_penalty_weight[item]

    def _implicit_sums(self, user: Int[Tensor, "n"]) -> Float[Tensor, "n d"]:
        """|R(u)|^-1/2 times the sum over R(u) of y_j."""
        log = self.training_log
        assert log is not None
        users = user.cpu().numpy()
        length = torch.from_numpy(log.lengths[users]).to(user.device)
        items = torch.from_numpy(log.item[ranges(log.start[users], log.stop[users])]).to(user.device).long()
        offset = length.cumsum(0) - length  # (n,)
        total = nn.functional.embedding_bag(items, self.implicit_factors, offset, mode="sum")  # (n, d)
        return total / length.clamp(min=1).to(total).sqrt().unsqueeze(1)

    def _user_terms(self, user: Int[Tensor, "B"], time: TimeFeatures) -> UserTerms:
        return UserTerms(
            embedding(self.user_bias_terms, user),
            embedding(self.user_factors, user),
            embedding(self.user_drift, user),
            embedding(self.day_terms, time.day_row),
        )

    def _user_state(
        self, user: Int[Tensor, "B"], user_terms: UserTerms, time: TimeFeatures, implicit: Float[Tensor, "B d"]
    ) -> UserState:
        dim, dev = self.config.embedding_dim, time.dev
        level = (
            self.mean
            + self.user_bias[user]
            + user_terms.bias[:, 0]
            + user_terms.bias[:, 2] * dev
            + user_terms.day[:, dim]
        )
        vector = user_terms.vector + user_terms.drift * dev.unsqueeze(1) + user_terms.day[:, :dim] + implicit  # (B, d)
        return UserState(level, 1 + user_terms.bias[:, 1] + user_terms.day[:, dim + 1], vector)

    def _item_terms(self, item: Int[Tensor, "B"]) -> ItemTerms:
        return ItemTerms(embedding(self.item_factors, item), embedding(self.item_bias_terms, item))

    def _rating(
        self, state: UserState, item_terms: ItemTerms, item: Int[Tensor, "B"], time: TimeFeatures
    ) -> Float[Tensor, "B"]:
        bin_bias = item_terms.bias.gather(1, time.bin.unsqueeze(1)).squeeze(1)  # (B,)
        bias = self.item_bias[item] + item_terms.bias[:, -1] + bin_bias
        return state.level + state.scale * bias + (state.vector * item_terms.vector).sum(1)

    def _state_at(self, batch: Batch) -> tuple[UserState, TimeFeatures]:
        """The user states at prediction time, which use the sums of y of the last epoch."""
        time = self.calendar(batch.user, batch.time)
        return self._user_state(
            batch.user, self._user_terms(batch.user, time), time, self.user_implicit[batch.user]
        ), time

    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        item, (state, time) = batch.item, self._state_at(batch)
        return self._rating(state, self._item_terms(item), item, time)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """Scores of `items` by one matrix product."""
        items = torch.arange(self.sizes.num_items + 1, device=batch.user.device) if items is None else items
        state, time = self._state_at(batch)
        terms = self.item_bias_terms[items]  # (K, bins + 1)
        bias = self.item_bias[items] + terms[:, -1] + terms.T[time.bin]  # (B, K)
        scores = state.level.unsqueeze(1) + state.scale.unsqueeze(1) * bias + state.vector @ self.item_factors[items].T
        scores[:, items == 0] = -torch.inf
        return scores


def _squared_norm(vector: Float[Tensor, "B d"]) -> Float[Tensor, "B"]:
    return vector.square().sum(1)
