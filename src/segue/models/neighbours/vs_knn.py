"""VS-KNN: the items of the sessions (users) that share items with the history.

    this session       a  b  c            weight w of an item by its position: the newest counts most
    a neighbour        x  b  y  c  z      similarity w(b) + w(c); the last shared item is c

    sim(n)   = sum over the shared items i of  w_i / ((n_i + shrinkage)^alpha (|n| + shrinkage)^length_discount)
    score(j) = sum over the neighbours n that have j of  sim(n) v_n(j)  /  (n_j + shrinkage)^beta

n_i is the number of sessions that have item i, |n| the number of items of session n. Of the sessions that share an
item, the newest `sample_size` are compared, and the `num_neighbours` most similar ones of these are used; the user's
own session is not among them. With r = 0 for the newest of the m items of the history, and f = min_position_weight,

    w = 1 - r / m  (linear),   1 / (r + 1)  (div),   f + (1 - f) position_decay^r  (decay)
    v_n(j) = distance^-distance_decay  of j and the last shared item in n;  times `backward_weight` where j comes before

and `weight_last_match` multiplies v by w of the last shared item. The preset `paper` is V-SKNN; alpha, length_discount,
beta and the distance are refinements in the manner of STAN. The defaults were tuned on the validation part of Amazon
CDs.
Sources: Jannach and Ludewig, RecSys 2017; Ludewig and Jannach, UMUAI 2018; Garg et al., SIGIR 2019 (STAN).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.data.log import Ids, Log
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import Choice, Space, Uniform
from segue.nn.buffers import require_ids
from segue.nn.sparse import SparseMatrix

ROWS = 4  # rows of a batch that are scored at a time, so that the items of their neighbours stay in the cache
MAX_CELLS = 4_000_000  # similarities that are in memory at a time
MAX_POSITION = 2**24  # the last one that float32 tells from the next


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
    """Recommends items of the training sessions that are most similar to the current one."""

    name = "vs-knn"
    depends_on_seed = False
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
    skips_padding = "anywhere"
    session_number: Tensor
    divisor: Tensor

    def __init__(self, config: VSKNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        num_users, num_items = sizes.num_users + 1, sizes.num_items + 1
        self.item_sessions = SparseMatrix((num_items, num_users))  # the weight of sharing each item with each session
        self.session_items = SparseMatrix((num_users, num_items))  # the position of each item in each session
        self.register_buffer("session_number", torch.zeros(num_users, dtype=torch.int64))
        self.register_buffer("divisor", torch.ones(num_items))

    def fit(self, log: Log) -> None:
        config = self.config
        number = _numbered_from_newest(log)
        session, item, position = _contents(log, number)
        num_sessions = np.bincount(item, minlength=log.num_items + 1)
        length = np.bincount(session, minlength=log.num_users + 1)
        common, long = (np.maximum(count, 1) + config.shrinkage for count in (num_sessions, length))
        counts = common[item] ** -config.alpha * long[session] ** -config.length_discount
        self.item_sessions.set(sp.coo_array((counts, (item, session)), shape=self.item_sessions.shape))
        self.session_items.set(sp.coo_array((position, (session, item)), shape=self.session_items.shape))
        self.session_number.copy_(torch.from_numpy(number))
        self.divisor.copy_(torch.from_numpy(common**config.beta))

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded numbers of sessions, or positions in them, cannot be."""
        require_ids(self.session_number, self.sizes.num_users, "numbers of sessions")
        require_ids(self.session_items.values, MAX_POSITION, "positions in sessions")

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        history = batch.history if self.window is None else batch.last_items(self.window)
        scores = self.divisor.new_zeros(len(batch), self.sizes.num_items + 1)
        rows = max(min(MAX_CELLS // len(self.session_number), ROWS), 1)
        for begin in range(0, len(batch), rows):
            part = slice(begin, begin + rows)
            self._add_neighbour_items(scores[part], batch.user[part], history[part])
        scores /= self.divisor
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]

    def _add_neighbour_items(
        self, scores: Float[Tensor, "B I"], user: Int[Tensor, "B"], history: Int[Tensor, "B L"]
    ) -> None:
        """Add the items of the neighbours of each row to `scores`."""
        weight = self._position_weights(history)
        row, session, similarity = self._neighbours(user, history, weight)  # (n,)
        neighbour, item, position = self.session_items.entries(session)  # (m,)
        cell = (row * scores.shape[1])[neighbour] + item
        # the position of each item in the history, from 1; the newest item of a neighbour is the last shared one
        in_history = torch.zeros_like(scores, dtype=torch.int64)  # (B, I + 1)
        age = torch.arange(1, history.shape[1] + 1, device=user.device).expand_as(history)
        in_history.scatter_reduce_(1, history, age, "amax")
        position = position.long()
        width = int(position.max()) + 1 if len(position) else 1
        shared = in_history.view(-1)[cell].mul_(width).add_(position)
        last_shared = torch.zeros_like(session).scatter_reduce_(0, neighbour, shared, "amax")  # (n,)
        if self.config.weight_last_match:
            similarity = similarity * weight[row, last_shared // width - 1]
        distance = position.sub_((last_shared % width - width)[neighbour])
        counts = self._distance_weights(width)[distance].mul_(similarity[neighbour])
        scores.view(-1).index_add_(0, cell, counts)

    def _neighbours(self, user: Tensor, history: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The most similar sessions: the row of the batch, the session and the similarity of each."""
        similarity = self.item_sessions.weighted_row_sums(history, weight)  # (B, U + 1)
        similarity[torch.arange(len(user), device=user.device), self.session_number[user]] = 0
        sample_size = self.config.sample_size
        if sample_size is not None and sample_size < len(self.session_number):
            similarity.masked_fill_((similarity > 0).cumsum(1) > sample_size, 0)
        best, session = similarity.topk(min(self.config.num_neighbours, len(self.session_number)))
        row, column = best.nonzero(as_tuple=True)
        return row, session[row, column], best[row, column]

    def _position_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        """The weight of each item of the histories, by its position."""
        config = self.config
        age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device).to(self.divisor)
        if config.weighting == "linear":
            number = ((history > 0).cumsum(1) > 0).sum(1, keepdim=True)  # m, with padding between the items
            return (1 - age / number.clamp(min=1)).clamp(min=0)
        if config.weighting == "div":
            return (1 / (age + 1)).expand(history.shape)
        weight = config.min_position_weight + (1 - config.min_position_weight) * config.position_decay**age
        return weight.expand(history.shape)

    def _distance_weights(self, width: int) -> Float[Tensor, "w"]:
        """The weight of an item that lies -width, ..., width positions after the last shared item."""
        distance = torch.arange(-width, width + 1, device=self.divisor.device).to(self.divisor)
        counts = distance.abs().clamp(min=1) ** -self.config.distance_decay
        return torch.where(distance < 0, self.config.backward_weight * counts, counts)


def _numbered_from_newest(log: Log) -> Ids:
    """(U + 1,) the number of each user's session: 0 is the newest; sessions without events come last."""
    newest = np.arange(log.num_users + 1) if log.time is None else log.time[np.maximum(log.stop - 1, 0)]
    order = np.lexsort((-np.arange(log.num_users + 1), -newest, log.lengths == 0))
    number = np.empty(log.num_users + 1, np.int64)
    number[order] = np.arange(log.num_users + 1)
    return number


def _contents(log: Log, number: Ids) -> tuple[Ids, Ids, Ids]:
    """Session, item and position of each item of each session; an item that recurs has its last position."""
    user, item = log.events()
    position = np.arange(len(item)) - np.repeat(np.cumsum(log.lengths) - log.lengths, log.lengths)
    session = number[user]
    backwards = session[::-1] * (log.num_items + 1) + item[::-1]
    row = len(item) - 1 - np.unique(backwards, return_index=True)[1]
    row = row[np.lexsort((position[row], session[row]))]
    return session[row], item[row].astype(np.int64), position[row]
