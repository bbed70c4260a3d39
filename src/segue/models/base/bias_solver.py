"""`solve_biases`: the mean rating and the biases of users and items, in closed form.

    minimise  sum (r - mu - b_u - b_i)^2  +  l2_user |b_u|^2 + l2_item |b_i|^2

One side is solved with the other fixed, in turns:  b_u = sum over u's n_u ratings of (r - mu - b_i) / (n_u + l2_user).
The bias of a user or an item without ratings is 0.
Source: Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 2009, (3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segue.batches.rated_events import RatedEvents
from segue.data.log import Floats

ITERATIONS = 30  # each reduces the remaining error several times


def solve_biases(ratings: RatedEvents, l2: Mapping[str, float]) -> tuple[float, Floats, Floats]:
    """The mean mu, the biases (U + 1,) of users and the biases (I + 1,) of items.

    Args:
        ratings: the ratings.
        l2: the penalty of each side that has a bias, "item" or "user" or both, in the order in which they are solved.
    """
    ids = {"user": ratings.user, "item": ratings.item}
    bias = {"user": np.zeros(ratings.log.num_users + 1), "item": np.zeros(ratings.log.num_items + 1)}
    rating = ratings.rating.astype(np.float64)
    mean = rating.mean()
    for _ in range(ITERATIONS if len(l2) > 1 else 1):
        for side, penalty in l2.items():
            other = "user" if side == "item" else "item"
            residual = rating - mean - bias[other][ids[other]]
            count = np.bincount(ids[side], minlength=len(bias[side])) + penalty
            total = np.bincount(ids[side], residual, len(bias[side]))
            bias[side] = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return float(mean), bias["user"], bias["item"]
