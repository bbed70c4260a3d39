"""Losses: pure functions of scores. Each returns one value a question, so that the caller sums or averages in sight."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def bpr(difference: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """-log sigma(difference), difference = positive score - negative score (Rendle et al., UAI'09)."""
    return -nn.functional.logsigmoid(difference)


def cross_entropy(scores: Float[Tensor, "n I"], target: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """-log softmax(scores)[target] for scores of items 1..I; 0 where the target is 0, that is, padding."""
    return nn.functional.cross_entropy(scores, target - 1, ignore_index=-1, reduction="none")


def l2(weights: Iterable[Tensor], factor: float) -> Float[Tensor, ""]:
    """factor * the sum of squares of all weights: the regulariser of HGN's eq. (6) and of BPR-MF."""
    return factor * torch.stack([weight.square().sum() for weight in weights]).sum()
