"""Small worlds to rank in: logs written out by hand, and a model that answers with scores that it was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data.log import Log, Vocab
from segue.data.splits import EvalInstances
from segue.models.base.model import DotProductModel, Model, Sizes


def make_log(histories: list[list[int]], items: int) -> Log:
    """User u = 1, 2, ... did `histories[u - 1]`."""
    sizes = np.array([0, *map(len, histories)])
    stop = np.cumsum(sizes)
    item = np.array([i for history in histories for i in history], np.int32)
    users, names = (Vocab(pl.Series(range(1, n + 1), dtype=pl.Int64)) for n in (len(histories), items))
    return Log(users, names, stop - sizes, stop, item)


def make_instances(past: list[list[int]], targets: list[list[int]], items: int) -> EvalInstances:
    """One question a user: `past` happened, `targets` come."""
    log = make_log([p + t for p, t in zip(past, targets, strict=True)], items)
    user = np.array([u + 1 for u, t in enumerate(targets) if t], np.int64)
    row = log.start[user] + np.array([len(past[u - 1]) for u in user], np.int64)
    return EvalInstances(log, user, row, log.stop[user], {})


class FixedScores(Model):
    """Fixed scores of the items for each user: row u of a table (U + 1, I + 1)."""

    name, Config = "fixed", Config
    window: int | None = 0

    def __init__(self, table: Any, window: int | None = 0) -> None:
        self.window = window
        table = torch.as_tensor(table)
        super().__init__(Config(), Sizes(len(table) - 1, table.shape[1] - 1))
        self.register_buffer("table", table)

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        assert not self.training
        scores = self.table[batch.user]
        return scores if items is None else scores[:, items]


class Dots(DotProductModel):
    """A dot product of given user and item vectors; counts the calls of `item_vectors`."""

    name, Config = "dots", Config
    window: int | None = 2

    def __init__(self, users: Tensor, items: Tensor) -> None:
        super().__init__(Config(), Sizes(len(users) - 1, len(items) - 1))
        self.users, self.items = torch.nn.Parameter(users), torch.nn.Parameter(items)
        self.evaluated = 0

    def query(self, batch: Batch) -> Tensor:
        return self.users[batch.user]

    def item_vectors(self) -> Tensor:
        self.evaluated += 1
        return self.items


def naive(
    scores: np.ndarray[Any, Any], past: list[int], targets: list[int], *, exclude_seen: bool, ties: str, depth: int
) -> tuple[list[int], list[int]]:
    """(ranks of the targets, recommended list) of one question, by sorting all candidates."""
    gone = set(past) if exclude_seen else set()
    wanted = set(targets) - gone
    candidates = [i for i in range(1, len(scores)) if i not in gone and scores[i] > -np.inf]
    late = ties == "conservative"
    candidates.sort(key=lambda i: (-scores[i], (i in wanted) == late, i))
    lost = [depth + 1] * len(wanted - set(candidates))
    place = [min(n + 1, depth + 1) for n, i in enumerate(candidates) if i in wanted]
    top = sorted(candidates, key=lambda i: (-scores[i], i))[:depth]  # the tie rule is about ranks alone
    return place + lost, top + [0] * (min(depth, len(scores) - 1) - len(top))


def full_rank(scores: Tensor, target: Tensor, ties: str = "conservative") -> Tensor:
    """The rank, from 1, of one target per row among all columns; `target` (B,) is its column.

    "conservative" counts the candidates that score at least as high (the target is one of them), "optimistic" one more
    than those that score higher, "median" is the mean of both.
    """
    own = scores.gather(1, target[:, None])
    higher, equal = (scores > own).sum(1).double(), (scores == own).sum(1).double()
    return higher + {"conservative": equal, "optimistic": torch.ones_like(equal), "median": (1 + equal) / 2}[ties]
