"""How attention knows where in a history an event stands, and when it was.

    absolute          x_t = e_t + p_t                       a vector of each position, added to that of the item
    relative          score_ts = q_t . k_s + p[t - s]       a number for each distance of two positions
    rotary            score_ts = R(t) q_t . R(s) k_s        R(t) turns the vector by angles that grow with t
    time              score_ts = q_t . k_s + w[bucket(q_t - time_s)]       a number for each bucket of durations

The vectors of `absolute` are one parameter of a model, whose rows are counted from the newest event; the others are
here. R(t) turns the pair (x_2i, x_2i+1) by the angle t b^(-2i/e), where e is the size of a head and b = 10000. The
score depends on t - s alone, and nothing is learnt. q_t of `time` is the moment from which the events are seen at t,
and bucket(d) = floor(ln(max(d, 1)) / .301): two moments twice as far apart are 2 or 3 buckets on.

Sources: Vaswani et al., "Attention is all you need", NIPS 2017 (absolute); the bias in the program of HSTU, where one
number serves all heads (Zhai et al., ICML 2024; relative and time); Su, Lu, Pan, Murtadha, Wen and Liu, "RoFormer:
enhanced transformer with rotary position embedding", arXiv:2104.09864, 2021, section 3.2.2 (rotary).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

BUCKET_WIDTH = 0.301  # of the natural logarithm of a duration
NUM_BUCKETS = 128  # the last one begins at e^38: after 1.2 years if times are nanoseconds, and after ages otherwise
ROTARY_BASE = 10_000.0


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
    return duration_buckets(moment[:, :, None] - times[:, None])


def duration_buckets(duration: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """The bucket of each duration, from 0 on; negative durations count as none."""
    return (duration.clamp(min=1).float().log_() / BUCKET_WIDTH).long().clamp_(max=NUM_BUCKETS - 1)


def rotate(x: Float[Tensor, "B h C e"]) -> Float[Tensor, "B h C e"]:
    """The queries or keys of the last C positions, turned as `rotary` says; e is even.

    Positions are counted from the newest, so padding changes nothing.
    """
    count, size = x.shape[2:]
    position = torch.arange(-count, 0, device=x.device, dtype=x.dtype)  # (C,)
    frequency = ROTARY_BASE ** (-torch.arange(0, size, 2, device=x.device, dtype=x.dtype) / size)  # (e / 2,)
    angle = position.unsqueeze(1) * frequency  # (C, e / 2)
    cos, sin = angle.cos(), angle.sin()
    even, odd = x[..., ::2], x[..., 1::2]  # (B, h, C, e / 2)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(3)
