"""Blend: the weighted sum of the standardised scores of two models.

    score = (1 - weight) z(first) + weight z(second),       z(x) = (x - mean of x) / (standard deviation of x)

The mean and the standard deviation are taken over the scores of items 1..I in one row of the batch. An item that either
model excludes (-inf) is excluded. With weight = 0 the ranking is that of the first model, with weight = 1 that of the
second. A blend is a model, so it can be blended again. `segue.experiments.blend` chooses the weight on validation.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.errors import require
from segue.models.base.model import Model


class BlendConfig(Config):
    """Settings of a blend."""

    weight: float = Field(..., ge=0, le=1, description="Weight of the second model; the first has the rest.")


class Blend(Model):
    """Weighted sum of two trained models of the same users and items. It has no trainable parameters."""

    name = "blend"
    Config = BlendConfig
    config: BlendConfig

    def __init__(self, first: Model, second: Model, *, weight: float) -> None:
        one, two = _sizes_text(first), _sizes_text(second)
        require(one == two, f"{first.name} and {second.name} cannot be blended: they are built for {one} and {two}")
        super().__init__(BlendConfig(weight=weight), first.sizes)
        self.first, self.second = first, second
        _ = self.session_rule  # or the error
        self.window = self.scored_window
        self.exclude_seen = first.exclude_seen

    @property
    def parts(self) -> tuple[Model, ...]:
        return self.first, self.second

    def part_shares(self, batch: Batch) -> Float[Tensor, "B K"]:
        weight = self.config.weight
        return torch.tensor([[1 - weight, weight]]).repeat(len(batch), 1)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        weight = self.config.weight
        scores = mix(
            standardised_scores(self.first, batch) if weight < 1 else None,
            standardised_scores(self.second, batch) if weight > 0 else None,
            weight,
        )
        return scores if items is None else scores[:, items]


def standardised_scores(model: Model, batch: Batch) -> Float[Tensor, "B I"]:
    """Scores of items 0..I, scaled so that each row has mean 0 and standard deviation 1.

    Scores of -inf stay -inf; they do not count in the mean and the deviation.
    """
    scores = model.score(model.readable(batch))
    finite = scores != -torch.inf  # (B, I)
    finite[:, 0] = False
    count = finite.sum(1, keepdim=True).clamp(min=1).to(scores)  # (B, 1)
    scores = torch.where(finite, scores, 0)
    largest = scores.abs().amax(1, keepdim=True)
    scores -= scores.sum(1, keepdim=True) / count
    scores.masked_fill_(~finite, 0)
    deviation = torch.linalg.vector_norm(scores, dim=1, keepdim=True) / count.sqrt()
    # equal scores differ from their mean by rounding errors only, which must not be scaled up
    scores /= torch.maximum(deviation, 1e-6 * largest + torch.finfo(scores.dtype).tiny)
    return scores.masked_fill_(~finite, -torch.inf)


def mix(first: Tensor | None, second: Tensor | None, weight: float) -> Tensor:
    """(1 - weight) first + weight second. A model with weight 0 has no influence, not even by the items it excludes."""
    if weight == 0 or second is None:
        assert first is not None
        return first
    if weight == 1 or first is None:
        return second
    return torch.add((1 - weight) * first, second, alpha=weight)


def _sizes_text(model: Model) -> str:
    return f"{model.sizes.num_users:,} users and {model.sizes.num_items:,} items"
