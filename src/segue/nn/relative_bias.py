"""Biases of attention scores by the distance of two events: in positions, and in time.

    position bias     p[t - s]                              of event s, seen from the later position t
    time bias         w[bucket(q_t - time_s)]               q_t is the moment from which the events are seen at t
    bucket(d)         floor(ln(max(d, 1)) / .301)           so that two moments twice as far apart are 2 or 3 buckets on

Source: the bias in the program of HSTU (Zhai et al., ICML 2024), where one number serves all heads.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

BUCKET_WIDTH = 0.301  # of the natural logarithm of a duration
NUM_BUCKETS = 128  # the last one begins at e^38: after 1.2 years if times are nanoseconds, and after ages otherwise


class RelativePositionBias(nn.Module):
    """A learnt number for each distance of two positions.

    Args:
        window: the number of positions.
        num_heads: each attention head has its own numbers.
    """

    def __init__(self, window: int, num_heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(window, num_heads).mul_(0.02))

    def forward(self, length: int) -> Float[Tensor, "1 h P P"]:
        """The bias of each of the last `length` positions, seen from each; that of later positions has no meaning."""
        position = torch.arange(length, device=self.weight.device)
        distance = (position[:, None] - position).clamp(min=0)  # (P, P)
        return self.weight[distance].permute(2, 0, 1).unsqueeze(0)


class RelativeTimeBias(nn.Module):
    """A learnt number for each bucket of durations.

    Args:
        num_heads: each attention head has its own numbers.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(NUM_BUCKETS, num_heads).mul_(0.02))

    def forward(self, buckets: Int[Tensor, "B P P"]) -> Float[Tensor, "B h P P"]:
        """The bias of each pair of positions, from their `time_buckets`."""
        return nn.functional.embedding(buckets, self.weight).permute(0, 3, 1, 2)


def time_buckets(moment: Int[Tensor, "B P"], times: Int[Tensor, "B P"]) -> Int[Tensor, "B P P"]:
    """The bucket of the time between each event and the moment from which it is seen at each position.

    Args:
        moment: the moment of each position.
        times: the time of each event.
    """
    duration = (moment[:, :, None] - times[:, None]).clamp_(min=1)  # (B, P, P)
    return (duration.float().log_() / BUCKET_WIDTH).long().clamp_(max=NUM_BUCKETS - 1)
