"""`Stream`: test-then-train. The rows of the test part come in the order of time: each is predicted, and then learnt.

    time ->   a1  b1  a2  c1  b2         a1: the first row of user a
    predicted a1  b1  a2      b2         c1 has no history, so it is no instance
    learnt    a1  b1  a2  c1  b2         each before the next one is predicted

With `retrain`, the model that predicts is trained anew on all rows before each hour or day
(`segue.experiments.retrained`). Of rows at one time, those of the user with the lower id come first. The measure is
that of Gama, Sebastiao and Rodrigues, On evaluating stream learning algorithms, Machine Learning 2013.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from segue.data.log import Ids, Log, Mask, ranges
from segue.data.splits import EvalInstances, Split

if TYPE_CHECKING:
    from segue.models.base.model import Model

Retrain = Literal["never", "hourly", "nightly"]
PERIODS: dict[str, str] = {"never": "", "hourly": "each hour", "nightly": "each day, at midnight UTC"}
SECONDS = {"hourly": 3600, "nightly": 86_400}


def in_time_order(instances: EvalInstances) -> EvalInstances:
    """The instances in the order of their rows in time."""
    return instances.take(np.lexsort((instances.row, instances.log.known_times[instances.row])))


def periods(instances: EvalInstances, retrain: Retrain) -> Iterator[tuple[int, EvalInstances]]:
    """The start of each hour or day, in the unit of the log's times, and its instances; those without any are left out.

    The instances are in the order of time.
    """
    log = instances.log
    length = SECONDS[retrain] * log.ticks_per_second
    period = log.known_times[instances.row] // length
    for number in np.unique(period):
        part = instances.take(np.flatnonzero(period == number))
        yield int(number * length), part if number == period[0] else replace(part, dropped={})


@dataclass(frozen=True, eq=False)
class Stream:
    """The rows of a test part in the order of time.

    Attributes:
        log: the whole log.
        user: (n,) the user of each row.
        row: (n,) the rows, as indices into the columns of the log.
        before: (C,) how many of the rows come before each instance.
        cold: (I + 1,) items whose rows are not learnt, see `segue.data.cold_items`.
    """

    log: Log
    user: Ids
    row: Ids
    before: Ids
    cold: Mask

    @classmethod
    def of(cls, split: Split, instances: EvalInstances) -> Stream:
        """The stream of the test part of a split, some or all of whose rows are instances, in the order of time."""
        log = split.log
        row = ranges(split.test, log.stop)
        user = np.repeat(np.arange(log.num_users + 1), log.stop - split.test)
        order = np.lexsort((row, log.known_times[row]))
        position = np.empty(len(log.item), np.int64)
        position[row[order]] = np.arange(len(row))
        cold = np.zeros(log.num_items + 1, np.bool_) if split.cold is None else split.cold
        return cls(log, user[order], row[order], position[instances.row], cold)

    @contextmanager
    def learnt_by(self, model: Model) -> Iterator[Callable[[EvalInstances], None]]:
        """What a model calls after each instance, to learn the rows up to the next one; then it is as it was before."""
        state = {name: value.clone() for name, value in model.state_dict().items()}
        known = [0, *self.before.tolist()]
        steps = iter(itertools.pairwise([*known, known[-1]]))

        def learn(predicted: EvalInstances) -> None:
            for _ in range(len(predicted)):
                self._learn(model, *next(steps))

        try:
            self._learn(model, *next(steps))
            yield learn
        finally:
            model.load_state_dict(state)

    def _learn(self, model: Model, start: int, stop: int) -> None:
        for user, row in zip(self.user[start:stop], self.row[start:stop], strict=True):
            *history, item = self.log.item[self.log.start[user] : row + 1].tolist()
            if not self.cold[item]:
                model.update([[earlier for earlier in history if not self.cold[earlier]]], [item])
