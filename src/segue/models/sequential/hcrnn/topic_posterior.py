"""The proportions of global contexts in a history, drawn from a normal distribution inferred from a bag of items.

    f = ELU(bag W_e + b_e),  mu = f W_mu + b_mu,  log sigma = f W_sigma + b_sigma
    theta = softmax(mu + sigma * noise),  in evaluation softmax(mu)
    KL(N(mu, diag(sigma^2)) || N(0, I)) = sum of (mu^2 + sigma^2 - 1) / 2 - log sigma

Song, Cha and Moon, AAAI 2019, (11, 12, 31-33); their program uses 1e-6 + softplus instead of the exponential.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.nn.dropout import dropout
from segue.nn.softplus import softplus

SigmaParametrization = Literal["log", "softplus"]


class Posterior(NamedTuple):
    """mu, sigma, and the divergence from N(0, I)."""

    mean: Float[Tensor, "n K"]
    deviation: Float[Tensor, "n K"]
    divergence: Float[Tensor, "n"]


class TopicPosterior(nn.Module):
    """Infers theta of K contexts from bags of items of size D.

    Args:
        dim: D.
        num_contexts: K.
        deviation: how sigma is computed from the last layer.
        noise: factor of sigma when theta is drawn in training.
        dropout: dropout rate of the bags.
    """

    def __init__(
        self, dim: int, num_contexts: int, *, deviation: SigmaParametrization, noise: float, dropout: float
    ) -> None:
        super().__init__()
        self.kind, self.noise, self.dropout = deviation, noise, dropout
        self.code = nn.Linear(dim, dim)
        self.mean, self.deviation = nn.Linear(dim, num_contexts), nn.Linear(dim, num_contexts)
        for layer in (self.code, self.mean, self.deviation):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def posterior(self, bag: Float[Tensor, "n D"]) -> Posterior:
        """The distribution that theta is drawn from."""
        code = nn.functional.elu(self.code(dropout(bag, self.dropout, self.training)))
        mean, output = self.mean(code), self.deviation(code)  # (n, K)
        if self.kind == "log":
            deviation, log_deviation = output.exp(), output
        else:
            deviation = softplus(output) + 1e-6
            log_deviation = (deviation.square() + 1e-8).log() / 2
        divergence = ((mean.square() + deviation.square() - 1) / 2 - log_deviation).sum(1)
        return Posterior(mean, deviation, divergence)

    def sample(self, posterior: Posterior) -> Float[Tensor, "n K"]:
        """theta: random in training, of the mean in evaluation."""
        mean = posterior.mean
        if self.training and self.noise:
            mean = mean + self.noise * posterior.deviation * torch.randn_like(mean)
        return torch.softmax(mean, 1)


def bags(history: Int[Tensor, "B P"], vectors: Float[Tensor, "B P D"]) -> Float[Tensor, "B P D"]:
    """The sum of the vectors of the distinct items up to each position."""
    repeated = (history[:, :, None] == history[:, None]).tril(-1).any(2)  # (B, P)
    return (vectors * ~repeated[:, :, None]).cumsum(1)
