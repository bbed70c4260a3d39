"""`Events`: the log that the peers' scripts read, and the metrics of their lists.

ml-1m.npz, written by `python -m benchmarks.segue_side export`: the log in segue's order, so that all programs have the
same split

    items     2970 1179 1575 ... | 1109 1121 ...       numbered from 1
    offsets   0                    53                 of each user's rows
    times     978300019            978298124          of each row, in seconds
              |---- train ----| valid | test |        leave-one-out

This module runs in every peer's environment, so it imports only the standard library and NumPy at its top.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Ids = np.ndarray[Any, np.dtype[np.int64]]
K = 10  # items in a list


@dataclass(frozen=True)
class Events:
    """A log: `items` (n,) of all users in turn; `offsets` (users + 1,) where each begins, `times` (n,) of all rows."""

    items: Ids
    offsets: Ids
    times: Ids

    @classmethod
    def read(cls, path: str | Path) -> Events:
        """Read the exported file."""
        with np.load(path) as file:
            return cls(file["items"], file["offsets"], file["times"])

    @property
    def num_users(self) -> int:
        """The number of users."""
        return len(self.offsets) - 1

    @property
    def num_items(self) -> int:
        """The number of items."""
        return int(self.items.max())

    def without_last(self, held_out: int) -> tuple[Ids, Ids, Ids]:
        """(user, item, position) of all rows except the last `held_out` of each user; users are numbered from 1."""
        length = np.diff(self.offsets)
        user = np.repeat(np.arange(1, len(length) + 1), length)
        position = np.arange(len(self.items)) - self.offsets[user - 1]
        selected = position < length[user - 1] - held_out
        return user[selected], self.items[selected], position[selected]

    def matrix(self, held_out: int) -> Any:
        """(users, items) SciPy's CSR matrix of these rows; users and items are numbered from 0."""
        from scipy.sparse import csr_matrix

        user, item, _ = self.without_last(held_out)
        ones = np.ones(len(user), np.float32)
        return csr_matrix((ones, (user - 1, item - 1)), shape=(self.num_users, self.num_items))

    def count_pairs(self, window: int | None = None) -> int:
        """The number of (prefix, next item) pairs of an epoch, of the last `window` + 1 training rows of each user."""
        train = np.diff(self.offsets) - 2
        return int(np.minimum(train - 1, window or train.max()).clip(0).sum())

    def metrics(self, lists: Ids) -> dict[str, float]:
        """Recall, NDCG and MRR of a list (users, k) of items for each user, whose target is the last item."""
        return ranking_metrics(lists, self.items[self.offsets[1:] - 1])


def add_events(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the exported file."""
    parser.add_argument("--events", type=Events.read, required=True, help="the file that segue's side has exported")


def ranking_metrics(lists: Ids, targets: Ids) -> dict[str, float]:
    """Recall, NDCG and MRR of recommended lists (n, k) with one target each (n,)."""
    hit = lists == targets[:, None]
    rank = np.where(hit.any(1), hit.argmax(1) + 1.0, np.inf)
    k = lists.shape[1]
    values = {"recall": rank <= k, "ndcg": 1 / np.log2(rank + 1), "mrr": 1 / rank}
    return {f"{name}@{k}": round(float(value.mean()), 5) for name, value in values.items()}
