"""VS-KNN: what the sessions (users) that share items with this one hold besides.

    this session       a  b  c            weight w of an item by its place: the newest counts most
    a neighbour        x  b  y  c  z      similar by w(b) + w(c); the last item that both hold is c

    sim(n)   = sum over the shared items i of  w_i / ((n_i + shrinkage)^alpha (|n| + shrinkage)^length_discount)
    score(j) = sum over the neighbours n that hold j of  sim(n) v_n(j)  /  (n_j + shrinkage)^beta

n_i are the sessions that hold item i, |n| the items of session n. Of the sessions that share an item, the newest
`sample` are looked at, and of these the `neighbours` most similar ones are heard; the user's own is not among them.
With r = 0 the newest of the m items asked,

    w = 1 - r / m  (linear),   1 / (r + 1)  (div),   floor + (1 - floor) decay^r  (decay)
    v_n(j) = distance^-distance_decay,  of j and the last shared item in n;  times `back` where j is the one before

and `weigh_last` multiplies v by w of the last shared item. The preset `paper` is V-SKNN; alpha, length_discount, beta
and the distance are refinements in the manner of STAN. The defaults were chosen on the validation part of Amazon CDs.
Sources: Jannach and Ludewig, RecSys 2017; Ludewig and Jannach, UMUAI 2018; Garg et al., SIGIR 2019 (STAN).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.data.log import Ids, Log
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import Choice, Space, Uniform
from segue.nn.sparse import SparseRows

ROWS = 4  # questions at a time, so that what their neighbours hold stays in the cache, or fewer:
CELLS = 4_000_000  # similarities at a time


class VSKNNConfig(Config):
    """Settings of VS-KNN."""

    num_neighbours: int = Field(300, ge=1, description="Number of most similar sessions whose items are scored.")
    sample_size: int | None = Field(
        None,
        ge=1,
        description=(
            "Number of most recent sessions that are compared, of those that share an item; none compares all. "
            "A session is as recent as its last event, or as its position in a log without times."
        ),
    )
    window: int | None = Field(50, ge=1, description="Number of most recent items that are compared; none takes all.")
    weighting: Literal["decay", "linear", "div"] = Field(
        "decay", description="How the weight of an item of the history falls with its age."
    )
    position_decay: float = Field(
        0.8, gt=0, le=1, description="Weight of an item relative to the next newer one; weighting=decay only."
    )
    min_position_weight: float = Field(
        0.1, ge=0, le=1, description="Weight that an item keeps, however old it is; weighting=decay only."
    )
    alpha: float = Field(0.75, ge=0, description="Exponent of the popularity of a shared item in the denominator.")
    length_discount: float = Field(
        0.4, ge=0, description="Exponent of the length of the neighbour session in the denominator."
    )
    beta: float = Field(0.4, ge=0, description="Exponent of the popularity of the scored item in the denominator.")
    shrinkage: float = Field(15.0, ge=0, description="Added to the counts in the denominators.")
    distance_decay: float = Field(
        0.35, description="An item at distance x from the last shared item counts x^-distance_decay."
    )
    backward_weight: float = Field(
        0.7, ge=0, description="Weight of the items before the last shared item, relative to those after it."
    )
    weight_last_match: bool = Field(
        False, description="Whether a neighbour counts less if the last shared item is old in the history."
    )
    renamed: ClassVar[dict[str, str]] = {
        "neighbours": "num_neighbours",
        "sample": "sample_size",
        "last": "window",
        "decay": "position_decay",
        "floor": "min_position_weight",
        "back": "backward_weight",
        "weigh_last": "weight_last_match",
    }


class VSKNN(DirectModel):
    """The training sessions, numbered from the newest: which hold an item, and what each holds where."""

    name = "vs-knn"
    Config = VSKNNConfig
    config: VSKNNConfig
    presets: ClassVar = {
        "paper": {
            "num_neighbours": 100,
            "sample_size": 1000,
            "window": None,
            "weighting": "linear",
            "alpha": 0.0,
            "length_discount": 0.0,
            "beta": 0.0,
            "shrinkage": 0.0,
            "distance_decay": 0.0,
            "backward_weight": 1.0,
            "weight_last_match": True,
        },
    }
    space: ClassVar[Space] = {
        "num_neighbours": Choice(100, 200, 300, 500),
        "position_decay": Uniform(0.4, 0.95),
        "min_position_weight": Uniform(0.0, 0.2),
        "alpha": Uniform(0.0, 1.0),
        "length_discount": Uniform(0.0, 0.8),
        "beta": Uniform(0.0, 0.7),
        "distance_decay": Uniform(0.0, 1.0),
        "backward_weight": Uniform(0.0, 1.0),
        "weight_last_match": Choice(False, True),
    }
    number: Tensor
    divisor: Tensor

    def __init__(self, config: VSKNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        self.holders = SparseRows(sizes.num_items + 1)  # item -> sessions that hold it, and what sharing it counts
        self.sessions = SparseRows(sizes.num_users + 1)  # session -> its items, and their places
        self.register_buffer("number", torch.zeros(sizes.num_users + 1, dtype=torch.int64))
        self.register_buffer("divisor", torch.ones(sizes.num_items + 1))

    def fit(self, log: Log) -> None:
        config = self.config
        number = _from_the_newest(log)
        session, item, place = _contents(log, number)
        held = np.bincount(item, minlength=log.num_items + 1)
        size = np.bincount(session, minlength=log.num_users + 1)
        common, length = (np.maximum(count, 1) + config.shrinkage for count in (held, size))
        counts = common[item] ** -config.alpha * length[session] ** -config.length_discount
        by_item = np.argsort(item, kind="stable")
        self.holders.fill(held, session[by_item], counts[by_item])
        self.sessions.fill(size, item, place.astype(np.float64))
        self.number.copy_(torch.from_numpy(number))
        self.divisor.copy_(torch.from_numpy(common**config.beta))

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        history = batch.history if self.window is None else batch.last(self.window)
        scores = self.divisor.new_zeros(len(batch), self.sizes.num_items + 1)
        rows = max(min(CELLS // len(self.number), ROWS), 1)
        for begin in range(0, len(batch), rows):
            part = slice(begin, begin + rows)
            self._hear(scores[part], batch.user[part], history[part])
        scores /= self.divisor
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]

    def _hear(self, scores: Tensor, user: Tensor, history: Tensor) -> None:
        """Add up what the neighbours hold."""
        weight = self._weights(history)
        line, session, similarity = self._neighbours(user, history, weight)
        which, item, place = self.sessions.entries(session)
        cell = (line * scores.shape[1])[which] + item
        # where each neighbour's items stand in this history, from 1; the newest of them is the last shared one
        seen = torch.zeros_like(scores, dtype=torch.int64)
        age = torch.arange(1, history.shape[1] + 1, device=user.device).expand_as(history)
        seen.scatter_reduce_(1, history, age, "amax")
        place = place.long()
        width = int(place.max()) + 1 if len(place) else 1
        shared = seen.view(-1)[cell].mul_(width).add_(place)
        newest = torch.zeros_like(session).scatter_reduce_(0, which, shared, "amax")
        if self.config.weight_last_match:
            similarity = similarity * weight[line, newest // width - 1]
        distance = place.sub_((newest % width - width)[which])
        counts = self._distances(width)[distance].mul_(similarity[which])
        scores.view(-1).index_add_(0, cell, counts)

    def _neighbours(self, user: Tensor, history: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(line, session, similarity) of the most similar sessions of each row of the batch."""
        line, place = history.nonzero(as_tuple=True)
        similarity = self.divisor.new_zeros(len(user), len(self.number))
        self.holders.add_to(similarity, line=line, row=history[line, place], weight=weight[line, place])
        similarity[torch.arange(len(user), device=user.device), self.number[user]] = 0
        sample = self.config.sample_size
        if sample is not None and sample < len(self.number):
            similarity.masked_fill_((similarity > 0).cumsum(1) > sample, 0)
        best, session = similarity.topk(min(self.config.num_neighbours, len(self.number)))
        line, column = best.nonzero(as_tuple=True)
        return line, session[line, column], best[line, column]

    def _weights(self, history: Tensor) -> Tensor:
        """What each item of the histories counts, by its place."""
        config = self.config
        age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device).to(self.divisor)
        if config.weighting == "linear":
            number = (history > 0).sum(1, keepdim=True)
            return (1 - age / number.clamp(min=1)).clamp(min=0)
        weight = (
            1 / (age + 1)
            if config.weighting == "div"
            else config.min_position_weight + (1 - config.min_position_weight) * config.position_decay**age
        )
        return weight.expand(history.shape)

    def _distances(self, width: int) -> Tensor:
        """What an item counts that lies -width, ..., width places after the last shared one."""
        distance = torch.arange(-width, width + 1, device=self.divisor.device).to(self.divisor)
        counts = distance.abs().clamp(min=1) ** -self.config.distance_decay
        return torch.where(distance < 0, self.config.backward_weight * counts, counts)


def _from_the_newest(log: Log) -> Ids:
    """(U + 1,) a number for each user's session: 0 the newest; those without events come last."""
    newest = np.arange(log.num_users + 1) if log.time is None else log.time[np.maximum(log.stop - 1, 0)]
    order = np.lexsort((-np.arange(log.num_users + 1), -newest, log.lengths == 0))
    number = np.empty(log.num_users + 1, np.int64)
    number[order] = np.arange(log.num_users + 1)
    return number


def _contents(log: Log, number: Ids) -> tuple[Ids, Ids, Ids]:
    """(session, item, place) of each item of each session, session after session; the last place of an item counts."""
    user, item = log.events()
    place = np.arange(len(item)) - np.repeat(np.cumsum(log.lengths) - log.lengths, log.lengths)
    session = number[user]
    backwards = session[::-1] * (log.num_items + 1) + item[::-1]
    row = len(item) - 1 - np.unique(backwards, return_index=True)[1]
    row = row[np.lexsort((place[row], session[row]))]
    return session[row], item[row].astype(np.int64), place[row]
