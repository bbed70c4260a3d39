"""`LinearModel`: base class of models whose scores are linear in the items of the history.

    score(j) = sum over the last `window` items i of the history, newest first (r = 0, 1, ...), of
               position_decay^r  B_ij

A subclass computes the weights B in closed form, to predict targets: where only some events may be, B_ij is learnt from
those with j, and events with weights count so much. The weights B are dense, so that they are limited to the
`max_items` most popular items; all other items score 0.
"""

from __future__ import annotations

import logging
from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from scipy.linalg import lapack
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.event_types import heaviest
from segue.data.log import Floats, Ids, Log
from segue.errors import require
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.search_space import LogUniform, Space, Uniform
from segue.nn.buffers import require_ids

logger = logging.getLogger("segue")

MIN_L2_SHARE = 1e-12  # of the trace of the matrix that l2 is added to; the inverse then has some right digits
LINEAR_SPACE: Space = {"l2": LogUniform(10.0, 5000.0), "position_decay": Uniform(0.4, 1.0)}


class LinearConfig(EventWeightsConfig):
    """Settings of all linear models."""

    l2: float = Field(500.0, gt=0, description="Weight of the L2 penalty on the item-item weights.")
    window: int | None = Field(50, ge=1, description="Number of most recent items that are scored; none takes all.")
    position_decay: float = Field(
        0.8, gt=0, le=1, description="Weight of an item of the history relative to the next newer one."
    )
    max_items: int = Field(
        10_000,
        ge=1,
        description=(
            "Number of most popular items that have weights; all others score 0. With n items the model has n^2 "
            "numbers, and fitting it takes 24 n^2 bytes (ease) or up to 40 n^2 bytes (slist, tale) and time that grows "
            "with n^3."
        ),
    )


class LinearModel(DirectModel):
    """Base class of models with a dense matrix of item-item weights.

    Attributes:
        place: the row and the column of each item in the weights; 0 for items without any.
        weight: B, with zeros in row 0 and column 0; n is the number of items with weights.
    """

    depends_on_seed = False
    config: LinearConfig
    skips_padding = "anywhere"
    additive = "sum"
    item_similarity = "the weight of the item in the score of the other"
    place: Tensor
    weight: Tensor

    def __init__(self, config: LinearConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        count = min(config.max_items, sizes.num_items) + 1
        self.register_buffer("place", torch.zeros(sizes.num_items + 1, dtype=torch.int64))
        self.register_buffer("weight", torch.zeros(count, count))

    @abstractmethod
    def item_weights(self, log: Log, place: Ids) -> Floats:
        """B, (n, n), from a log.

        Args:
            log: the training log.
            place: (I + 1,) the number of each item among those with weights, from 1; 0 for items without.
        """

    def fit(self, log: Log) -> None:
        """Compute the weights of the most popular items, of equally popular ones those with the lower ids."""
        place = np.zeros(log.num_items + 1, np.int64)
        popular = np.argsort(-log.counts()[1:], kind="stable")[: len(self.weight) - 1] + 1
        place[np.sort(popular)] = np.arange(1, len(popular) + 1)
        if len(popular) < log.num_items:
            left_out = log.counts()[place == 0].sum() / max(len(log), 1)
            logger.warning(
                "%s: %s of %s items have weights, as max_items says; the others, with %.1f%% of the events, score 0",
                *(self.name, f"{len(popular):,}", f"{log.num_items:,}", 100 * left_out),
            )
        self.place.copy_(torch.from_numpy(place))
        self.weight[1:, 1:].copy_(torch.from_numpy(self.item_weights(log, place)))

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded places are outside the weights."""
        require_ids(self.place, len(self.weight) - 1, "places of items")

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        history = batch.history if self.window is None else batch.last_items(self.window)
        age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device)
        decay = self.config.position_decay ** age.to(self.weight)
        known = self.place[history]
        row, column = known.nonzero(as_tuple=True)  # twice as fast as adding rows of zeros where histories are long
        start = torch.searchsorted(row, torch.arange(len(history), device=history.device))
        scores = nn.functional.embedding_bag(
            known[row, column], self.weight, start, per_sample_weights=decay[column], mode="sum"
        )
        place = self.place if items is None else self.place[items]
        scores = scores.index_select(1, place)
        scores[:, slice(0, 1) if items is None else items == 0] = -torch.inf
        return scores

    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        similarities = self.weight[self.place[items]].index_select(1, self.place)
        similarities[:, self.place == 0] = -torch.inf
        return similarities


def user_item_matrix(log: Log, place: Ids, weights: Floats | None = None) -> sp.csr_array:
    """X, (U, n): 1, or the largest weight of an event, where a user has an item.

    Args:
        log: the log.
        place: that of `LinearModel.item_weights`.
        weights: (R,) the weight of each row of the log's columns; 1 by default.
    """
    user, item = log.events()
    span = int(place.max(initial=0)) + 1
    weight = np.ones(len(item)) if weights is None else log.column(weights)
    keys, values = heaviest(user * span + place[item], weight)
    known = keys % span > 0
    keys, values = keys[known], values[known]
    return sp.csr_array((values, (keys // span - 1, keys % span - 1)), shape=(log.num_users, span - 1))


def regression_weights(gram: Floats, cross: Floats, *, l2: float, max_diagonal: float | None) -> Floats:
    """B, (n, n), that minimises tr(B^T gram B - 2 B^T cross) + l2 |B|^2, with B_jj <= max_diagonal if there is a bound.

    Column j is P (cross_j - m_j e_j) with P = (gram + l2)^-1. The multiplier m_j is 0 where the bound holds without it.

    Args:
        gram: (n, n), symmetric; its memory is used.
        cross: (n, n).
        l2: weight of the penalty.
        max_diagonal: the bound, or None.
    """
    inverse = ridge_inverse(gram, l2)
    weights = inverse @ cross
    if max_diagonal is not None:
        inverse *= np.maximum(np.diag(weights) - max_diagonal, 0) / np.diag(inverse)
        weights -= inverse
    return weights


def ridge_inverse(gram: Floats, l2: float) -> Floats:
    """(gram + l2)^-1 of a symmetric, positive semidefinite matrix, written into its memory.

    LAPACK's Cholesky factor is written there, too: 2.8 times as fast as `numpy.linalg.inv`, which needs three more
    matrices of this size.

    Raises:
        ConfigError: l2 is lost to rounding beside the entries of the matrix.
    """
    least = MIN_L2_SHARE * float(np.trace(gram))
    require(l2 >= least, f"l2={l2}: must be at least about {least:.1g} on this log, or rounding decides the weights")
    gram[np.diag_indices_from(gram)] += l2
    factor, _ = lapack.dpotrf(gram.T, lower=1, overwrite_a=1, clean=0)  # the order of Fortran: the same memory
    inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T
    for row in range(len(inverse)):  # the other half
        inverse[row + 1 :, row] = inverse[row, row + 1 :]
    return inverse
