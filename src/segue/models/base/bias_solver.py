"""`biases`: how far each user and each item lies from the mean of all ratings, in closed form.

    minimise  sum (r - mu - b_u - b_i)^2  +  l2_user |b_u|^2 + l2_item |b_i|^2

solved for one side with the other held, in turns:  b_u = sum over u's n_u ratings of (r - mu - b_i) / (n_u + l2_user).
Whoever has no rating has b = 0.
Source: Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 2009, (3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segue.batches.rated_events import RatedEvents

Values = np.ndarray[Any, np.dtype[np.float64]]
SWEEPS = 30  # each makes what is left to gain several times smaller


def biases(pairs: RatedEvents, l2: Mapping[str, float]) -> tuple[float, Values, Values]:
    """(mu, (U + 1,) b of users, (I + 1,) b of items).

    Args:
        pairs: the ratings.
        l2: the penalty of each side that has a bias, "item" or "user" or both, in the order in which they are solved.
    """
    ids = {"user": pairs.user, "item": pairs.item}
    bias = {"user": np.zeros(pairs.log.num_users + 1), "item": np.zeros(pairs.log.num_items + 1)}
    rating = pairs.rating.astype(np.float64)
    mean = rating.mean()
    for _ in range(SWEEPS if len(l2) > 1 else 1):
        for side, penalty in l2.items():
            other = "user" if side == "item" else "item"
            left = rating - mean - bias[other][ids[other]]
            count = np.bincount(ids[side], minlength=len(bias[side])) + penalty
            total = np.bincount(ids[side], left, len(bias[side]))
            bias[side] = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return float(mean), bias["user"], bias["item"]
