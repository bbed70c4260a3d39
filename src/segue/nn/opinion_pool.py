"""`OpinionPool`: one distribution over items from those of several models, with weights that depend on each request.

For models k with distributions p_k over the items, and features x of the request:

    z(j) = tau(x) / rho  ln  sum over k  g_k(x) p_k(j)^(rho t_k)           the score of item j
    g(x) = softmax(a + A x)         tau(x) = exp(b + B x)         rho, t_k > 0

The shares g sum to 1, tau says how far the scores lie apart, and t_k how sharp a distribution is taken. All of a, A, b,
B, rho and t are learnt from examples of requests and the items that followed: see `OpinionPool.learn`.

With rho = 1 and t_k = 1 it is the linear opinion pool, a mixture: an item is likely if one model says so. As rho
falls to 0 it becomes the logarithmic pool, a product: an item is likely if all models say so. In between it is their
weighted power mean (Cooke, Experts in Uncertainty, 1991, chapter 11; Genest and Zidek, Combining Probability
Distributions, Statistical Science 1986, for the two pools).

The features say how sure each model is: the entropy of its distribution, the logarithm of its largest probability, and
by how much that exceeds the second one; and the logarithm of the sum that its scores are divided by, which grows with
the evidence. Others can be added. They are standardised. A feature that is the same in all examples counts nothing:
nothing is known of its other values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.nn.optim import Adam, polynomial_lr

LOWEST = -60.0  # a logarithm of a probability; float16 holds it, and its gradient is finite
FIRST_RHO, FIRST_TAU = 0.35, 1.2
OWN_FEATURES = 4  # of each model
CONSTANT = 1e-3  # the deviation of a feature that differs by little more than rounding
PENALTY = 1.0  # weight of the squared weights of features, beside the loss of one example


class Opinion(NamedTuple):
    """The distribution over the items that a model gives to each of some requests.

    Attributes:
        log_probabilities: of the items; column 0 is padding.
        features: how sure the model is of them, and further features of the requests.
    """

    log_probabilities: Float[Tensor, "B I"]
    features: Float[Tensor, "B F"]

    @classmethod
    def of(
        cls, scores: Float[Tensor, "B I"], excluded: Bool[Tensor, "B I"], *features: Float[Tensor, "B _"]
    ) -> Opinion:
        """The opinion of a model with these scores, and with further features of the requests, if there are any.

        The probabilities are over the items that are not excluded.
        """
        values, total = log_softmax(scores, excluded)
        return cls(values, torch.cat([confidence(values, excluded), total, *features], 1))

    def stored(self, excluded: Bool[Tensor, "B I"]) -> Opinion:
        """The opinion in half precision, in which excluded items are impossible."""
        return Opinion(self.log_probabilities.masked_fill(excluded, -torch.inf).half(), self.features)

    def take(self, rows: Int[Tensor, "n"], dtype: torch.dtype) -> Opinion:
        """The opinion of some requests, with logarithms that are finite."""
        return Opinion(self.log_probabilities[rows].to(dtype).clamp(min=LOWEST), self.features[rows])

    @classmethod
    def join(cls, opinions: Sequence[Opinion]) -> Opinion:
        """The opinions of several batches as one."""
        return cls(*(torch.cat(parts) for parts in zip(*opinions, strict=True)))


class OpinionPool(nn.Module):
    """The pool and its weights.

    Args:
        num_models: K, the number of distributions.
        num_features: F, the number of further features of a request.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, num_models: int, num_features: int) -> None:
        super().__init__()
        size = num_models * OWN_FEATURES + num_features
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.weight = nn.Parameter(torch.zeros(num_models))  # a
        self.weight_of_features = nn.Parameter(torch.zeros(size, num_models))  # A
        self.log_tau = nn.Parameter(torch.tensor(math.log(FIRST_TAU)))  # b
        self.log_tau_of_features = nn.Parameter(torch.zeros(size))  # B
        self.log_rho = nn.Parameter(torch.tensor(math.log(FIRST_RHO)))
        self.log_temperature = nn.Parameter(torch.zeros(num_models))  # ln t
        self.requires_grad_(False)  # it is learnt by `learn` alone

    def forward(self, opinions: Sequence[Opinion]) -> Float[Tensor, "B I"]:
        """The scores of the items, from the opinions of all models."""
        features = torch.cat([opinion.features for opinion in opinions], 1)
        shares, tau = self.shares(features).log(), (self.log_tau + self._standard(features) @ self.log_tau_of_features)
        rho, temperature = self.log_rho.exp(), self.log_temperature.exp()
        total = None
        for k, opinion in enumerate(opinions):
            term = rho * temperature[k] * opinion.log_probabilities + shares[:, k : k + 1]
            total = term if total is None else torch.logaddexp(total, term)
        assert total is not None
        return total * (tau.exp() / rho).unsqueeze(1)

    def shares(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B K"]:
        """g, how much each model counts for each request."""
        return torch.softmax(self.weight + self._standard(features) @ self.weight_of_features, 1)

    def _standard(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
        return (features - self.mean) / self.deviation

    @property
    def is_learnt(self) -> bool:
        """Whether the pool has learnt from any example."""
        return bool((self.deviation != 1).any())

    def learn(
        self,
        opinions: Sequence[Opinion],
        target: Int[Tensor, "n"],
        *,
        rows: Int[Tensor, "m"],
        passes: int,
        lr: float,
        batch_size: int,
    ) -> None:
        """Go on learning the weights: those under which the targets are most likely.

        Args:
            opinions: of each model, with logarithms in any precision.
            target: the item that followed.
            rows: the examples to learn from, among these.
            passes: how often an example is learnt from.
            lr: the first learning rate of Adam; it falls to 0 in a straight line.
            batch_size: the number of examples in one step.
        """
        number = len(rows)
        if number == 0:
            return
        features = torch.cat([opinion.features for opinion in opinions], 1)
        self.mean.copy_(features[rows].mean(0))
        deviation = features[rows].std(0, correction=0)
        self.deviation.copy_(deviation.masked_fill(deviation < CONSTANT, torch.finfo(deviation.dtype).max))
        rng = np.random.default_rng(0)
        steps = passes * -(-number // batch_size)
        self.requires_grad_(True)
        optimizer = Adam(self.parameters(), lr=polynomial_lr(lr, 0.0, steps, 1.0))
        for _ in range(passes):
            for drawn in rows[torch.from_numpy(rng.permutation(number))].split(batch_size):
                scores = self([opinion.take(drawn, self.mean.dtype) for opinion in opinions])
                squares = self.weight_of_features.square().sum() + self.log_tau_of_features.square().sum()
                optimizer.zero_grad()
                (nn.functional.cross_entropy(scores, target[drawn]) + PENALTY / number * squares).backward()
                optimizer.step()
        self.requires_grad_(False)


def log_softmax(
    scores: Float[Tensor, "B I"], excluded: Bool[Tensor, "B I"]
) -> tuple[Float[Tensor, "B I"], Float[Tensor, "B 1"]]:
    """The logarithms of the softmax over the items that are not excluded, and that of its denominator.

    Excluded items have values too, which say what they would have beside the others.
    """
    total = scores.masked_fill(excluded, -torch.inf).logsumexp(1, keepdim=True)
    total = torch.where(total.isfinite(), total, 0)  # all items are excluded
    return scores - total, total


def confidence(values: Float[Tensor, "B I"], excluded: Bool[Tensor, "B I"]) -> Float[Tensor, "B 3"]:
    """How sure a model is: the entropy, the largest logarithm of a probability, and its lead over the second one."""
    kept = values.masked_fill(excluded, LOWEST).clamp(min=LOWEST)
    entropy = -(kept.exp() * kept).sum(1)
    best = kept.topk(2, 1).values
    return torch.stack([entropy, best[:, 0], best[:, 0] - best[:, 1]], 1)
