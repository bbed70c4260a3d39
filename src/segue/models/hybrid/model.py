"""Hybrid: learnt counts and a network in one model, whose distributions are pooled by weights for each request.

    p_counts      the softmax of the scores of learnt counts, `segue.models.neighbours.learnt_counts`
    p_network     the softmax of the scores of a network
    p_neighbours  of a third part, if the settings have one: s / sum of s,  s = score - smallest score + floor,
                  where the floor is `FLOOR` times the mean of score - smallest score
    score         their pool, `segue.nn.opinion_pool`: between a mixture and a product, with shares that depend on how
                  sure each of them is, on the length of the history and on the count of its newest item

Counting remembers pairs of items, also rare ones; a network generalises. Which of them is right more often depends on
the log and on the request.

The pool is learnt from rows that no part has learnt from. Before the training, the newest rows of some users are held
out (`segue.data.tails`): up to `held_out_rows`, at most `held_out_share` of the log, and no more than `CACHE_BYTES`
hold. The network never learns to predict them. The counts are counted from all rows, but all rows of a user are left
out of the counts, exactly, where a row of that user is scored to learn the pool. The neighbours are fitted twice:
without the held-out rows to learn the pool, and then with them. After each epoch of the network the weights of the pool
are learnt again from where they were, so validation sees the whole model.

The model is segue's own. Blending a network with nearest neighbours is usual since Jannach and Ludewig (When recurrent
neural networks meet the neighborhood, RecSys 2017), who choose one weight by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.left_out_rows import LeftOutRows
from segue.data.log import Log
from segue.data.splits import EvalInstances
from segue.data.tails import hold_out_tails
from segue.models.base.model import DirectModel, GradientModel, Model, Sizes
from segue.models.base.score_buffer import evaluation_mode, instance_batch
from segue.models.base.search_space import Space
from segue.models.hybrid.config import HybridConfig, direct_model
from segue.models.neighbours.learnt_counts import LearntCounts
from segue.models.registry import find
from segue.nn.opinion_pool import Opinion, OpinionPool
from segue.nn.optim import Optimizer

NUM_FEATURES = 2  # of a request: the length of its history and the count of the newest item
CACHE_BYTES = 256_000_000  # of the probabilities of all items at the held-out rows, of one part, two bytes each
FIRST_PASSES = 3  # over the held-out rows after the first epoch, for each one after a later epoch
BLOCK = 64  # held-out rows that are scored at a time, and that the pool learns from in one step
FLOOR = 0.05  # of the mean score of an item among neighbours, added to that of each item

Direct = TypeVar("Direct", bound=DirectModel)


@dataclass(eq=False)
class HeldOut:
    """The rows that the pool is learnt from.

    Attributes:
        training: the log without them, which the network is trained on.
        instances: the rows.
        left_out: of the whole log, what the rows of each user add to the counts.
        fixed: the opinions that do not change between epochs: those of the counts, and of the neighbours. Empty before
            the end of the first epoch.
    """

    training: Log
    instances: EvalInstances
    left_out: LeftOutRows
    fixed: list[Opinion] = field(default_factory=list)

    @property
    def blocks(self) -> list[EvalInstances]:
        """The rows, `BLOCK` at a time."""
        return [self.instances.take(slice(at, at + BLOCK)) for at in range(0, len(self.instances), BLOCK)]


class Hybrid(GradientModel):
    """Learnt counts and a network, pooled by weights that are learnt from rows that neither of them has seen."""

    name = "hybrid"
    training_cost = "high"
    Config = HybridConfig
    item_similarity = LearntCounts.item_similarity
    config: HybridConfig  # type: ignore[assignment]

    def __init__(self, config: HybridConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.counts = self._direct(LearntCounts)
        self.can_update, self.update_window = self.counts.can_update, self.counts.update_window
        network = find(config.network)(config.network_config, sizes)
        assert isinstance(network, GradientModel)
        self.network = network
        self.neighbours = None if config.neighbours is None else self._direct(direct_model(config.neighbours))
        self.pool = OpinionPool(len(self.parts), NUM_FEATURES)
        self.window = self.scored_window
        self.micro_batch_size, self.fixed_shapes = network.micro_batch_size, network.fixed_shapes
        self._held_out: HeldOut | None = None

    @classmethod
    def space_for(cls, config: HybridConfig) -> Space:
        """The search space of the network: the counts and the pool learn all that matters by themselves."""
        return find(config.network).space_for(config.network_config)

    def _direct(self, kind: type[Direct]) -> Direct:
        """An unfitted part of a class."""
        weights = self.config.event_weights
        settings = {"event_weights": weights} if weights and "event_weights" in kind.Config.model_fields else {}
        return kind(kind.configure(settings), Sizes(self.sizes.num_users, self.sizes.num_items))

    @property
    def parts(self) -> tuple[Model, ...]:
        neighbours = () if self.neighbours is None else (self.neighbours,)
        return self.counts, *neighbours, self.network

    # the network is trained as by itself, without the rows that are held out

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        yield from self.network.batches(self._network_log(log, rng), rng)

    def own_epoch(self) -> Callable[[Log, np.random.Generator], Float[Tensor, "n"]] | None:
        own = self.network.own_epoch()
        return own and (lambda log, rng: own(self._network_log(log, rng), rng))

    def optimizer(self) -> Optimizer:
        return self.network.optimizer()

    def compiled_step(self, optimizer: Optimizer) -> Callable[[Any], Float[Tensor, ""]] | None:
        return self.network.compiled_step(optimizer)

    def loss_divisor(self, batch: Any) -> Int[Tensor, ""] | int:
        return self.network.loss_divisor(batch) if self.config.network_config.reduction == "mean" else 1

    def forward(self, batch: Any) -> Float[Tensor, ""]:
        loss: Float[Tensor, ""] = self.network(batch)
        return loss

    def _network_log(self, log: Log, rng: np.random.Generator) -> Log:
        return self.config.network_config.draw_targets(self._hold_out(log).training, rng)

    def _hold_out(self, log: Log) -> HeldOut:
        """The training log in two parts; the same ones in each epoch, and after an interruption."""
        if self._held_out is None or self._held_out.left_out.log is not log:
            config = self.config
            cached = CACHE_BYTES // (2 * (self.sizes.num_items + 1))
            count = min(config.held_out_rows, int(config.held_out_share * len(log)), cached)
            training, instances = hold_out_tails(log, max(count, 1), np.random.default_rng(0))
            weights = self.counts.config.target_weights(log)
            self._held_out = HeldOut(training, instances, LeftOutRows(log, self.counts.window, weights))
        return self._held_out

    def end_epoch(self, log: Log) -> None:
        """Fit the other parts, in the first epoch; then learn the pool."""
        held_out = self._hold_out(log)
        if not held_out.fixed:
            if not self.counts.count.any():  # else they are those of an interrupted training
                self.counts.fit(log)
            if self.neighbours is not None:
                self.neighbours.fit(held_out.training)
            held_out.fixed = self._fixed_opinions(held_out)
            if self.neighbours is not None:
                self.neighbours.fit(log)
        if len(held_out.instances):
            self._learn_pool(held_out)

    def fitted_once(self) -> Sequence[DirectModel]:
        return (self.counts,) if self.neighbours is None else (self.counts, self.neighbours, self.neighbours)

    def learnt_each_epoch(self, log: Log) -> tuple[Callable[[int], None], int]:
        held_out = self._hold_out(log)

        def learn(number: int) -> None:
            part = replace(held_out, instances=held_out.instances.take(slice(number)))
            part.fixed = self._fixed_opinions(part)
            self._learn_pool(part)

        return learn, len(held_out.instances)

    @torch.no_grad()
    def _fixed_opinions(self, held_out: HeldOut) -> list[Opinion]:
        """What the counts say of the held-out rows, without the rows of the same users; and the neighbours."""
        counts, others = [], []
        for block in held_out.blocks:
            batch = instance_batch(self, block)
            scores = self.counts.left_out_scores(held_out.left_out.batch(block.row, block.user))
            counts.append(self._stored(batch, self._counts_opinion(batch, scores)))
            if self.neighbours is not None:
                others.append(self._stored(batch, self._neighbours_opinion(batch)))
        return [Opinion.join(part) for part in (counts, others) if part]

    def _learn_pool(self, held_out: HeldOut) -> None:
        """Learn the weights of the pool, with the opinions that the network has now."""
        config = self.config
        with evaluation_mode(self), torch.no_grad():
            batches = [instance_batch(self, block) for block in held_out.blocks]
            network = Opinion.join([self._stored(batch, self._network_opinion(batch)) for batch in batches])
        target = torch.from_numpy(held_out.instances.targets().astype(np.int64))
        # with `exclude_seen`, an item that comes again has no probability, so its row says nothing of the weights
        is_possible = network.log_probabilities.gather(1, target.unsqueeze(1)).squeeze(1) > -torch.inf
        self.pool.learn(
            [*held_out.fixed, network],
            target,
            rows=is_possible.nonzero().squeeze(1),
            passes=config.pool_passes * (1 if self.pool.is_learnt else FIRST_PASSES),
            lr=config.pool_lr,
            batch_size=BLOCK,
        )

    def _stored(self, batch: Batch, opinion: Opinion) -> Opinion:
        """An opinion on a batch of held-out rows in the form in which it is kept."""
        return opinion.stored(self._excluded(batch))

    def _counts_opinion(self, batch: Batch, scores: Float[Tensor, "B I"]) -> Opinion:
        """The opinion of the counts with these scores, which brings the features of the requests."""
        length = (batch.history > 0).sum(1).clamp(min=1)
        newest = self.counts.count[batch.history[:, -1]]  # 0 at padding
        features = torch.stack([length.to(scores).log(), (newest + 1).log()], 1)
        return Opinion.of(scores, self._excluded(batch), features)

    def _neighbours_opinion(self, batch: Batch) -> Opinion:
        assert self.neighbours is not None
        scores = self.neighbours.score(self.neighbours.readable(batch))[:, 1:]
        above = scores - scores.amin(1, keepdim=True)  # most items have the smallest score
        above = torch.log(above + FLOOR * above.mean(1, keepdim=True) + torch.finfo(above.dtype).tiny)
        return Opinion.of(nn.functional.pad(above, (1, 0), value=-torch.inf), self._excluded(batch))

    def _network_opinion(self, batch: Batch) -> Opinion:
        scores = self.network.score(self.network.readable(batch))
        return Opinion.of(scores, self._excluded(batch))

    def _excluded(self, batch: Batch) -> Bool[Tensor, "B I"]:
        """The items that are not recommended: none, and with `exclude_seen` those of the history."""
        excluded = torch.zeros(len(batch), self.sizes.num_items + 1, dtype=torch.bool, device=batch.history.device)
        if self.exclude_seen:
            excluded.scatter_(1, batch.history, True)
        excluded[:, 0] = True
        return excluded

    def _opinions(self, batch: Batch) -> list[Opinion]:
        """The opinions of all parts, in the order of `parts`."""
        if self.window is not None:
            batch = batch.last_events(self.window)
        counts = self._counts_opinion(batch, self.counts.score(self.counts.readable(batch)))
        neighbours = [] if self.neighbours is None else [self._neighbours_opinion(batch)]
        return [counts, *neighbours, self._network_opinion(batch)]

    @torch.no_grad()
    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        scores = self.pool(self._opinions(batch))
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]

    @torch.no_grad()
    def part_shares(self, batch: Batch) -> Float[Tensor, "B K"]:
        return self.pool.shares(torch.cat([opinion.features for opinion in self._opinions(batch)], 1))

    def update(self, histories: Sequence[Sequence[int]], items: Sequence[int], *, count: int = 1) -> None:
        """Count one more event of each of some users; the network, the neighbours and the pool stay as they are."""
        self.counts.update(histories, items, count=count)

    @torch.no_grad()
    def item_similarities(self, items: Int[Tensor, "K"]) -> Float[Tensor, "K I"]:
        return self.counts.item_similarities(items)
