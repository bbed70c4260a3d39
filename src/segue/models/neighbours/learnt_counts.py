"""Learnt counts: how often items lie near each other in histories, with weights learnt by maximum likelihood.

Three relations r of an item i and another item j count pairs of events of a user, first i, then j, at a distance d:

    next     1 where j follows directly
    rules    1 / |d|            up to 30 positions apart; .6 of that where j comes before i
    near     |d|^-.3            up to 50 positions apart; .65 of that where j comes before i

    S(j) = sum over r  sum over the last `window` items i_l, newest first (l = 0, 1, ..)  of
           exp(b_r + g_rl) (n_i + shrinkage)^-alpha_r (n_j + shrinkage)^-beta_r  C_r(i_l, j)
    score(j) = kappa ln(S(j) + eps n_j^gamma)  +  rho where j is among these items
                                                                    n_i = events of item i, C_r = the counts of r

The weights b, g, alpha, beta, kappa, eps, gamma and rho, three for each position and thirteen more, are those under
which the rows of the training log are most likely: they minimise the cross-entropy of the softmax of the scores over
all items. The pairs that a user's own rows form would give the answer away, so the score of each row is computed with
these pairs, and these events in n_i and n_j, taken out of the counts. This is exact: it is as if the log were counted
without the user.

Rows are learnt from in random order. Where only some events are targets, j is one of them in every pair, and so are the
n_j and the rows that are learnt from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.left_out_rows import LeftOutBatch, LeftOutRows
from segue.config import Field
from segue.data.event_types import item_weights
from segue.data.log import Log
from segue.errors import require
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.model import DirectModel, Sizes
from segue.models.base.pair_counts import PairWeights, count_pairs
from segue.models.base.search_space import Choice, Space, Uniform
from segue.nn.growing_matrix import GrowingMatrix
from segue.nn.optim import Adam, polynomial_lr
from segue.reporting.console import progress


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Which pairs of events are counted with which weight, and the first alpha and beta."""

    pairs: PairWeights
    alpha: float
    beta: float

    @cached_property
    def by_distance(self) -> list[float]:
        """The weight of a pair by distance, see `PairWeights.by_distance`; a list is read faster, one by one."""
        weights: list[float] = self.pairs.by_distance().tolist()
        return weights


RELATIONS = (
    Relation(pairs=PairWeights(max_distance=1, distance_decay=0.0, backward_weight=0.0), alpha=1.0, beta=0.0),
    Relation(pairs=PairWeights(max_distance=30, distance_decay=1.0, backward_weight=0.6), alpha=1.0, beta=0.0),
    Relation(pairs=PairWeights(max_distance=50, distance_decay=0.3, backward_weight=0.65), alpha=0.6, beta=0.4),
)
MIN_COUNT = 0.5  # of an item without an event, whose popularity has a logarithm then
FIRST_AGES = 0.1, 0.8  # the first weight of an old item, and the rate at which those of newer ones fall to it


class LearntCountsConfig(EventWeightsConfig):
    """Settings of learnt counts."""

    window: int = Field(50, ge=1, description="Number of most recent items that are scored.")
    shrinkage: float = Field(
        5.0, gt=0, description="Added to popularities, so that chance pairs of rare items count less."
    )
    max_examples: int = Field(30_000, ge=1, description="Largest number of rows that the weights are learnt from.")
    passes: int = Field(6, ge=1, description="How often a row is learnt from at most.")
    batch_size: int = Field(16, ge=1, description="Number of rows in one step of learning.")
    lr: float = Field(0.05, gt=0, description="First learning rate of Adam; it falls to 0 in a straight line.")


class LearntCounts(DirectModel):
    """Recommends items that lie near those of the history in other histories, weighted so that the log is likely."""

    name = "learnt-counts"
    training_cost = "medium"
    depends_on_seed = False
    Config = LearntCountsConfig
    space: ClassVar[Space] = {"window": Choice(10, 20, 50), "shrinkage": Uniform(0.5, 20.0)}
    item_similarity = "how strongly the item raises the score of the other as the newest of a history"
    skips_padding = "anywhere"
    config: LearntCountsConfig
    window: int
    count: Tensor
    target_count: Tensor

    def __init__(self, config: LearntCountsConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window, self.can_update = config.window, config.event_weights is None
        self.update_window = max(relation.pairs.max_distance for relation in RELATIONS)
        num_ids = sizes.num_items + 1
        self.counts = nn.ModuleList(GrowingMatrix((num_ids, num_ids)) for _ in RELATIONS)  # C_r
        self.register_buffer("count", torch.zeros(num_ids))  # n_i
        self.register_buffer("target_count", torch.zeros(num_ids))  # n_j
        self._all_alike: bool | None = None  # whether all events are targets of weight 1; None until it is needed
        floor, decay = FIRST_AGES
        ages = [math.log(floor + (1 - floor) * decay**age) for age in range(config.window)]
        self.relation_weight = nn.Parameter(torch.full((len(RELATIONS),), -math.log(len(RELATIONS))))  # b
        self.age_weight = nn.Parameter(torch.tensor([ages] * len(RELATIONS)))  # g
        self.alpha = nn.Parameter(torch.tensor([relation.alpha for relation in RELATIONS]))
        self.beta = nn.Parameter(torch.tensor([relation.beta for relation in RELATIONS]))
        self.kappa = nn.Parameter(torch.tensor(1.0))
        self.log_eps = nn.Parameter(torch.tensor(math.log(0.01)))
        self.gamma = nn.Parameter(torch.tensor(0.3))
        self.rho = nn.Parameter(torch.tensor(0.0))
        self.requires_grad_(False)  # they are learnt by `fit` alone

    def fit(self, log: Log) -> None:
        learn, num_examples = self.learning(log)
        learn(num_examples)

    def learning(self, log: Log) -> tuple[Callable[[int], None], int]:
        weights = self.config.target_weights(log)
        self._all_alike = None
        for matrix, relation in zip(self._matrices(), RELATIONS, strict=True):
            matrix.set_rows(count_pairs(log, relation.pairs, weights))
        self.count.copy_(torch.from_numpy(log.counts()))
        self.target_count.copy_(torch.from_numpy(item_weights(log, weights)))
        rows = LeftOutRows(log, self.window, weights)
        return partial(self._learn, rows), min(self.config.max_examples, self.config.passes * len(rows.examples[0]))

    def _learn(self, rows: LeftOutRows, count: int) -> None:
        """Learn the weights from `count` rows, in random order; the counts stay."""
        config = self.config
        steps = -(-count // config.batch_size)
        self.requires_grad_(True)
        optimizer = Adam(self.parameters(), lr=polynomial_lr(config.lr, 0.0, max(steps, 1), 1.0))
        with progress("learning the weights of the counts", total=steps, unit="steps") as bar:
            for batch in rows.batches(count, config.batch_size, np.random.default_rng(0)):
                optimizer.zero_grad()
                self.loss(batch).backward()
                optimizer.step()
                bar.advance()
        self.requires_grad_(False)

    def _matrices(self) -> list[GrowingMatrix]:
        return [matrix for matrix in self.counts if isinstance(matrix, GrowingMatrix)]

    def update(self, histories: Sequence[Sequence[int]], items: Sequence[int], *, count: int = 1) -> None:
        """Count one more event of each of some users, as if the log had been counted with it; the weights stay.

        Raises:
            ConfigError: events of different types count differently, and here they have none; or an id is not that of
                an item.
        """
        if self._all_alike is None:
            self._all_alike = bool((self.count == self.target_count).all())
        require(
            self._all_alike,
            f"{self.name}: events of different types count differently in this model, so it cannot be updated; fit it "
            "to the longer log",
        )
        self._check_events(histories, items)
        for history, item in zip(histories, items, strict=True):
            for matrix, relation in zip(self._matrices(), RELATIONS, strict=True):
                by_distance, reach = relation.by_distance, relation.pairs.max_distance
                for distance, earlier in enumerate(reversed(history[-reach:]), 1):
                    matrix.add(earlier, item, count * by_distance[reach + distance])
                    matrix.add(item, earlier, count * by_distance[reach - distance])
            self.count[item] += count
            self.target_count[item] += count

    def loss(self, batch: LeftOutBatch) -> Float[Tensor, ""]:
        """The mean cross-entropy of the targets, without what the users' own rows add to the counts."""
        scores = self.left_out_scores(batch)[:, 1:]
        losses = nn.functional.cross_entropy(scores, batch.target - 1, reduction="none")
        return (batch.weight * losses).mean()

    @torch.no_grad()
    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        scores = self._scores(batch.last_items(self.window))
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]

    @torch.no_grad()
    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        sums = self._sums(items.unsqueeze(1), self.count[items].unsqueeze(1), self.target_count)
        return torch.where(sums > 0, sums, -torch.inf)

    def left_out_scores(self, batch: LeftOutBatch) -> Float[Tensor, "B I"]:
        """The scores of all items, without what the users' own rows add to the counts."""
        return self._scores(batch.history, batch)

    def _scores(self, history: Int[Tensor, "B L"], left_out: LeftOutBatch | None = None) -> Float[Tensor, "B I"]:
        """The scores of all items; with `left_out`, without what all rows of these users add to the counts."""
        count, target_count = self.count[history], self.target_count  # n_i, n_j
        if left_out is not None:
            own_count = _sums_by_item(left_out.own, (left_out.own > 0).to(count), len(self.count))
            count = count - own_count.gather(1, history)
            target_count = target_count.repeat(len(history), 1)
            target_count = target_count.scatter_add(
                1, left_out.own, -left_out.own_weight.to(target_count)
            )  # (B, I + 1)
        sums = self._sums(history, count, target_count, left_out)
        is_repeat = torch.zeros_like(sums).scatter(1, history, 1.0)
        prior = self.log_eps.exp() * target_count.clamp(min=MIN_COUNT) ** self.gamma
        return self.kappa * torch.log(sums + prior) + self.rho * is_repeat

    def _sums(
        self,
        history: Int[Tensor, "B L"],
        count: Float[Tensor, "B L"],
        target_count: Float[Tensor, "*B I"],
        left_out: LeftOutBatch | None = None,
    ) -> Float[Tensor, "B I"]:
        """S: see the top of the file.

        Args:
            history: the items; 0 is padding.
            count: the number of events of each of them.
            target_count: the number of events of all items.
            left_out: rows of the users that are left out of the counts of pairs.
        """
        ages = torch.arange(history.shape[1] - 1, -1, -1, device=history.device)
        count, target_count = torch.log(count + self.config.shrinkage), torch.log(target_count + self.config.shrinkage)
        total = torch.zeros((), device=history.device)
        for r, (matrix, relation) in enumerate(zip(self._matrices(), RELATIONS, strict=True)):
            logs = self.relation_weight[r] + self.age_weight[r, ages] - self.alpha[r] * count
            weights = torch.where(history > 0, logs.exp(), 0)  # (B, L)
            row_sums = matrix.differentiable_row_sums if torch.is_grad_enabled() else matrix.weighted_row_sums
            sums = row_sums(history, weights)  # (B, I + 1)
            if left_out is not None:
                by_distance = torch.from_numpy(relation.pairs.by_distance()).to(weights)
                own = _sums_by_item(history, weights, len(self.count)).gather(1, left_out.own)  # (B, T)
                pairs = _near_sums(own.unsqueeze(1), by_distance).squeeze(1) * left_out.own_weight
                sums = sums.scatter_add(1, left_out.own, -pairs).clamp(min=0)  # rounding may leave less than nothing
            total = total + sums * torch.exp(-self.beta[r] * target_count)
        return total


def _sums_by_item(items: Int[Tensor, "B N"], values: Float[Tensor, "B N"], num_ids: int) -> Float[Tensor, "B I"]:
    """The sum of the values of each item; the largest tensor has no axis of pairs of events, as users may be long."""
    return values.new_zeros(len(items), num_ids).scatter_add(1, items, values)


def _near_sums(values: Float[Tensor, "B 1 T"], weights: Float[Tensor, "d"]) -> Float[Tensor, "B 1 T"]:
    """At each position b the sum over all positions a of `values` at a times the weight of the distance b - a."""
    return nn.functional.conv1d(values, weights.flip(0).view(1, 1, -1), padding=len(weights) // 2)
