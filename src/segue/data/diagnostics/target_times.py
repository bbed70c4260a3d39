"""How soon the targets of evaluation instances follow the row before them: at the same time, or within a minute.

history   a@10  b@10  c@75 | d@75  target        d has the time of c: which of them comes first is the order of
                                                 the file, and both may be lines of one order
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from segue.data.baskets import basket_starts, baskets_per_user
from segue.data.log import Ids, Log
from segue.errors import DataError

SOME_TIED = 0.05  # share of instances above which tables say so
MANY_TIED = 0.1  # share of instances above which there is a warning: MovieLens and Amazon by day have .42 to .44
MANY_CLOSE = 0.5  # share within a minute; clicks of sessions have as many, but few sessions have 3 such groups
MINUTE = 60
Target = Literal["item", "basket", "leave-one-out"]
_TASKS: dict[Target, str] = {
    "item": "models predict one of several items that came together, given the others",
    "basket": "models predict the rest of a basket, given the others",
    "leave-one-out": "with leave-one-out, models predict one of several items that came together, given the others",
}


@dataclass(frozen=True)
class TargetTimes:
    """How soon the first target of evaluation instances follows the row before it.

    Attributes:
        tied: share of the instances in which both have the same time.
        close: share in which the target follows within a minute; None if the log's times are no dates.
    """

    tied: float
    close: float | None


def target_times(log: Log, rows: Ids) -> TargetTimes | None:
    """The times of first targets, given by their `rows`, and of the rows before them; None without times or rows."""
    if log.time is None or not len(rows):
        return None
    after = log.time[rows] - log.time[rows - 1]
    tied = float((after == 0).mean())
    try:
        return TargetTimes(tied, float((after <= MINUTE * log.ticks_per_second).mean()))
    except DataError:
        return TargetTimes(tied, None)


def basket_warning(log: Log, times: TargetTimes | None, target: Target) -> str | None:
    """One sentence if many targets are part of the same basket as the row before them, otherwise None.

    Args:
        log: the log.
        times: the times of the first targets; None if they are unknown.
        target: what is predicted: an item, a basket, or the last item of each user.
    """
    if times is None:
        return None
    task = _TASKS[target]
    if times.tied > MANY_TIED:
        return (
            f"{times.tied:.0%} of the test targets have the same time as the row before them: {task}; "
            "with --protocol next-basket they predict all items of the next time"
        )
    if times.close is not None and times.close > MANY_CLOSE and _several_baskets(log):
        return (
            f"{times.close:.0%} of the test targets follow within a minute of the row before them: where such rows "
            f"are one order or one sitting, {task}; with --protocol next-basket --gap {MINUTE} they predict all "
            "items of the next one"
        )
    return None


def _several_baskets(log: Log) -> bool:
    """Whether most users have the 3 baskets, with gaps of a minute, that the protocol next-basket needs."""
    number = baskets_per_user(log, basket_starts(log, MINUTE))[log.lengths > 0]
    return float(np.mean(number >= 3)) > 0.5
