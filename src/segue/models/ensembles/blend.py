"""A blend: the answers of two models, put on one scale and added up.

    score = (1 - weight) z(first) + weight z(second),       z(x) = (x - mean of x) / (standard deviation of x)

Mean and deviation are those of one question's scores of items 1..I. An item that one of the two never recommends
(-inf) is not recommended. weight = 0 ranks as the first does, weight = 1 as the second. A blend is a model, so it can
be blended again. `segue.experiments.blend` chooses the weight.
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

    weight: float = Field(..., ge=0, le=1, description="Share of the second model, from 0 to 1.")


class Blend(Model):
    """Two trained models of the same users and items. It has nothing to learn but the weight."""

    name = "blend"
    Config = BlendConfig
    config: BlendConfig

    def __init__(self, first: Model, second: Model, *, weight: float) -> None:
        require(
            first.sizes == second.sizes,
            f"{first.name} and {second.name} cannot be blended: they are built for {_told(first)} and {_told(second)}",
        )
        super().__init__(BlendConfig(weight=weight), first.sizes)
        windows = [part.window for part in (first, second)]
        self.window = None if None in windows else max(window or 0 for window in windows)
        self.first, self.second = first, second

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        weight = self.config.weight
        scores = mix(
            standard(self.first, batch) if weight < 1 else None,
            standard(self.second, batch) if weight > 0 else None,
            weight,
        )
        return scores if items is None else scores[:, items]


def standard(model: Model, batch: Batch) -> Float[Tensor, "B I"]:
    """The scores of items 0..I, each row of mean 0 and deviation 1; what is -inf stays so and does not count."""
    window = model.window
    history = batch.history if window is None else batch.last(window)
    scores = model.score(Batch(batch.user, history))
    known = scores != -torch.inf
    known[:, 0] = False
    number = known.sum(1, keepdim=True).clamp(min=1).to(scores)
    scores = torch.where(known, scores, 0)
    largest = scores.abs().amax(1, keepdim=True)
    scores -= scores.sum(1, keepdim=True) / number
    scores.masked_fill_(~known, 0)
    deviation = torch.linalg.vector_norm(scores, dim=1, keepdim=True) / number.sqrt()
    # equal scores differ from their mean by rounding alone: that must not be blown up
    scores /= torch.maximum(deviation, 1e-6 * largest + torch.finfo(scores.dtype).tiny)
    return scores.masked_fill_(~known, -torch.inf)


def mix(first: Tensor | None, second: Tensor | None, weight: float) -> Tensor:
    """(1 - weight) first + weight second; of a model without weight nothing is asked, not even what it excludes."""
    if weight == 0 or second is None:
        assert first is not None
        return first
    if weight == 1 or first is None:
        return second
    return torch.add((1 - weight) * first, second, alpha=weight)


def _told(model: Model) -> str:
    return f"{model.sizes.num_users:,} users and {model.sizes.num_items:,} items"
