"""Losses: pure functions of scores. Each returns one value a target, so that the caller sums or averages in sight.

Those of a target among negatives share one form:

    positive (*n)     the score r_i of each target
    negative (*n, G)  the scores r_j of its negatives
    known    (*n, G)  which of these there are: the others count for nothing

| loss        | of a target                                                    | source                            |
|-------------|----------------------------------------------------------------|-----------------------------------|
| bpr         | mean over j of  -log sigma(r_i - r_j)                          | Rendle et al., UAI 2009           |
| bce         | -log sigma(r_i) + sum over j of  -log(1 - sigma(r_j))          | Kang and McAuley, ICDM 2018, (6)  |
| gbce        | -beta log sigma(r_i) + sum over j of  -log(1 - sigma(r_j))     | Petrov and Macdonald, RecSys 2023 |
| top1        | mean over j of  sigma(r_j - r_i) + sigma(r_j^2)                | Hidasi et al., ICLR 2016          |
| top1-max    | sum over j of  s_j (sigma(r_j - r_i) + sigma(r_j^2))           | Hidasi and Karatzoglou, CIKM 2018 |
| bpr-max     | -log(sum of s_j sigma(r_i - r_j)) + penalty sum of s_j r_j^2   | Hidasi and Karatzoglou, CIKM 2018 |
| sampled-ce  | -log(e^r_i / (e^r_i + sum over j of e^(r_j - log n_j)))        | Bengio and Senecal, 2008          |

s_j is a softmax over the negatives alone; n_j how often j is expected among them. The released GRU4Rec divides top1 by
all N columns, its own among them, which makes it (N - 1)/N times this plus 1/(2 N), and does not divide bpr at all.

Those that a batch is often taught with have their derivatives written out (`GRADIENTS`): autograd takes several times as
long.

    slopes(positive, negative, clash) -> loss (*n), by positive (*n), by negative (*n, G)

with `false_negatives`, the (row, column) of the negatives that count for nothing; there `negative` is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

TINY = 1e-24


def bpr(difference: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """-log sigma(difference), difference = positive score - negative score."""
    return -nn.functional.logsigmoid(difference)


def mean_bpr(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """bpr, averaged over the negatives."""
    return _mean(bpr(positive.unsqueeze(-1) - negative), known)


def bce(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"], beta: float = 1.0
) -> Float[Tensor, "*n"]:
    """Binary cross-entropy of the target against its negatives; gbce with the `beta` of `gbce_beta`."""
    return beta * bpr(positive) + (bpr(-negative) * known).sum(-1)


def gbce_beta(negatives: int, items: int, t: float) -> float:
    """beta of gbce: how far overconfidence is taken back, from not at all (t = 0) to wholly (t = 1)."""
    rate = negatives / max(items - 1, 1)
    return rate * (t * (1 - 1 / rate) + 1 / rate)


def top1(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """How far negatives come up to the target, and how far their scores are from zero."""
    return _mean(_top1(positive, negative), known)


def top1_max(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """top1, the negatives weighted by their softmax."""
    return (negatives_softmax(negative, known) * _top1(positive, negative)).sum(-1)


def bpr_max(
    positive: Float[Tensor, "*n"],
    negative: Float[Tensor, "*n G"],
    known: Bool[Tensor, "*n G"],
    penalty: float = 1.0,
) -> Float[Tensor, "*n"]:
    """The chance that the target beats a negative drawn by their softmax, and a penalty on high scores of these."""
    weight = negatives_softmax(negative, known)
    won = (weight * torch.sigmoid(positive.unsqueeze(-1) - negative)).sum(-1)
    return (penalty * (weight * negative.square()).sum(-1) - torch.log(won + TINY)) * known.any(-1)


def sampled_cross_entropy(
    positive: Float[Tensor, "*n"], negative: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"]
) -> Float[Tensor, "*n"]:
    """Softmax of the target among its negatives, whose scores already bear their correction."""
    others = negative.masked_fill(~known, torch.finfo(negative.dtype).min).logsumexp(-1)
    return nn.functional.softplus(others - positive)


def cross_entropy(scores: Float[Tensor, "n I"], target: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """-log softmax(scores)[target] for scores of items 1..I; 0 where the target is 0, that is, padding."""
    return nn.functional.cross_entropy(scores, target - 1, ignore_index=-1, reduction="none")


def negatives_softmax(negative: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"]) -> Float[Tensor, "*n G"]:
    """Softmax over the known negatives; zeros where there are none."""
    return torch.softmax(negative.masked_fill(~known, -torch.inf), -1).nan_to_num(0.0)


def l2_penalty(weights: Iterable[Tensor], factor: float) -> Float[Tensor, ""]:
    """factor * the sum of squares of all weights: the regulariser of HGN's eq. (6) and of BPR-MF."""
    return factor * torch.stack([weight.square().sum() for weight in weights]).sum()


ValueAndGrads = tuple[Tensor, Tensor, Tensor]
LOW = -1e4  # a score whose e^score is 0, and whose square is a number


def top1_with_grad(
    positive: Float[Tensor, "n"], negative: Float[Tensor, "n G"], false_negatives: tuple[Tensor, Tensor]
) -> ValueAndGrads:
    """top1 and its derivatives."""
    count = _count(negative, false_negatives).clamp_(min=1)
    above = (negative - positive.unsqueeze(1)).sigmoid_()
    large = negative.square().sigmoid_()
    above[false_negatives] = large[false_negatives] = 0
    loss = above.sum(1).add_(large.sum(1)).div_(count)
    steep = above.sub_(above.square()).div_(count.unsqueeze(1))
    by_positive = -steep.sum(1)
    by_negative = large.sub_(large.square()).mul_(negative).mul_((2 / count).unsqueeze(1)).add_(steep)
    return loss, by_positive, by_negative


def bpr_max_with_grad(
    positive: Float[Tensor, "n"],
    negative: Float[Tensor, "n G"],
    false_negatives: tuple[Tensor, Tensor],
    penalty: float = 1.0,
) -> ValueAndGrads:
    """bpr-max and its derivatives.

    With P the sum of s_j sigma_j, R that of s_j r_j^2, that by r_j is  s_j (1 - sigma_j^2 / P - penalty (R - r_j^2 -
    2 r_j)), as all sums are expectations under s, whose own derivative takes the mean away; that by r_i is
    (sum of s_j sigma_j^2) / P - 1.
    """
    negative[false_negatives] = LOW
    alive = _count(negative, false_negatives).clamp_(max=1)
    weight = torch.softmax(negative, 1).mul_(alive.unsqueeze(1))
    won = torch.sub(positive.unsqueeze(1), negative).sigmoid_()
    product = weight * won
    total = product.sum(1).add_(TINY)
    lost = product.mul_(won).sum(1).div_(total)
    length = torch.mul(weight, negative, out=product).mul_(negative).sum(1)
    steady = (1 - penalty * length).unsqueeze(1)
    by_negative = torch.addcmul(steady, negative + 2, negative, value=penalty, out=product)
    by_negative.addcdiv_(won.square_(), total.unsqueeze(1), value=-1).mul_(weight)
    return (penalty * length - total.log()).mul_(alive), lost.sub_(1).mul_(alive), by_negative


def sampled_cross_entropy_with_grad(
    positive: Float[Tensor, "n"], negative: Float[Tensor, "n G"], false_negatives: tuple[Tensor, Tensor]
) -> ValueAndGrads:
    """sampled-ce and its derivatives."""
    negative[false_negatives] = -torch.inf
    top = torch.maximum(positive, negative.amax(1)).unsqueeze(1)
    share = (negative - top).exp_()
    total = share.sum(1, keepdim=True).add_((positive.unsqueeze(1) - top).exp_())
    share.div_(total)
    loss = (total.log() + top).squeeze(1) - positive
    return loss, (-loss).exp_() - 1, share


GRADIENTS: dict[str, Callable[..., ValueAndGrads]] = {
    "top1": top1_with_grad,
    "bpr-max": bpr_max_with_grad,
    "sampled-ce": sampled_cross_entropy_with_grad,
}


def _count(negative: Float[Tensor, "n G"], false_negatives: tuple[Tensor, Tensor]) -> Float[Tensor, "n"]:
    """How many negatives count, of each row."""
    return (negative.shape[1] - torch.bincount(false_negatives[0], minlength=len(negative))).to(negative.dtype)


def _top1(positive: Tensor, negative: Tensor) -> Tensor:
    return torch.sigmoid(negative - positive.unsqueeze(-1)) + torch.sigmoid(negative.square())


def _mean(values: Float[Tensor, "*n G"], known: Bool[Tensor, "*n G"]) -> Float[Tensor, "*n"]:
    return (values * known).sum(-1) / known.sum(-1).clamp(min=1)
