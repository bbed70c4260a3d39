"""`hold_out_tails`: holds out the newest rows of some users of a training log, to learn a part of a model on them.

    user 1   a b c d e f g h       trained on   a b c          held out   d e f g h
    user 2   a b c                              a b c
    user 3   a b c d                            a                         b c d

Such a part is the weights of an ensemble: on the rows that its models were trained on, the one that has learnt most by
heart would get the most weight.
"""

from __future__ import annotations

import math

import numpy as np

from segue.data.log import Log, ranges
from segue.data.splits import EvalInstances

MAX_TAIL = 5  # rows of a user
MAX_SHARE = 0.2  # of the users with two rows or more: a model lacks the newest rows of those that are drawn


def hold_out_tails(log: Log, count: int, rng: np.random.Generator) -> tuple[Log, EvalInstances]:
    """A log without the newest rows of some users, and these rows.

    Users are drawn at random until they have `count` rows together, or until they are `MAX_SHARE` of all those with two
    rows or more. Held out are the newest `MAX_TAIL` rows of each, but never the first. So short histories, such as
    sessions, are held out at every step, and long ones at their end.

    Args:
        log: the training log.
        count: the largest number of rows.
        rng: draws the users.

    Returns:
        The log without these rows, and an instance for each of them that may be a target.
    """
    user = rng.permutation(np.flatnonzero(log.lengths > 1))
    user = user[: math.ceil(MAX_SHARE * len(user))]
    length = np.minimum(MAX_TAIL, log.lengths[user] - 1)
    is_drawn = np.cumsum(length) <= count
    user, length = user[is_drawn], length[is_drawn]
    stop = log.stop.copy()
    stop[user] -= length
    row, owner = ranges(stop[user], log.stop[user]), np.repeat(user, length)
    if log.is_target is not None:
        row, owner = row[log.is_target[row]], owner[log.is_target[row]]
    order = np.argsort(row)
    return log.until(stop), EvalInstances(log, owner[order], row[order], row[order] + 1, {})
