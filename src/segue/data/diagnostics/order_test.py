"""Does the order of a log carry signal? A permutation test on the steps that users share.

    user 1   a b c d        steps a>b b>c c>d
    user 2   x b c y        steps x>b b>c c>y       b>c is shared by one pair of users

Count, over all steps between two different items, the pairs of users who both took it. Shuffle each user's events,
count again: that is what the same tastes give when the order is meaningless. If the order is, the log's own
count is one more draw from the shuffled counts (exchangeability; Pitman 1937), so the test needs no model of the log.
Shuffling only events that share a time tells how much of the signal lies in the order of the file inside such ties.
Signal is anything that puts the same items side by side: true succession, but also a release that everybody met
in the same week, or a file sorted by item within a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.data.log import Ids, Log, ranges


@dataclass(frozen=True)
class OrderSignal:
    """How often users share a step, in the log's order and after shuffling.

    Attributes:
        steps: steps between two different items that were looked at.
        shared: pairs of users who took the same step, summed over steps.
        shuffled: the mean of the same count over shuffled histories.
        deviation: its standard deviation, at least that of a Poisson count.
        in_ties: share of the excess that is lost by shuffling only events of equal time; None where nothing can be
            said: no times, no ties or no signal.
    """

    steps: int
    shared: int
    shuffled: float
    deviation: float
    in_ties: float | None

    @property
    def ratio(self) -> float:
        """Shared steps, as a multiple of those of shuffled histories."""
        return self.shared / self.shuffled if self.shuffled else float("inf" if self.shared else "nan")

    @property
    def z(self) -> float:
        """The excess over shuffled histories, in standard deviations."""
        return (self.shared - self.shuffled) / self.deviation

    @property
    def found(self) -> bool:
        """Whether order carries signal beyond doubt: more than five standard deviations."""
        return self.z > 5

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if max(self.shared, self.shuffled) < 10:
            return "whether order carries signal cannot be told: users share too few steps"
        figures = f"users share steps {self.ratio:.2f} times as often as in shuffled histories, z = {self.z:.1f}"
        if not self.found:
            return f"order carries no signal that shows: {figures}"
        return f"order carries {'a little signal' if self.ratio < 1.1 else 'signal'}: {figures}"


def order_signal(log: Log, *, shuffles: int = 24, max_rows: int = 200_000, seed: int = 0) -> OrderSignal:
    """Test whether the order of `log` carries signal, on whole users drawn at random up to `max_rows` rows."""
    # a stream of its own: were the log drawn at random from the same seed, "shuffling" would sort it
    rng = np.random.default_rng([seed, *b"order"])
    rows, user = _sample(log, max_rows, rng)
    item = np.unique(log.item[rows], return_inverse=True)[1].astype(np.int64)
    inner = user[1:] == user[:-1]
    steps = int((inner & (item[1:] != item[:-1])).sum())

    def count(order: Ids) -> int:
        return _shared(item[order], user, inner)

    def null(group: Ids) -> Ids:
        return np.array([count(np.argsort(group + rng.random(len(group)))) for _ in range(shuffles)])

    shared, by_user = _shared(item, user, inner), null(user)
    mean = float(by_user.mean())
    deviation = max(float(by_user.std(ddof=1)), np.sqrt(mean + 1))
    signal = OrderSignal(steps, shared, mean, float(deviation), None)
    if not signal.found or log.time is None:
        return signal
    time = log.time[rows]
    tied = inner & (time[1:] == time[:-1])
    if not tied.any():
        return signal
    moments = np.concatenate([[0], np.cumsum(~tied)])
    lost = (shared - float(null(moments).mean())) / (shared - mean)
    return OrderSignal(steps, shared, mean, float(deviation), min(max(lost, 0.0), 1.0))


def _sample(log: Log, max_rows: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Rows (n,) of random users with two events or more, at least one user, and their numbers 0, 1, ... (n,)."""
    users = np.flatnonzero(log.lengths > 1)
    if log.lengths[users].sum() > max_rows:
        users = rng.permutation(users)
        users = users[: max(1, int(np.searchsorted(np.cumsum(log.lengths[users]), max_rows, "right")))]
    return ranges(log.start[users], log.stop[users]), np.repeat(np.arange(len(users)), log.lengths[users])


def _shared(item: Ids, user: Ids, inner: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Pairs of users who took the same step, summed over steps; a user counts once for each step."""
    if not inner.any():
        return 0
    step = inner & (item[1:] != item[:-1])
    pair = item[:-1][step] * (item.max() + 1) + item[1:][step]
    num_users = int(user[-1]) + 1
    key = np.sort(pair * num_users + user[1:][step])
    key = key[np.diff(key, prepend=-1) > 0] // num_users
    takers = np.diff(np.flatnonzero(np.diff(key, prepend=-1, append=-1)))
    return int((takers * (takers - 1) // 2).sum())
