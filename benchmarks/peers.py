"""What the peers' scripts share: one thread, one clock, one reading of the log, one measure of their lists.

ml-1m.npz, which `segue_side.py export` writes: the log in segue's order, so that the split is the same for all

    items     2969 1178 1574 ... | 588 1002 ...       numbered from 1
    offsets   0                    53                 of each user's rows
              |---- train ----| valid | test |        leave-one-out

Runs in every peer's environment: nothing but NumPy is imported.
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

import numpy as np  # noqa: E402 - the threads come first

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
        """What `segue_side.py export` wrote."""
        with np.load(path) as file:
            return cls(file["items"], file["offsets"])

    def but_last(self, held: int) -> tuple[Ids, Ids, Ids]:
        """(user, item, position) of all rows but the last `held` of each user; users are numbered from 1."""
        length = np.diff(self.offsets)
        user = np.repeat(np.arange(1, len(length) + 1), length)
        position = np.arange(len(self.items)) - self.offsets[user - 1]
        kept = position < length[user - 1] - held
        return user[kept], self.items[kept], position[kept]

    @property
    def last(self) -> Ids:
        """Each user's last item: the target of the test."""
        return self.items[self.offsets[1:] - 1]


def pairs(events: Events, window: int | None = None) -> int:
    """How many (prefix, next item) an epoch holds where each user's train rows are cut to the last `window` + 1."""
    train = np.diff(events.offsets) - 2
    return int(np.minimum(train - 1, window or train.max()).clip(0).sum())


def quality(lists: Ids, targets: Ids) -> dict[str, float]:
    """Recall, NDCG and MRR of lists (n, k) of one target each (n,)."""
    hit = lists == targets[:, None]
    rank = np.where(hit.any(1), hit.argmax(1) + 1.0, np.inf)
    k = lists.shape[1]
    values = {"recall": rank <= k, "ndcg": 1 / np.log2(rank + 1), "mrr": 1 / rank}
    return {f"{name}@{k}": round(float(value.mean()), 5) for name, value in values.items()}


def stopwatch(base: type[Any]) -> Any:
    """A callback of Lightning's, whose class is `base`, with the seconds of each `epochs`, batch-making included."""

    class Stopwatch(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.epochs: list[dict[str, float]] = []
            self.start = (0.0, 0.0)

        def on_train_epoch_start(self, *_: Any) -> None:
            if not self.epochs:
                self.start = clock()

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            loss = float(trainer.callback_metrics.get("train_loss_epoch", trainer.callback_metrics["train_loss"]))
            self.epochs.append({**since(self.start), "loss": round(loss, 5)})
            self.start = clock()

    return Stopwatch()


def say(asked: dict[str, Any], result: dict[str, Any]) -> None:
    """Print one JSON line: what was asked, what was measured, and the peak memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(json.dumps({**asked, **result, "peak_mb": round(peak, 1)}))
