"""`SessionKNN`: the base of models that score the items of the training sessions (users) that resemble the history.

    this session       a  b  c            weight w of an item by its position: the newest counts most
    a neighbour        x  b  y  c  z      similarity w(b) + w(c); the distances of y and z from the match c count

    sim(n)   = sum over the shared items i of  w_i u_n(i)
    score(j) = sum over the neighbours n that have j of  sim(n) v_n(j) t_n(j) / d(j)

t_n(j) is 1. Where only some events are targets, it is 1 if n has j as a target, and otherwise 0; with weights, it is
the largest weight of the events of n with j. All events are compared.

Of the sessions that share an item, the newest `sample_size` are compared, and the `num_neighbours` most similar ones of
these are used; the user's own session is not among them. A model says what the weights are: u of sharing an item with a
session, w of the positions of the history, v of the distances from the match, and the divisor d of an item.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.event_types import heaviest
from segue.data.log import Floats, Ids, Log
from segue.data.time_units import SECONDS_PER_DAY
from segue.errors import require
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import DirectModel, Sizes
from segue.nn.buffers import require_ids
from segue.nn.sparse import ResizableBuffers, SparseMatrix

ROWS = 4  # rows of a batch that are scored at a time, so that the items of their neighbours stay in the cache
MAX_CELLS = 4_000_000  # similarities that are in memory at a time
MAX_POSITION = 2**24  # the last one that float32 tells from the next


class SessionKNNConfig(EventWeightsConfig):
    """Settings of all models of similar sessions."""

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


@dataclass(frozen=True, eq=False)
class Sessions:
    """The training sessions, numbered from the newest one, which is 0; those without events come last.

    Attributes:
        number: (U + 1,) the number of the session of each user.
        session: (n,) the session of each entry. There is an entry for each item of each session.
        item: (n,) its item.
        position: (n,) the position of the item in the session, from 0; the last one of an item that recurs.
        target: (n,) t, the weight of the item as a target of the session.
        num_sessions: (I + 1,) number of sessions that have each item.
        num_targets: (I + 1,) the sum of the weights of each item.
        length: (U + 1,) number of different items of each session.
        age: (U + 1,) days from the last event of each session to that of the newest one; 0 where times are no dates.
    """

    number: Ids
    session: Ids
    item: Ids
    position: Ids
    target: Floats
    num_sessions: Ids
    num_targets: Floats
    length: Ids
    age: Floats

    @classmethod
    def of(cls, log: Log, weights: Floats) -> Sessions:
        """The sessions of a log, whose rows have the weights (R,) as targets."""
        end = np.zeros(log.num_users + 1, np.int64)
        if log.time is not None and len(log):
            end = log.time[np.maximum(log.stop - 1, 0)]
        order = np.lexsort((-np.arange(log.num_users + 1), -end, log.lengths == 0))
        number = np.empty(log.num_users + 1, np.int64)
        number[order] = np.arange(log.num_users + 1)
        session, item, position = _entries(log, number)
        target = _targets(log, number, weights, session * (log.num_items + 1) + item)
        num_sessions = np.bincount(item, minlength=log.num_items + 1)
        num_targets = np.bincount(item, target, log.num_items + 1).astype(np.float64)
        length = np.bincount(session, minlength=log.num_users + 1)
        day = np.inf if log.time_unit is None else SECONDS_PER_DAY * log.ticks_per_second
        age = np.where(log.lengths[order] > 0, end[order[0]] - end[order], 0) / day
        return cls(number, session, item, position, target, num_sessions, num_targets, length, age)


class SessionKNN(ResizableBuffers, DirectModel):
    """Recommends items of the training sessions that are most similar to the current one.

    Class attributes:
        sums_repeats: whether an item that recurs in the history has the sum of the weights of its positions, or the
            weight of the newest one.
        match: which shared item distances are from: the newest one in the "history", or in the "neighbour".
    """

    depends_on_seed = False
    resizable = optional = ("target",)
    config: SessionKNNConfig
    skips_padding = "anywhere"
    sums_repeats: ClassVar[bool]
    match: ClassVar[str]
    session_number: Tensor
    target: Tensor
    divisor: Tensor

    def __init__(self, config: SessionKNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        num_users, num_items = sizes.num_users + 1, sizes.num_items + 1
        self.item_sessions = SparseMatrix((num_items, num_users))  # the weight of sharing each item with each session
        self.session_items = SparseMatrix((num_users, num_items))  # the position of each item in each session
        self.register_buffer("target", torch.zeros(0))  # t of each entry of `session_items`; empty if it is 1
        self.register_buffer("session_number", torch.zeros(num_users, dtype=torch.int64))
        self.register_buffer("divisor", torch.ones(num_items))

    @abstractmethod
    def shared_weights(self, sessions: Sessions) -> Floats:
        """u, (n,): what sharing the item of each entry of `sessions` adds to the similarity."""

    @abstractmethod
    def item_divisor(self, sessions: Sessions) -> Floats:
        """d, (I + 1,): what the score of each item is divided by."""

    @abstractmethod
    def position_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        """w: the weight of each item of the histories, by its position."""

    @abstractmethod
    def distance_weights(self, distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """v: the weight of an item that lies so many positions after the match; before it, if below 0."""

    def match_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"] | None:
        """The factor of the similarity, by the position of the newest shared item in the history; None for 1."""
        return None

    def fit(self, log: Log) -> None:
        sessions = Sessions.of(log, self.config.target_weights(log))
        cells = sessions.item, sessions.session
        self.item_sessions.set(sp.coo_array((self.shared_weights(sessions), cells), shape=self.item_sessions.shape))
        self.session_items.set(sp.coo_array((sessions.position, cells[::-1]), shape=self.session_items.shape))
        if (sessions.target == 1).all():
            self.target = self.target[:0]
        else:  # in the order of the entries of `session_items`
            target = sp.coo_array((sessions.target, cells[::-1]), shape=self.session_items.shape).tocsr()
            self.target = torch.from_numpy(target.data).to(self.target)
        self.session_number.copy_(torch.from_numpy(sessions.number))
        self.divisor.copy_(torch.from_numpy(self.item_divisor(sessions)))

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded numbers of sessions, or positions in them, cannot be."""
        require_ids(self.session_number, self.sizes.num_users, "numbers of sessions")
        require_ids(self.session_items.values, MAX_POSITION, "positions in sessions")
        fits = len(self.target) in (0, len(self.session_items.values))
        require(fits and not (self.target < 0).any(), "sessions have no such weights of targets")

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
        # the position of each item in the history, from 1
        in_history = torch.zeros_like(scores, dtype=torch.int64)  # (B, I + 1)
        place = torch.arange(1, history.shape[1] + 1, device=user.device).expand_as(history)
        in_history.scatter_reduce_(1, history, place, "amax")
        weight = self.position_weights(history)
        if not self.sums_repeats:
            weight = weight * (in_history.gather(1, history) == place)
        row, session, similarity = self._neighbours(user, history, weight)  # (n,)
        neighbour, item, position = self.session_items.entries(session)  # (m,)
        cell = (row * scores.shape[1])[neighbour] + item
        position = position.long()
        width = int(position.max()) + 1 if len(position) else 1
        shared = in_history.view(-1)[cell].mul_(width).add_(position)
        newest_shared = torch.zeros_like(session).scatter_reduce_(0, neighbour, shared, "amax")  # (n,)
        match_weights = self.match_weights(history)
        if match_weights is not None:
            similarity = similarity * match_weights[row, newest_shared // width - 1]
        match = newest_shared % width
        if self.match == "neighbour":
            match = torch.zeros_like(session).scatter_reduce_(0, neighbour, position * (shared >= width), "amax")
        weights = self.distance_weights(torch.arange(-width, width + 1, device=user.device).to(self.divisor))
        counts = weights[position.sub_(match.sub_(width)[neighbour])].mul_(similarity[neighbour])
        if len(self.target):
            counts *= self.session_items.entries(session, self.target)[2]
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


def _entries(log: Log, number: Ids) -> tuple[Ids, Ids, Ids]:
    """Session, item and position of each item of each session; an item that recurs has its last position."""
    user, item = log.events()
    position = np.arange(len(item)) - np.repeat(np.cumsum(log.lengths) - log.lengths, log.lengths)
    session = number[user]
    backwards = session[::-1] * (log.num_items + 1) + item[::-1]
    row = len(item) - 1 - np.unique(backwards, return_index=True)[1]
    row = row[np.lexsort((position[row], session[row]))]
    return session[row], item[row].astype(np.int64), position[row]


def _targets(log: Log, number: Ids, weights: Floats, entries: Ids) -> Floats:
    """The largest weight of the events of each entry (session * (I + 1) + item); 0 where none counts."""
    if (log.column(weights) == 1).all():
        return np.ones(len(entries))
    user, item = log.events()
    keys, largest = heaviest(number[user] * (log.num_items + 1) + item, log.column(weights))
    order = np.argsort(entries)
    target = np.zeros(len(entries))
    target[order[np.searchsorted(entries[order], keys)]] = largest
    return target


def ages(history: Int[Tensor, "B L"]) -> Int[Tensor, "L"]:
    """The number of newer positions of each position of the histories."""
    return torch.arange(history.shape[1] - 1, -1, -1, device=history.device)
