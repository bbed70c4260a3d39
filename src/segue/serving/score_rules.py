"""`ScoreRules`: what the rules of a shop make of a model's scores: items that are hidden, and items that are moved up.

A boost of b adds b standard deviations of the scores of all items that could be recommended in this answer. So it means
the same for models whose scores are probabilities, counts, or numbers of either sign: it does not change when all
scores are multiplied by a positive number or moved by a constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False, slots=True)
class ScoreRules:
    """Rules for the items 0..I of a model. Queries that share the object are handled together.

    Attributes:
        hidden: whether each item may not be recommended; None if all may.
        boosts: standard deviations that are added to the score of each item; None for none.
    """

    hidden: Bool[Tensor, "I"] | None = None
    boosts: Float[Tensor, "I"] | None = None


def hide(scores: Float[Tensor, "B S"], rules: Sequence[ScoreRules | None]) -> None:
    """Give hidden items the score -inf, in place; S may be larger than the number of items."""
    for rows, one in _runs(rules):
        if one.hidden is not None:
            scores[rows, : len(one.hidden)].masked_fill_(one.hidden.to(scores.device), -torch.inf)


def boost(
    scores: Float[Tensor, "B S"], rules: Sequence[ScoreRules | None], rest: Float[Tensor, "B 1"] | None = None
) -> None:
    """Add the boosts, in place.

    Args:
        scores: those of items that may not be recommended are -inf.
        rules: of each row.
        rest: for each row, the score of the items that a re-ranking model does not rank. These stay behind all others.
    """
    for rows, one in _runs(rules):
        if one.boosts is None:
            continue
        for row in range(rows.start, rows.stop):
            own = scores[row, : len(one.boosts)]
            ranked = own != -torch.inf
            if rest is not None:
                ranked &= own != rest[row]
            if ranked.sum() > 1:
                spread = own[ranked].double().std(correction=0)
                own.masked_fill_(~ranked, -torch.inf)
                own.add_((one.boosts.to(own.device) * spread).to(own.dtype))


def _runs(rules: Sequence[ScoreRules | None]) -> Iterator[tuple[slice, ScoreRules]]:
    """Neighbouring rows that share their rules."""
    first = 0
    for _, group in groupby(rules, key=id):
        run = list(group)
        if run[0] is not None:
            yield slice(first, first + len(run)), run[0]
        first += len(run)
