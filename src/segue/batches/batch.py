"""Batches of tensors: what models are trained on and what they score.

    Batch            users with their histories: what a model scores
    SequenceBatch    the same with target items and negatives: what ranking models are trained on
    PairBatch        (user, item) pairs: what a model of ratings predicts
    RatingBatch      the same with their ratings: what models of ratings are trained on

The letters of all shape annotations of the package:

    B  rows of a batch                    U  users, ids 1..U; 0 is an anonymous user
    P  positions of a history             I  items, ids 1..I; 0 is padding
    C  queries of a row                   T  targets of a query
    L  items of the window of a query     R  target positions of a row
    G  negatives of a target              S  negatives shared by all targets of a batch
    Q  users in the history of an item    K  items that are scored or recommended
    F  features of an event or an item
    d  size of an embedding               n  any number

A tensor over items 0..I has I + 1 entries and is annotated with I; likewise over users. Histories are padded with 0 on
the left, oldest item first, so the newest item is always in the last column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.batches.gaps import closing_order

AnyBatch = TypeVar("AnyBatch", bound="Batch")

NO_NEGATIVES = torch.empty(0, 0, 0, 0, dtype=torch.long)


@dataclass(frozen=True)
class Batch:
    """Users with their histories: what a model scores.

    Attributes:
        user: user ids; 0 for an anonymous user.
        history: the items of each user, oldest first; 0 is padding.
        times: the time of each event of the history, in the unit of the log; 0 at padding. None where the model reads
            none, or the log has none.
        types: the type of each event of the history, see `Log.event_type`; 0 at padding and where it is unknown. None
            where the model reads none, or the log has none.
        features: the features of each event of the history, see `Log.event_features`; NaN where they are unknown. None
            where the model reads none.
        sessions: the session of each event of the history, ascending from 1 for each user; 0 at padding and where it is
            unknown. None where the model reads none.
        time: when the item after the newest one of the history is wanted, in the same unit; None where that is unknown.
    """

    batch_fields: ClassVar[tuple[str, ...]] = ()  # fields that belong to the batch as a whole, not to its rows

    user: Int[Tensor, "B"]
    history: Int[Tensor, "B P"]
    times: Int[Tensor, "B P"] | None = field(default=None, kw_only=True)
    types: Int[Tensor, "B P"] | None = field(default=None, kw_only=True)
    features: Float[Tensor, "B P F"] | None = field(default=None, kw_only=True)
    sessions: Int[Tensor, "B P"] | None = field(default=None, kw_only=True)
    time: Int[Tensor, "B"] | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.user)

    @property
    def num_queries(self) -> int:
        """C, the number of queries in each row; 1 where the batch is only scored."""
        return 1

    @property
    def query_mask(self) -> Bool[Tensor, "B C"]:
        """Which queries are used. A batch that is only scored has one in each row, at the newest item."""
        return torch.ones(len(self), 1, dtype=torch.bool, device=self.user.device)

    @property
    def num_targets(self) -> Int[Tensor, ""]:
        """The number of targets that the loss is summed over; 0 where the batch is only scored."""
        return torch.zeros((), dtype=torch.long)

    @property
    def of_events(self) -> dict[str, Tensor | None]:
        """What the batch has of each event of the history besides its item, by the name of the field."""
        return {"times": self.times, "types": self.types, "features": self.features, "sessions": self.sessions}

    @property
    def session_positions(self) -> Int[Tensor, "B P"]:
        """The position of each event among those of the history in its session, from 1; 0 where it is unknown.

        Padding counts as no event. A session that begins before the history is counted from there.
        """
        assert self.sessions is not None
        is_event = (self.history > 0) & (self.sessions > 0)  # (B, P)
        same = (self.sessions.unsqueeze(2) == self.sessions.unsqueeze(1)) & is_event.unsqueeze(1)  # (B, P, P)
        return same.tril().sum(2) * is_event

    def moments(self, *, of_request: bool) -> Int[Tensor, "B P"]:
        """From when the history is seen at each position: the time of its event or, with `of_request`, of the next one.

        The next event is the one to be predicted, and its time is when the item is requested: after the newest event,
        `time`.
        """
        assert self.times is not None
        if not of_request:
            return self.times
        assert self.time is not None
        return torch.cat([self.times[:, 1:], self.time.unsqueeze(1)], 1)

    def last_items(self, window: int) -> Int[Tensor, "B L"]:
        """The last `window` items of each history, padded on the left where a history is shorter."""
        return _newest(self.history, window)

    def last_events(self: AnyBatch, window: int) -> AnyBatch:
        """The batch with the last `window` events of each history, padded on the left where a history is shorter."""
        return self.map_history(lambda column: _newest(column, window))

    def without_gaps(self: AnyBatch, *, keep_inner: bool = False) -> AnyBatch:
        """The batch with the padding of its histories on the left; see `segue.batches.gaps`."""
        order = closing_order(self.history, keep_inner=keep_inner)
        return self.map_history(lambda column: column.gather(1, order) if column.ndim == 2 else _gather(column, order))

    def map_history(self: AnyBatch, function: Callable[[Tensor], Tensor]) -> AnyBatch:
        """Apply `function` to everything that has one entry for each position of the histories."""
        columns = {"history": self.history, **self.of_events}
        return replace(self, **{name: function(column) for name, column in columns.items() if column is not None})

    def trimmed(self: AnyBatch) -> AnyBatch:
        """The batch without the leading positions at which every row is padded; for batches with C = P or C = 1."""
        if torch.compiler.is_exporting():  # the shapes of an exported network do not depend on values
            return self
        first = int((self.history > 0).any(0).to(torch.uint8).argmax())
        if first == 0:
            return self
        return self._map(lambda tensor: tensor if tensor.ndim == 1 else tensor[:, first:])

    def shard(self: AnyBatch, rank: int, world_size: int) -> AnyBatch:
        """Every `world_size`-th row, starting at `rank`: the part of the batch for one of several processes."""
        return self if world_size == 1 else self._map(lambda tensor: tensor[rank::world_size])

    def slices(self: AnyBatch, size: int) -> Iterator[AnyBatch]:
        """Consecutive parts of at most `size` rows; none if the batch has no rows."""
        if 0 < len(self) <= size:
            yield self
        else:
            for begin in range(0, len(self), size):
                yield self._map(lambda tensor, begin=begin: tensor[begin : begin + size])  # type: ignore[misc]

    def take(self: AnyBatch, rows: Int[Tensor, "n"]) -> AnyBatch:
        """The batch of some rows, in their order."""
        return self._map(lambda tensor: tensor[rows])

    def to(self: AnyBatch, device: torch.device) -> AnyBatch:
        """The same batch on `device`."""
        if device == self.user.device:
            return self
        tensors = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None})

    def _map(self: AnyBatch, function: Callable[[Tensor], Tensor]) -> AnyBatch:
        """Apply `function` to every tensor that has one entry per row."""
        tensors = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in self.batch_fields}
        return replace(self, **{name: function(tensor) for name, tensor in tensors.items() if tensor is not None})


@dataclass(frozen=True)
class SequenceBatch(Batch):
    """Histories with the items that followed: what ranking models are trained on.

    A row may hold several queries, each one position later than the one before. Neighbouring queries share the items of
    their windows and their targets: query c of C reads the window `history[:, c : c + L]` and has the targets
    `target[:, c : c + T]`.

        history  a b c d       L = 3, T = 2, C = 2:  query 0 reads a b c, its targets are e f;
        target   e f g                               query 1 reads b c d, its targets are f g

    With C = 1 the window is the whole history. A causal model (recurrent, causal attention) has L = 1 and P = C: query
    c is the one at position c, which depends on the items up to there.

    Attributes:
        target: the items that followed; 0 where there is none. R = T + C - 1, and P = L + C - 1.
        target_mask: True for queries that are trained on; the others only fill the row.
        negatives: G items without an event of the user, for each target of each query; G is 0 without negatives.
        shared_negatives: items that are negatives of every target of the batch, except of a target that is one.
        log_expected_count: for each item the logarithm of how often it is expected among `shared_negatives`.
    """

    batch_fields: ClassVar[tuple[str, ...]] = ("shared_negatives", "log_expected_count")

    target: Int[Tensor, "B R"]
    target_mask: Bool[Tensor, "B C"]
    negatives: Int[Tensor, "B C T G"] = NO_NEGATIVES
    shared_negatives: Int[Tensor, "S"] | None = None
    log_expected_count: Float[Tensor, "I"] | None = None

    def __post_init__(self) -> None:
        if self.negatives is NO_NEGATIVES:
            rows, queries = self.target_mask.shape
            targets = self.target.shape[1] - queries + 1
            object.__setattr__(self, "negatives", self.target.new_empty(rows, queries, targets, 0))

    @property
    def num_queries(self) -> int:
        return self.target_mask.shape[1]

    @property
    def query_mask(self) -> Bool[Tensor, "B C"]:
        return (self.targets > 0).any(2)

    @property
    def num_targets(self) -> Int[Tensor, ""]:
        return (self.targets > 0).sum()

    @cached_property
    def targets(self) -> Int[Tensor, "B C T"]:
        """The targets of each query; 0 where there is none, or where the query is masked out."""
        count = self.target.shape[1] - self.num_queries + 1
        return torch.where(self.target_mask.unsqueeze(2), self.target.unfold(1, count, 1), 0)


@dataclass(frozen=True)
class PairBatch(Batch):
    """(User, item) pairs: what a model of ratings predicts.

    A model may read what happened strictly before `time`: the user's `history`, and the users in the `item_history`.

    Attributes:
        item: item ids.
        item_history: the users with an event with the item, oldest first; 0 is padding. None for those at the end of
            the training log.
    """

    item: Int[Tensor, "B"]
    item_history: Int[Tensor, "B Q"] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class RatingBatch(PairBatch):
    """Pairs with their ratings: what models of ratings are trained on.

    Attributes:
        rating: the rating that the user gave the item.
    """

    rating: Float[Tensor, "B"]

    @property
    def num_targets(self) -> Int[Tensor, ""]:
        return torch.tensor(len(self))


def _gather(column: Float[Tensor, "B P F"], order: Int[Tensor, "B P"]) -> Float[Tensor, "B P F"]:
    return column.gather(1, order.unsqueeze(2).expand_as(column))


def pad_history(column: Tensor, left: int, right: int = 0) -> Tensor:
    """What belongs to the positions of histories, (B, P) or (B, P, F), with zeros at so many further positions."""
    return torch.nn.functional.pad(column, (0, 0) * (column.ndim - 2) + (left, right))


def _newest(column: Tensor, window: int) -> Tensor:
    """The last `window` entries of each row, with zeros on the left where there are fewer."""
    missing = window - column.shape[1]
    if missing > 0:
        return pad_history(column, missing)
    return column[:, column.shape[1] - window :]
