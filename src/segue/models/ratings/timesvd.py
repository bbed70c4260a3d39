"""TimeSVD++: matrix factorisation whose users and items change with time.

    r~_ui(t) = mu + (b_i + b_{i,Bin(t)}) (c_u + c_{u,t})
                  + b_u + alpha_u dev_u(t) + b_{u,t}
                  + q_i . (p_u + a_u dev_u(t) + p_{u,t} + |R(u)|^-1/2 sum over R(u) of y_j)
    dev_u(t) = sign(t - t_u) |t - t_u|^beta

t is a day, t_u the mean day of the user's ratings, R(u) the items that she rated in training. Bin(t) cuts the days of
training into equal parts; later days belong to the last. What is indexed by (u, t) belongs to one day of one user: on
other days it is 0. Where nobody says when, it is the last day of training.

    minimise  sum (r - r~)^2 + l2 sum (|p_u|^2 + |q_i|^2 + |y_i|^2) + l2_user sum b_u^2 + l2_item sum b_i^2
              + l2_time sum (b_{i,Bin}^2 + (c_u - 1)^2 + alpha_u^2 + |a_u|^2)
              + l2_day sum (b_{u,t}^2 + c_{u,t}^2 + |p_{u,t}|^2)

b_u and b_i start in the closed form of `bias_solver`, all else at or near 0, c_u at 1: training begins at the
biases. alpha_u and a_u are kept in units of the longest deviation, (last - first day)^beta, so that a setting means the
same whatever the clock counts. A batch is drawn from a stretch of users, `STRETCH` batches long, and sums y up once for
each of its users: with batches drawn from the whole log, most of the time would go there.

The terms of single days are those of the preset `paper`. By default they are left out: days after the training never
have any, and what they took over of the tastes of users who rated on few days is lost there.

Source: Koren, "Collaborative filtering with temporal dynamics", KDD 2009, sections 3 and 4; beta and the number of bins
are those of IARN's paper. LibRec's program differs by two slips: it converts t_u to days twice, which leaves no meaning
to dev, and starts c_u at noise around 0 instead of at 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.config import Field
from segue.data.log import Log, ranges
from segue.data.time_units import UNITS, unit_of
from segue.errors import DataError
from segue.models.base.model import Sizes
from segue.models.base.rating import BiasedRatingConfig, BiasedRatingModel
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.nn.embedding import embedding, zero_padding

SECONDS = 86_400  # of a day
NEVER = np.iinfo(np.int64).max
STRETCH = 64  # batches


class TimeSVDConfig(BiasedRatingConfig):
    """Settings of TimeSVD++."""

    dim: int = Field(20, ge=1, description="Size d of the vectors.")
    beta: float = Field(0.4, gt=0, description="How fast the deviation from a user's mean day grows.")
    bins: int = Field(30, ge=1, description="In how many parts the days of training are cut.")
    days: int = Field(
        0,
        ge=0,
        description=(
            "For how many days a user, on average, there is room for terms of their own; the days with the most "
            "ratings have them, from two on. 0 leaves these terms out."
        ),
    )
    l2: float = Field(10.0, description="Weight of the squared vectors.")
    l2_time: float = Field(50.0, description="Of what changes with time.")
    l2_day: float = Field(20.0, description="Of the terms of single days.")
    lr: float = 0.0025


class When(NamedTuple):
    """The days of B questions.

    Attributes:
        dev: (B,) dev_u(t), in units of the longest.
        bin: (B,) Bin(t).
        row: (B,) which of the days that have terms of their own; 0 for none.
    """

    dev: Tensor
    bin: Tensor
    row: Tensor


class Calendar(nn.Module):
    """What is known of the days of training: the first and the last, and those of each user.

    Args:
        users: how many there are.
        beta: exponent of the deviation.
        bins: in how many parts the days are cut.
        room: how many days of users can have terms of their own.
    """

    clock: Tensor
    longest: Tensor
    middle: Tensor
    key: Tensor
    share: Tensor

    def __init__(self, users: int, beta: float, bins: int, room: int) -> None:
        super().__init__()
        self.beta, self.bins = beta, bins
        self.register_buffer("clock", torch.tensor([1, 0, 0]))  # the length of a day, the first day, the last day
        self.register_buffer("longest", torch.ones(()))
        self.register_buffer("middle", torch.zeros(users + 1))  # t_u, counted from the first day
        self.register_buffer("key", torch.full((room,), NEVER))
        self.register_buffer("share", torch.zeros(room + 1), persistent=False)  # one over a day's number of ratings

    def learn(self, pairs: RatedEvents) -> None:
        """The days of some ratings.

        Raises:
            DataError: the log has no times.
        """
        if pairs.time is None:
            raise DataError(f"{pairs.log.name}: timesvd++ needs to know when ratings were given; this log has no times")
        unit = unit_of(int(pairs.time.min()), int(pairs.time.max()))
        length = 1 if unit is None else SECONDS * UNITS[unit]
        day = pairs.time // length
        first, last = int(day.min()), int(day.max())
        self.clock.copy_(torch.tensor([length, first, last]))
        self.longest.fill_(max(last - first, 1) ** self.beta)
        rated = np.bincount(pairs.user, minlength=len(self.middle))
        total = np.bincount(pairs.user, day - first, len(self.middle))
        self.middle.copy_(torch.from_numpy(total / np.maximum(rated, 1)))
        key, count = np.unique(pairs.user * (last - first + 1) + day - first, return_counts=True)
        most = np.argsort(-count, kind="stable")[: len(self.key)]
        most = np.sort(most[count[most] > 1])
        self.key.fill_(NEVER)[: len(most)] = torch.from_numpy(key[most])
        self.share.zero_()[1 : len(most) + 1] = torch.from_numpy(1 / count[most])

    def forward(self, user: Int[Tensor, "B"], time: Int[Tensor, "B"] | None) -> When:
        """The days of questions; the last day of all where there are no times."""
        length, first, last = self.clock
        day = last.expand(len(user)) if time is None else time // length
        span, since = last - first + 1, day - first
        apart = since - self.middle[user]
        dev = apart.sign() * apart.abs() ** self.beta / self.longest
        key = torch.where((since >= 0) & (since < span), user * span + since, -1)
        row = torch.searchsorted(self.key, key)
        known = torch.nn.functional.pad(self.key, (0, 1), value=NEVER)[row] == key
        return When(dev, (since * self.bins // span).clamp(0, self.bins - 1), torch.where(known, row + 1, 0))


class Part(NamedTuple):
    """What belongs to the users of B questions, and to their days.

    Attributes:
        bias: (B, 3) what is added to b_u, c_u - 1 and alpha_u.
        taste: (B, d) p_u.
        drift: (B, d) a_u.
        day: (B, d + 2) p_{u,t}, b_{u,t} and c_{u,t}.
    """

    bias: Tensor
    taste: Tensor
    drift: Tensor
    day: Tensor


class Goods(NamedTuple):
    """What belongs to the items of B questions.

    Attributes:
        vector: (B, d) q_i.
        worth: (B, bins + 1) b_{i,Bin}, and what is added to b_i.
    """

    vector: Tensor
    worth: Tensor


class Asked(NamedTuple):
    """What B users make of any item on their days: level + scale (b_i + b_{i,Bin}) + taste . q_i."""

    level: Tensor
    scale: Tensor
    taste: Tensor


class TimeSVD(BiasedRatingModel):
    """Biases and vectors of users and items, and how they move."""

    name = "timesvd++"
    Config = TimeSVDConfig
    config: TimeSVDConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"days": 2}}
    space: ClassVar[Space] = {
        "dim": Choice(10, 20, 50),
        "lr": LogUniform(1e-3, 1e-2),
        "l2": LogUniform(2.0, 100.0),
        "l2_time": LogUniform(2.0, 500.0),
    }
    day: Tensor
    implicit: Tensor

    def __init__(self, config: TimeSVDConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        users, items, dim, room = sizes.num_users + 1, sizes.num_items + 1, config.dim, config.days * sizes.num_users
        self.calendar = Calendar(sizes.num_users, config.beta, config.bins, room)
        self.bias = nn.Parameter(torch.zeros(users, 3))
        self.taste = nn.Parameter(torch.randn(users, dim) * 0.01)
        self.drift = nn.Parameter(torch.zeros(users, dim))
        day = torch.zeros(room + 1, dim + 2)
        if room:
            self.day = nn.Parameter(day)
        else:
            self.register_buffer("day", day, persistent=False)
        self.item = nn.Parameter(torch.randn(items, dim) * 0.1)  # q
        self.met = nn.Parameter(torch.zeros(items, dim))  # y
        self.worth = nn.Parameter(torch.zeros(items, config.bins + 1))  # b_{i,Bin}, and what is added to b_i
        zero_padding(self.taste)
        zero_padding(self.item)
        self.register_buffer("implicit", torch.zeros(users, dim))  # the sums of y, as they are after an epoch

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        pairs, size = self.pairs(log), self.config.batch_size
        order, end = rng.permutation(log.num_users + 1), log.sizes.cumsum()
        by_user = ranges((end - log.sizes)[order], end[order])
        for first in range(0, len(by_user), STRETCH * size):
            index = rng.permutation(by_user[first : first + STRETCH * size])
            for begin in range(0, len(index), size):
                yield pairs.batch(index[begin : begin + size])
        with torch.no_grad():
            self.implicit.copy_(self._sums(torch.arange(log.num_users + 1, device=self.met.device)))

    def look_at(self, pairs: RatedEvents) -> None:
        super().look_at(pairs)
        self.calendar.learn(pairs)

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        assert batch.target is not None
        assert batch.rating is not None
        item, when = batch.target[:, 0], self.calendar(batch.user, batch.time)
        user, place = batch.user.unique(return_inverse=True)
        part, goods = self._part(batch.user, when), self._goods(item)
        asked = self._asked(batch.user, part, when, self._sums(user)[place])
        error = (self._told(asked, goods, item, when) - batch.rating.to(goods.vector)).square()
        of_user, of_item = self._penalty_of_user(batch.user, part, when), self._penalty_of_item(item, goods)
        return (error + of_user + of_item).sum()

    def _penalty_of_user(self, user: Int[Tensor, "B"], part: Part, when: When) -> Float[Tensor, "B"]:
        """What each rating bears of the penalty of its user, and of her day."""
        config, bias = self.config, self.user_bias[user] + part.bias[:, 0]
        moving = _squares(part.bias[:, 1:]) + _squares(part.drift)
        whole = config.l2 * _squares(part.taste) + config.l2_user * bias.square() + config.l2_time * moving
        return whole * self.user_share[user] + config.l2_day * _squares(part.day) * self.calendar.share[when.row]

    def _penalty_of_item(self, item: Int[Tensor, "B"], goods: Goods) -> Float[Tensor, "B"]:
        """What each rating bears of the penalty of its item."""
        config, bias = self.config, self.item_bias[item] + goods.worth[:, -1]
        fixed = _squares(goods.vector) + _squares(embedding(self.met, item))
        whole = config.l2 * fixed + config.l2_item * bias.square() + config.l2_time * _squares(goods.worth[:, :-1])
        return whole * self.item_share[item]

    def _sums(self, user: Int[Tensor, "n"]) -> Float[Tensor, "n d"]:
        """|R(u)|^-1/2 times the sum over R(u) of y_j."""
        log = self.seen
        assert log is not None
        which = user.cpu().numpy()
        size = torch.from_numpy(log.sizes[which]).to(user.device)
        met = torch.from_numpy(log.item[ranges(log.start[which], log.stop[which])]).to(user.device).long()
        total = nn.functional.embedding_bag(met, self.met, size.cumsum(0) - size, mode="sum")
        return total / size.clamp(min=1).to(total).sqrt().unsqueeze(1)

    def _part(self, user: Int[Tensor, "B"], when: When) -> Part:
        return Part(
            embedding(self.bias, user),
            embedding(self.taste, user),
            embedding(self.drift, user),
            embedding(self.day, when.row),
        )

    def _asked(self, user: Int[Tensor, "B"], part: Part, when: When, implicit: Float[Tensor, "B d"]) -> Asked:
        dim, dev = self.config.dim, when.dev
        level = self.mean + self.user_bias[user] + part.bias[:, 0] + part.bias[:, 2] * dev + part.day[:, dim]
        taste = part.taste + part.drift * dev.unsqueeze(1) + part.day[:, :dim] + implicit
        return Asked(level, 1 + part.bias[:, 1] + part.day[:, dim + 1], taste)

    def _goods(self, item: Int[Tensor, "B"]) -> Goods:
        return Goods(embedding(self.item, item), embedding(self.worth, item))

    def _told(self, asked: Asked, goods: Goods, item: Int[Tensor, "B"], when: When) -> Float[Tensor, "B"]:
        moved = goods.worth.gather(1, when.bin.unsqueeze(1)).squeeze(1)
        bias = self.item_bias[item] + goods.worth[:, -1] + moved
        return asked.level + asked.scale * bias + (asked.taste * goods.vector).sum(1)

    def _ask(self, batch: Batch) -> tuple[Asked, When]:
        """What is asked of a model that has learnt."""
        when = self.calendar(batch.user, batch.time)
        return self._asked(batch.user, self._part(batch.user, when), when, self.implicit[batch.user]), when

    def predict(self, batch: Batch) -> Float[Tensor, "B"]:
        assert batch.target is not None
        item, (asked, when) = batch.target[:, 0], self._ask(batch)
        return self._told(asked, self._goods(item), item, when)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """One matrix product for all items."""
        items = torch.arange(self.sizes.num_items + 1, device=batch.user.device) if items is None else items
        asked, when = self._ask(batch)
        worth = self.worth[items]
        bias = self.item_bias[items] + worth[:, -1] + worth.T[when.bin]
        scores = asked.level.unsqueeze(1) + asked.scale.unsqueeze(1) * bias + asked.taste @ self.item[items].T
        scores[:, items == 0] = -torch.inf
        return scores


def _squares(vector: Float[Tensor, "B d"]) -> Float[Tensor, "B"]:
    return vector.square().sum(1)
