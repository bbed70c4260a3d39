"""Permutation test: does the order of a log carry signal?

    user 1   a b c d        transitions a>b b>c c>d
    user 2   x b c y        transitions x>b b>c c>y       b>c is shared by one pair of users

The statistic is the number of pairs of users who share a transition between two different items, summed over
transitions. Shuffling each user's events gives its distribution under the null hypothesis that order has no meaning.
Under this hypothesis the log's own count is one more draw from the shuffled counts (exchangeability; Pitman 1937), so
the test needs no model of the log. Shuffling only events with equal times shows how much of the signal comes from the
order of the file within such ties.

A signal is anything that puts the same items side by side: a true succession, but also a release that many users saw in
the same week, or a file sorted by item within a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.data.log import Ids, Log, Mask, ranges


@dataclass(frozen=True)
class OrderSignal:
    """The number of shared transitions in the log's order, compared with shuffled histories.

    Attributes:
        transitions: number of transitions between two different items that were counted.
        shared: pairs of users who share a transition, summed over transitions.
        shuffled: the mean of the same count over shuffled histories.
        deviation: the standard deviation of that count, at least that of a Poisson count.
        in_ties: share of the excess that is lost by shuffling only events of equal time; None without times, without
            ties or without a signal.
    """

    transitions: int
    shared: int
    shuffled: float
    deviation: float
    in_ties: float | None

    @property
    def ratio(self) -> float:
        """Shared transitions as a multiple of those of shuffled histories."""
        return self.shared / self.shuffled if self.shuffled else float("inf" if self.shared else "nan")

    @property
    def z(self) -> float:
        """The excess over shuffled histories, in standard deviations."""
        return (self.shared - self.shuffled) / self.deviation

    @property
    def significant(self) -> bool:
        """Whether order carries signal: an excess of more than five standard deviations."""
        return self.z > 5

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if max(self.shared, self.shuffled) < 10:
            return "the test of order has no result: users share too few transitions"
        figures = f"users share transitions {self.ratio:.2f} times as often as in shuffled histories, z = {self.z:.1f}"
        if not self.significant:
            return f"order carries no significant signal: {figures}"
        return f"order carries {'a little signal' if self.ratio < 1.1 else 'signal'}: {figures}"


def order_signal(log: Log, *, shuffles: int = 24, max_rows: int = 200_000, seed: int = 0) -> OrderSignal:
    """Test whether the order of `log` carries signal, on a random sample of whole users with up to `max_rows` rows."""
    # a random stream of its own: if the log were drawn from the same stream, "shuffling" would sort it
    rng = np.random.default_rng([seed, *b"order"])
    rows, user = _sample(log, max_rows, rng)
    item = np.unique(log.item[rows], return_inverse=True)[1].astype(np.int64)
    same_user = user[1:] == user[:-1]
    transitions = int((same_user & (item[1:] != item[:-1])).sum())

    def shuffled_counts(group: Ids) -> Ids:
        orders = (np.argsort(group + rng.random(len(group))) for _ in range(shuffles))
        return np.array([_shared(item[order], user, same_user) for order in orders])

    shared, counts = _shared(item, user, same_user), shuffled_counts(user)
    mean = float(counts.mean())
    deviation = max(float(counts.std(ddof=1)), np.sqrt(mean + 1))
    signal = OrderSignal(transitions, shared, mean, float(deviation), None)
    if not signal.significant or log.time is None:
        return signal
    time = log.time[rows]
    tied = same_user & (time[1:] == time[:-1])
    if not tied.any():
        return signal
    tie_group = np.concatenate([[0], np.cumsum(~tied)])
    lost = (shared - float(shuffled_counts(tie_group).mean())) / (shared - mean)
    return OrderSignal(transitions, shared, mean, float(deviation), min(max(lost, 0.0), 1.0))


def _sample(log: Log, max_rows: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """The rows (n,) of random users with at least two events, and the numbers 0, 1, ... (n,) of these users.

    There is at least one user, even if it has more than `max_rows` rows.
    """
    users = np.flatnonzero(log.lengths > 1)
    if log.lengths[users].sum() > max_rows:
        users = rng.permutation(users)
        users = users[: max(1, int(np.searchsorted(np.cumsum(log.lengths[users]), max_rows, "right")))]
    return ranges(log.start[users], log.stop[users]), np.repeat(np.arange(len(users)), log.lengths[users])


def _shared(item: Ids, user: Ids, same_user: Mask) -> int:
    """Pairs of users who share a transition, summed over transitions; a user counts once for each transition."""
    if not same_user.any():
        return 0
    transition = same_user & (item[1:] != item[:-1])
    pair = item[:-1][transition] * (item.max() + 1) + item[1:][transition]
    num_users = int(user[-1]) + 1
    key = np.sort(pair * num_users + user[1:][transition])
    key = key[np.diff(key, prepend=-1) > 0] // num_users
    users_per_transition = np.diff(np.flatnonzero(np.diff(key, prepend=-1, append=-1)))
    return int((users_per_transition * (users_per_transition - 1) // 2).sum())
