"""Stochastic gradient descent on the BPR loss, one triple (user, item, negative item) at a time.

    x = p . (q - r)                          p, q, r: the vectors of the three; a bias of the items adds its difference
    p <- p + lr (sigma(-x) (q - r) - 2 l2 p)
    q <- q + lr (sigma(-x) p - 2 l2 q)
    r <- r - lr (sigma(-x) p + 2 l2 r)

Source: LearnBPR in Rendle, Freudenthaler, Gantner and Schmidt-Thieme, UAI 2009, figure 4.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from torch import Tensor

from segue.data.log import Codes, Floats
from segue.nn.compiled.loops import pairwise_sgd

PART_SIZE = 1 << 16  # triples of which the mean loss is returned


def sgd_epoch(
    triples: Codes, user_vectors: np.ndarray, item_vectors: np.ndarray, *, lr: float, l2: float, num_threads: int = 1
) -> Floats:
    """Make one step for each triple, in order, by the compiled loop or, without numba, by its plain form.

    With several threads, each takes one part of the triples after the other, and all update the same vectors without a
    lock, so the result depends on chance (Niu et al., "Hogwild!", NeurIPS 2011).

    Args:
        triples: (n, 3) user, item and negative item; one with negative item 0 is left out.
        user_vectors: (U + 1, d), which are updated.
        item_vectors: (I + 1, d) or, with a bias in the last column, (I + 1, d + 1), which are updated.
        lr: learning rate.
        l2: weight of the squared norms of the three vectors.
        num_threads: number of threads.

    Returns:
        The mean loss of each part of the triples.
    """
    steps = pairwise_sgd.for_work(len(triples)) or plain_sgd_steps
    step = partial(steps, user_vectors=user_vectors, item_vectors=item_vectors, lr=lr, l2=l2)
    parts = [triples[begin : begin + PART_SIZE] for begin in range(0, len(triples), PART_SIZE)]
    with ThreadPoolExecutor(num_threads) as threads:
        losses = list(threads.map(step, parts))
    return np.array([loss / len(part) for loss, part in zip(losses, parts, strict=True)])


class NoOptimizer:
    """Stands for the optimiser of a model that updates its weights itself, and has no state."""

    def zero_grad(self) -> None:
        """Do nothing."""

    def step(self) -> None:
        """Do nothing."""

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Do nothing."""


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite says it
def plain_sgd_steps(triples: Codes, user_vectors: np.ndarray, item_vectors: np.ndarray, lr: float, l2: float) -> float:
    """The steps of the triples in order, in numpy; returns the sum of the losses before each step."""
    dim, total = user_vectors.shape[1], 0.0
    ones = np.ones(item_vectors.shape[1] - dim, user_vectors.dtype)
    for u, i, j in triples.tolist():
        if j == 0:
            continue
        p, q, r = user_vectors[u], item_vectors[i], item_vectors[j]
        p1 = np.concatenate([p, ones])  # with a 1 for the bias
        x = float(p1 @ (q - r))
        small = math.exp(-abs(x))  # never overflows
        total += math.log1p(small) + max(-x, 0.0) + l2 * float(p @ p + q @ q + r @ r)
        sigma = (small if x > 0 else 1.0) / (1.0 + small)  # sigma(-x)
        user_vectors[u] += lr * (sigma * (q - r)[:dim] - 2 * l2 * p)
        item_vectors[i] += lr * (sigma * p1 - 2 * l2 * q)
        item_vectors[j] -= lr * (sigma * p1 + 2 * l2 * r)
    return total
