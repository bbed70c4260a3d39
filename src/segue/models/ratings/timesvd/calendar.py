"""`Calendar`: the days of training, and the time features of TimeSVD++ for each rating.

    dev_u(t) = sign(t - t_u) |t - t_u|^beta,        t_u the mean day of the user's ratings
    Bin(t)   = the bin of day t among bins of equal length that divide the days of training

The equations are those of Koren, KDD 2009; see `model.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from segue.batches.rated_events import RatedEvents
from segue.data.time_units import SECONDS_PER_DAY, TICKS_PER_SECOND, unit_of
from segue.errors import DataError, require

NO_DAY = np.iinfo(np.int64).max


class TimeFeatures(NamedTuple):
    """What the calendar knows about the days of B ratings.

    Attributes:
        dev: (B,) dev_u(t), in units of the largest deviation.
        bin: (B,) Bin(t).
        day_row: (B,) row of the terms of this user and day; 0 if there are none.
    """

    dev: Tensor
    bin: Tensor
    day_row: Tensor


class Calendar(nn.Module):
    """The days of training: the first and the last day, the mean day of each user, the days with terms of their own.

    Args:
        num_users: number of users.
        beta: exponent of the deviation.
        num_bins: number of bins of the days of training.
        capacity: number of (user, day) pairs that can have terms of their own.
    """

    day_range: Tensor
    max_deviation: Tensor
    mean_day: Tensor
    day_keys: Tensor
    day_penalty_weight: Tensor

    def __init__(self, num_users: int, beta: float, num_bins: int, capacity: int) -> None:
        super().__init__()
        self.beta, self.num_bins = beta, num_bins
        self.register_buffer("day_range", torch.tensor([1, 0, 0]))  # length of a day, first day, last day
        self.register_buffer("max_deviation", torch.ones(()))
        self.register_buffer("mean_day", torch.zeros(num_users + 1))  # t_u, from the first day on
        self.register_buffer("day_keys", torch.full((capacity,), NO_DAY))
        # 1 / number of ratings of the (user, day) pair
        self.register_buffer("day_penalty_weight", torch.zeros(capacity + 1), persistent=False)

    def fit(self, events: RatedEvents) -> None:
        """Set the calendar to the days of `events`.

        Raises:
            DataError: the log has no times.
        """
        if events.time is None:
            raise DataError(
                f"{events.log.name}: timesvd++ needs to know when ratings were given; this log has no times"
            )
        unit = unit_of(int(events.time.min()), int(events.time.max()))
        length = 1 if unit is None else SECONDS_PER_DAY * TICKS_PER_SECOND[unit]
        day = events.time // length
        first, last = int(day.min()), int(day.max())
        self.day_range.copy_(torch.tensor([length, first, last]))
        self.max_deviation.fill_(max(last - first, 1) ** self.beta)
        rated = np.bincount(events.user, minlength=len(self.mean_day))
        total = np.bincount(events.user, day - first, len(self.mean_day))
        self.mean_day.copy_(torch.from_numpy(total / np.maximum(rated, 1)))
        key, count = np.unique(events.user * (last - first + 1) + day - first, return_counts=True)
        top = np.argsort(-count, kind="stable")[: len(self.day_keys)]
        top = np.sort(top[count[top] > 1])
        self.day_keys.fill_(NO_DAY)[: len(top)] = torch.from_numpy(key[top])
        self.day_penalty_weight.zero_()[1 : len(top) + 1] = torch.from_numpy(1 / count[top])

    def check_buffers(self) -> None:
        """Raise `ConfigError` if the loaded days cannot be."""
        length, first, last = self.day_range.tolist()
        require(length >= 1 and first <= last < first + 2**31, f"days from {first} to {last}, {length} long")
        require(float(self.max_deviation) > 0, f"deviation of {float(self.max_deviation)} from the mean day")
        require(bool((self.day_keys.diff() >= 0).all()), "days of users are not in order")

    def forward(self, user: Int[Tensor, "B"], time: Int[Tensor, "B"] | None) -> TimeFeatures:
        """Time features of B (user, time) pairs; without times, those of the last day of training."""
        length, first, last = self.day_range
        day = last.expand(len(user)) if time is None else time // length
        span, since = last - first + 1, day - first
        distance = since - self.mean_day[user]
        dev = distance.sign() * distance.abs() ** self.beta / self.max_deviation
        key = torch.where((since >= 0) & (since < span), user * span + since, -1)
        row = torch.searchsorted(self.day_keys, key)
        has_terms = torch.nn.functional.pad(self.day_keys, (0, 1), value=NO_DAY)[row] == key
        return TimeFeatures(
            dev, (since * self.num_bins // span).clamp(0, self.num_bins - 1), torch.where(has_terms, row + 1, 0)
        )
