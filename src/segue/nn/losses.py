"""Losses: pure functions of scores. Each returns one value for each target; the caller sums or averages them.

The losses of a target among negatives have these arguments:

    positive (*n)     the score r_i of each target
    negative (*n, G)  the scores r_j of its negatives
    mask     (*n, G)  which negatives count

| loss        | of a target                                                  | source                            |
|-------------|--------------------------------------------------------------|-----------------------------------|
| bpr         | mean over j of  -log sigma(r_i - r_j)                        | Rendle et al., UAI 2009           |
| bce         | -log sigma(r_i) + sum over j of  -log(1 - sigma(r_j))        | Kang and McAuley, ICDM 2018, (6)  |
| gbce        | -beta log sigma(r_i) + sum over j of  -log(1 - sigma(r_j))   | Petrov and Macdonald, RecSys 2023 |
| top1        | mean over j of  sigma(r_j - r_i) + sigma(r_j^2)              | Hidasi et al., ICLR 2016          |
| top1-max    | sum over j of  s_j (sigma(r_j - r_i) + sigma(r_j^2))         | Hidasi and Karatzoglou, CIKM 2018 |
| bpr-max     | -log(sum of s_j sigma(r_i - r_j)) + bpreg sum of s_j r_j^2   | Hidasi and Karatzoglou, CIKM 2018 |
| sampled-ce  | -log(e^r_i / (e^r_i + sum over j of e^(r_j - log n_j)))      | Bengio and Senecal, 2008          |

s_j is a softmax over the negatives alone; n_j is the expected number of times that j is among them. The released
GRU4Rec divides top1 by all N columns, including the target's own, which makes it (N - 1)/N times this plus 1/(2 N), and
does not divide bpr at all.

The losses that are often used with shared negatives also have their gradients written out (`GRADIENTS`), because
a training step takes 1.25 to 1.7 times as long with autograd (benchmark row `handwritten`, parts `sampled-loss-*`).
Those of bce and gbce are nothing but sigmoids:

    *_with_grad(positive, negative, false_negatives) -> loss (n,), gradients of positive (n,) and of negative (n, G)

with `false_negatives`, the (row, column) of the negatives that do not count; there `negative` is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.nn.softplus import softplus

TINY = 1e-24


def bpr(difference: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """-log sigma(difference), where difference = positive score - negative score."""
    return -nn.functional.logsigmoid(difference)


def mean_bpr(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """BPR loss, averaged over the negatives."""
    return _mean(bpr(positive.unsqueeze(-1) - negative), mask)


def bce(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"], beta: float = 1.0
) -> Float[Tensor, "*n"]:
    """Binary cross-entropy of a target and its negatives; gBCE with the `beta` of `gbce_beta`."""
    return beta * bpr(positive) + (bpr(-negative) * mask).sum(-1)


def gbce_beta(num_negatives: int, num_items: int, t: float) -> float:
    """The weight beta of gBCE, from 1 (t = 0, no calibration) to the sampling rate (t = 1, full calibration)."""
    rate = num_negatives / max(num_items - 1, 1)
    return rate * (t * (1 - 1 / rate) + 1 / rate)


def top1(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """TOP1 loss: ranks negatives below the target and regularises their scores towards zero."""
    return _mean(_top1(positive, negative), mask)


def top1_max(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """TOP1 loss with the negatives weighted by their softmax."""
    return (negatives_softmax(negative, mask) * _top1(positive, negative)).sum(-1)


def bpr_max(
    positive: Float[Tensor, "*n"],
    negative: Float[Tensor, "*n G"],
    mask: Bool[Tensor, "*n G"],
    bpreg: float = 1.0,
) -> Float[Tensor, "*n"]:
    """-log of the probability that the target beats a negative drawn by their softmax, plus a penalty on scores."""
    weight = negatives_softmax(negative, mask)
    probability = (weight * torch.sigmoid(positive.unsqueeze(-1) - negative)).sum(-1)
    return (bpreg * (weight * negative.square()).sum(-1) - torch.log(probability + TINY)) * mask.any(-1)


def sampled_cross_entropy(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """Cross-entropy of the target among its negatives, whose scores are already corrected by log n_j."""
    others = negative.masked_fill(~mask, torch.finfo(negative.dtype).min).logsumexp(-1)
    return softplus(others - positive)


def cross_entropy(scores: Float[Tensor, "n I"], target: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """-log softmax(scores)[target] for scores of items 1..I; 0 where the target is 0 (padding).

    Reference for tests; training uses `nn.softmax_loss.all_items_cross_entropy`.
    """
    return nn.functional.cross_entropy(scores, target - 1, ignore_index=-1, reduction="none")


def negatives_softmax(negative: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"]) -> Float[Tensor, "*n G"]:
    """Softmax over the negatives that count; zeros where there are none."""
    return torch.softmax(negative.masked_fill(~mask, -torch.inf), -1).nan_to_num(0.0)


def l2_penalty(weights: Iterable[Tensor], factor: float) -> Float[Tensor, ""]:
    """factor * the sum of squares of all weights: the regularisation of HGN's eq. (6) and of BPR-MF."""
    return factor * torch.stack([weight.square().sum() for weight in weights]).sum()


LossAndGrads = tuple[Tensor, Tensor, Tensor]
"""Loss (n,), gradient of the positive scores (n,), gradient of the negative scores (n, G)."""

LOW = -1e4  # a score whose exponential is 0 and whose square is finite


def top1_with_grad(
    positive: Float[Tensor, "n"], negative: Float[Tensor, "n G"], false_negatives: tuple[Tensor, Tensor]
) -> LossAndGrads:
    """TOP1 loss and its gradients."""
    count = _count(negative, false_negatives).clamp_(min=1)
    above = (negative - positive.unsqueeze(1)).sigmoid_()
    large = negative.square().sigmoid_()
    above[false_negatives] = large[false_negatives] = 0
    loss = above.sum(1).add_(large.sum(1)).div_(count)
    grad_difference = above.sub_(above.square()).div_(count.unsqueeze(1))
    grad_positive = -grad_difference.sum(1)
    grad_negative = large.sub_(large.square()).mul_(negative).mul_((2 / count).unsqueeze(1)).add_(grad_difference)
    return loss, grad_positive, grad_negative


def bpr_max_with_grad(
    positive: Float[Tensor, "n"],
    negative: Float[Tensor, "n G"],
    false_negatives: tuple[Tensor, Tensor],
    bpreg: float = 1.0,
) -> LossAndGrads:
    """BPR-max loss and its gradients.

    With P the sum of s_j sigma_j and R that of s_j r_j^2, the gradient of r_j is  s_j (1 - sigma_j^2 / P -
    bpreg (R - r_j^2 - 2 r_j)), because all sums are expectations under s, whose derivative subtracts the mean; the
    gradient of r_i is  (sum of s_j sigma_j^2) / P - 1.
    """
    negative[false_negatives] = LOW
    has_negatives = _count(negative, false_negatives).clamp_(max=1)
    weight = torch.softmax(negative, 1).mul_(has_negatives.unsqueeze(1))
    sigma = torch.sub(positive.unsqueeze(1), negative).sigmoid_()
    product = weight * sigma
    total = product.sum(1).add_(TINY)
    ratio = product.mul_(sigma).sum(1).div_(total)
    square = torch.mul(weight, negative, out=product).mul_(negative).sum(1)
    constant = (1 - bpreg * square).unsqueeze(1)
    grad_negative = torch.addcmul(constant, negative + 2, negative, value=bpreg, out=product)
    grad_negative.addcdiv_(sigma.square_(), total.unsqueeze(1), value=-1).mul_(weight)
    return (bpreg * square - total.log()).mul_(has_negatives), ratio.sub_(1).mul_(has_negatives), grad_negative


def sampled_cross_entropy_with_grad(
    positive: Float[Tensor, "n"], negative: Float[Tensor, "n G"], false_negatives: tuple[Tensor, Tensor]
) -> LossAndGrads:
    """Sampled cross-entropy and its gradients."""
    negative[false_negatives] = -torch.inf
    top = torch.maximum(positive, negative.amax(1)).unsqueeze(1)
    grad_negative = (negative - top).exp_()
    total = grad_negative.sum(1, keepdim=True).add_((positive.unsqueeze(1) - top).exp_())
    grad_negative.div_(total)
    loss = (total.log() + top).squeeze(1) - positive
    return loss, (-loss).exp_() - 1, grad_negative


def bce_with_grad(
    positive: Float[Tensor, "n"],
    negative: Float[Tensor, "n G"],
    false_negatives: tuple[Tensor, Tensor],
    beta: float = 1.0,
) -> LossAndGrads:
    """Binary cross-entropy, or gBCE, and its gradients."""
    negative[false_negatives] = -torch.inf
    loss = beta * bpr(positive) + bpr(-negative).sum(1)
    return loss, beta * (positive.sigmoid() - 1), negative.sigmoid_()


GRADIENTS: dict[str, Callable[..., LossAndGrads]] = {
    "top1": top1_with_grad,
    "bpr-max": bpr_max_with_grad,
    "sampled-ce": sampled_cross_entropy_with_grad,
    "bce": bce_with_grad,
    "gbce": bce_with_grad,
}


def _count(negative: Float[Tensor, "n G"], false_negatives: tuple[Tensor, Tensor]) -> Float[Tensor, "n"]:
    """The number of negatives of each row that count."""
    return (negative.shape[1] - torch.bincount(false_negatives[0], minlength=len(negative))).to(negative.dtype)


def _top1(positive: Tensor, negative: Tensor) -> Tensor:
    return torch.sigmoid(negative - positive.unsqueeze(-1)) + torch.sigmoid(negative.square())


def _mean(values: Float[Tensor, "*n G"], mask: Bool[Tensor, "*n G"]) -> Float[Tensor, "*n"]:
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1)
