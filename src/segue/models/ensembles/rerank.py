"""Re-ranking: a first model retrieves candidates from all items, and a second model ranks the candidates.

    all items      a  b  c  d  e  f  g  h  i
    first   ──►    c  a  f  h                    the `candidates` best items outside the history, and the items of
    second  ──►    f  a  h  c                    the history that score above them; here 4
    rest           b d e g i                     all other items, with one common score below the candidates

Re-ranking makes models affordable that are expensive for each item, such as rating models that read both histories
(`rating.py`). An item is a candidate if the first model scores it above the best new item that is not a candidate.
Items that tie at this limit are therefore not candidates. All other items share one score, so a target among them is
ranked behind all of them. Items that the first model excludes (-inf) stay excluded. The pair is a model itself: it can
be blended or be a stage of another pair. `segue.experiments.rerank` trains both models.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config, Field
from segue.errors import require
from segue.models.base.model import Model


class RerankConfig(Config):
    """Settings of re-ranking."""

    candidates: int = Field(
        100, ge=1, description="Number of items that the first model retrieves, items of the history not counted."
    )


class Rerank(Model):
    """Two trained models of the same users and items: the second ranks the candidates of the first."""

    name = "rerank"
    Config = RerankConfig
    config: RerankConfig
    window = None  # items from long ago count as history, too

    def __init__(self, first: Model, second: Model, *, candidates: int = 100) -> None:
        one, two = (f"{part.sizes.num_users:,} users and {part.sizes.num_items:,} items" for part in (first, second))
        require(
            one == two,
            f"{second.name} cannot re-rank the candidates of {first.name}: they are built for {two} and {one}",
        )
        super().__init__(RerankConfig(candidates=candidates), first.sizes)
        self.first, self.second = first, second
        _ = self.session_rule  # or the error
        self.exclude_seen = first.exclude_seen

    @property
    def num_candidates(self) -> int:
        return self.config.candidates

    @property
    def parts(self) -> tuple[Model, ...]:
        return self.first, self.second

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        first = self.first.score(self.first.readable(batch))  # (B, I)
        is_candidate = self._candidate_mask(first, batch.history)
        scores = self._candidate_scores(self.second.readable(batch), is_candidate)
        lowest = scores.masked_fill(~is_candidate | scores.isinf(), torch.inf).amin(1, keepdim=True)  # (B, 1)
        rest = torch.where(lowest.isinf(), 0, lowest) - 1
        # items that the first model scores -inf or NaN keep that score
        scores = torch.where(is_candidate, scores, torch.where(first.isfinite(), rest, first.to(scores)))
        return scores if items is None else scores[:, items]

    def _candidate_mask(self, scores: Float[Tensor, "B I"], history: Int[Tensor, "B P"]) -> Bool[Tensor, "B I"]:
        """True for the items that score above the best new item that is not a candidate."""
        new = scores.scatter(1, history, -torch.inf)
        if self.config.candidates + 1 >= new.shape[1]:
            return scores > -torch.inf
        return scores > new.topk(self.config.candidates + 1).values[:, -1:]

    def _candidate_scores(self, batch: Batch, is_candidate: Bool[Tensor, "B I"]) -> Float[Tensor, "B I"]:
        """Scores of the second model; a model that scores one pair at a time scores the candidates alone."""
        if not self.second.scores_pairs:
            return self.second.score(batch)
        rows = []
        for row, mask in zip(batch.slices(1), is_candidate, strict=True):
            candidates = mask.nonzero()[:, 0]  # (K,)
            scores = self.second.score(row, candidates)  # (1, K)
            rows.append(scores.new_zeros(len(mask)).index_put((candidates,), scores[0]))
        return torch.stack(rows)  # (B, I)
