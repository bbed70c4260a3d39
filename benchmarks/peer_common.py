"""The common parts of the peers' scripts: threads, clock, log and metrics.

ml-1m.npz, written by `segue_side.py export`: the log in segue's order, so that all programs have the same split

    items     2969 1178 1574 ... | 588 1002 ...       numbered from 1
    offsets   0                    53                 of each user's rows
              |---- train ----| valid | test |        leave-one-out

This module runs in every peer's environment, so it imports only NumPy.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
os.environ.update(dict.fromkeys(ONE_THREAD, "1"))

import numpy as np  # noqa: E402 - the number of threads must be set before

Ids = np.ndarray[Any, np.dtype[np.int64]]
Clock = tuple[float, float]


def clock() -> Clock:
    """Wall and CPU seconds of this process."""
    return time.perf_counter(), time.process_time()


def since(start: Clock) -> dict[str, float]:
    """Wall and CPU seconds since `start`."""
    wall, cpu = clock()
    return {"wall_s": round(wall - start[0], 3), "cpu_s": round(cpu - start[1], 3)}


@dataclass(frozen=True)
class Events:
    """A log: `items` (n,) of all users, one after the other, and the `offsets` (users + 1,) where each begins."""

    items: Ids
    offsets: Ids

    @classmethod
    def read(cls, path: Path) -> Events:
        """Read the file that `segue_side.py export` wrote."""
        with np.load(path) as file:
            return cls(file["items"], file["offsets"])

    def without_last(self, held_out: int) -> tuple[Ids, Ids, Ids]:
        """(user, item, position) of all rows except the last `held_out` of each user; users are numbered from 1."""
        length = np.diff(self.offsets)
        user = np.repeat(np.arange(1, len(length) + 1), length)
        position = np.arange(len(self.items)) - self.offsets[user - 1]
        selected = position < length[user - 1] - held_out
        return user[selected], self.items[selected], position[selected]

    @property
    def last(self) -> Ids:
        """Each user's last item: the target of the test."""
        return self.items[self.offsets[1:] - 1]


def count_pairs(events: Events, window: int | None = None) -> int:
    """The number of (prefix, next item) pairs of an epoch, with the last `window` + 1 training rows of each user."""
    train = np.diff(events.offsets) - 2
    return int(np.minimum(train - 1, window or train.max()).clip(0).sum())


def ranking_metrics(lists: Ids, targets: Ids) -> dict[str, float]:
    """Recall, NDCG and MRR of recommended lists (n, k) with one target each (n,)."""
    hit = lists == targets[:, None]
    rank = np.where(hit.any(1), hit.argmax(1) + 1.0, np.inf)
    k = lists.shape[1]
    values = {"recall": rank <= k, "ndcg": 1 / np.log2(rank + 1), "mrr": 1 / rank}
    return {f"{name}@{k}": round(float(value.mean()), 5) for name, value in values.items()}


def stopwatch(base: type[Any]) -> Any:
    """A Lightning callback, a subclass of `base`, that measures the seconds of each epoch, including batch making."""

    class Stopwatch(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.epochs: list[dict[str, float]] = []
            self.start = (0.0, 0.0)

        def on_train_epoch_start(self, *_: Any) -> None:
            if not self.epochs:
                self.start = clock()

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            names = ("train_loss_epoch", "train_loss", "loss")  # of RecTools and RePlay, RePlay, WarpRec
            loss = next(float(trainer.callback_metrics[name]) for name in names if name in trainer.callback_metrics)
            self.epochs.append({**since(self.start), "loss": round(loss, 5)})
            self.start = clock()

    return Stopwatch()


def print_result(options: dict[str, Any], result: dict[str, Any]) -> None:
    """Print one JSON line: the options, the measurements, and the peak memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(json.dumps({**options, **result, "peak_mb": round(peak, 1)}))
