"""Two stages: one model returns some candidates of all items, another puts these in order.

    all items      a  b  c  d  e  f  g  h  i
    first   ──►    c  a  f  h                    `candidates` of what the history does not hold, and what of it
    second  ──►    f  a  h  c                    stands among them; here 4
    behind         b d e g i                     what the first did not return, all alike

For models that cost much for each item, such as those that read both sides of a pair (`rating.py`), and catalogues
too large for them. An item is returned where it scores above the best new one that is not, so a first stage that cannot
tell items apart at the cut returns none of those. What is behind shares one score, so a target there stands behind all
of it; what the first never recommends is not recommended. Two stages are a model, so they can be blended, or be a stage
of others. `segue.experiments.rerank` trains them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.errors import require
from segue.models.base.model import DotProductModel, Model
from segue.models.base.rating import PairScorer


class RerankConfig(Config):
    """Settings of two stages."""

    candidates: int = Field(
        100, ge=1, description="How many items the first returns, those of the history not counted."
    )


class Rerank(Model):
    """Two trained models of the same users and items: the second orders what the first returns."""

    name = "rerank"
    Config = RerankConfig
    config: RerankConfig
    window = None  # what the user had long ago is no candidate either

    def __init__(self, first: Model, second: Model, *, candidates: int = 100) -> None:
        one, two = (f"{part.sizes.num_users:,} users and {part.sizes.num_items:,} items" for part in (first, second))
        require(one == two, f"{second.name} cannot order what {first.name} returns: they are built for {two} and {one}")
        super().__init__(RerankConfig(candidates=candidates), first.sizes)
        self.first, self.second = first, second

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        found = self.first.score(_read(self.first, batch))
        returned = self._returned(found, batch.history)
        scores = self._ordered(_read(self.second, batch), returned)
        lowest = scores.masked_fill(~returned | scores.isinf(), torch.inf).amin(1, keepdim=True)
        behind = torch.where(lowest.isinf(), 0, lowest) - 1
        # what the first scores -inf, or NaN, stays so
        scores = torch.where(returned, scores, torch.where(found.isfinite(), behind, found.to(scores)))
        return scores if items is None else scores[:, items]

    def _returned(self, found: Float[Tensor, "B I"], history: Int[Tensor, "B P"]) -> Bool[Tensor, "B I"]:
        """Which items score above the best that is not returned."""
        new = found.scatter(1, history, -torch.inf)
        if self.config.candidates + 1 >= new.shape[1]:
            return found > -torch.inf
        return found > new.topk(self.config.candidates + 1).values[:, -1:]

    def _ordered(self, batch: Batch, returned: Bool[Tensor, "B I"]) -> Float[Tensor, "B I"]:
        """What the second says of the returned items; of a pair at a time it is only asked about these, once a user."""
        if isinstance(self.second, DotProductModel) or not isinstance(self.second, PairScorer):
            return self.second.score(batch)
        lines = zip(batch.slices(1), returned, strict=True)
        told = [(some := line.nonzero()[:, 0], self.second.score(row, some)[0]) for row, line in lines]
        scores = told[0][1].new_zeros(returned.shape)
        for line, (some, said) in zip(scores, told, strict=True):
            line[some] = said
        return scores


def _read(model: Model, batch: Batch) -> Batch:
    """The batch with as much of the histories as a model reads."""
    return batch if model.window is None else replace(batch, history=batch.last(model.window))
