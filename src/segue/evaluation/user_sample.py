"""`draw_users`: the evaluation instances of some randomly drawn users, for logs with millions of them.

Every user id has a random number, which the seed alone determines. The users with the smallest numbers are drawn. The
draw therefore depends on neither the model nor the order of the instances, and a smaller sample is part of a larger
one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segue.data.log import distinct
from segue.data.splits import EvalInstances

NOT_DRAWN = "instances of users that were not drawn"


def draw_users(instances: EvalInstances, number: int | None, seed: int) -> EvalInstances:
    """All instances of at most `number` users of `instances`, in their order; None keeps all users.

    >>> from segue.data import splits, synthetic
    >>> split = splits.leave_last_out(synthetic.cycle(num_users=50, num_items=20, length=8))
    >>> drawn = draw_users(split.instances("test"), 10, seed=0)
    >>> len(drawn), drawn.dropped
    (10, {'instances of users that were not drawn': 40})
    """
    users = distinct(instances.user)
    if number is None or number >= len(users):
        return instances
    place = np.random.default_rng(seed).random(instances.log.num_users + 1)
    is_drawn = np.zeros(len(place), np.bool_)
    is_drawn[users[np.argpartition(place[users], number - 1)[:number]]] = True
    drawn = instances.take(np.flatnonzero(is_drawn[instances.user]))
    return replace(drawn, dropped={**instances.dropped, NOT_DRAWN: len(instances) - len(drawn)})
