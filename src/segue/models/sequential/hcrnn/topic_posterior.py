"""The shares of global contexts in a history, drawn from a normal distribution that a net makes of a bag of items.

    f = ELU(bag W_e + b_e),  mu = f W_mu + b_mu,  log sigma = f W_sigma + b_sigma
    theta = softmax(mu + sigma * noise),  in evaluation softmax(mu)
    KL(N(mu, diag(sigma^2)) || N(0, I)) = sum of (mu^2 + sigma^2 - 1) / 2 - log sigma

Song, Cha and Moon, AAAI 2019, (11, 12, 31-33); their program has 1e-6 + softplus in the place of the exponential.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.nn.dropout import dropout

Deviation = Literal["log", "softplus"]


class Posterior(NamedTuple):
    """mu, sigma, and the divergence from N(0, I)."""

    mean: Float[Tensor, "n K"]
    deviation: Float[Tensor, "n K"]
    divergence: Float[Tensor, "n"]


class TopicPosterior(nn.Module):
    """theta of K contexts for bags of items of size D."""

    def __init__(self, dim: int, count: int, *, deviation: Deviation, noise: float, dropout: float) -> None:
        super().__init__()
        self.kind, self.noise, self.dropout = deviation, noise, dropout
        self.code, self.mean, self.deviation = nn.Linear(dim, dim), nn.Linear(dim, count), nn.Linear(dim, count)
        for layer in (self.code, self.mean, self.deviation):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def posterior(self, bag: Float[Tensor, "n D"]) -> Posterior:
        """The distribution that theta is drawn from."""
        code = nn.functional.elu(self.code(dropout(bag, self.dropout, self.training)))
        mean, made = self.mean(code), self.deviation(code)
        if self.kind == "log":
            deviation, log = made.exp(), made
        else:
            deviation = nn.functional.softplus(made) + 1e-6
            log = (deviation.square() + 1e-8).log() / 2
        return Posterior(mean, deviation, ((mean.square() + deviation.square() - 1) / 2 - log).sum(1))

    def draw(self, found: Posterior) -> Float[Tensor, "n K"]:
        """theta."""
        mean = found.mean
        if self.training and self.noise:
            mean = mean + self.noise * found.deviation * torch.randn_like(mean)
        return torch.softmax(mean, 1)


def bags(history: Int[Tensor, "B P"], vectors: Float[Tensor, "B P D"]) -> Float[Tensor, "B P D"]:
    """The sum of the distinct items up to each place."""
    again = (history[:, :, None] == history[:, None]).tril(-1).any(2)
    return (vectors * ~again[:, :, None]).cumsum(1)
