"""TALE: regression of the next item on the items before it, weighted by the time between them and by recent popularity.

    B = argmin  |T - S B|^2 + l2 |B|^2  =  (S^T S + l2)^-1 S^T T

Each event i of a history but the first is the single target of one row: T has its item, S the events s before it.

    S_s = w(t_i - t_s) n_s^power,    T_i = n_i^power,    w(t) = max(exp(-t / time_decay_days), min_time_weight)

n_e is the number of events of the item of e in the `trend_days` before e, e itself among them: the normalization by the
trend. Where only some events are targets, or have weights, the row of an event counts its weight. A history is scored
by position, newer items first (`LinearModel`), so that no times are needed then.

Differences. The equations are those of the authors' program; the paper combines B with SLIS for one of its five data
sets (Yelp). The program counts n_e in the whole log, held-out events before e included; here in the training log. A log
without times has every event one day after the one before, and n_e = 1.
The defaults were chosen on the validation parts of MovieLens 100K, MovieLens 1M, Amazon Beauty and a week of YooChoose.
Source: Park, Yoon, Choi and Lee, "Temporal linear item-item model for sequential recommendation", WSDM 2025;
github.com/psm1206/TALE.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from segue.config import Field
from segue.data.log import Floats, Ids, Log
from segue.models.base.event_pairs import EventPairsConfig, add_pairs, by_length, event_days
from segue.models.base.linear import LinearModel, regression_weights
from segue.models.base.search_space import LogUniform, Space, Uniform

# Table 7 (online appendix) and the settings of the program for Amazon Beauty, with tau_inf = 2
BEAUTY = {"l2": 100.0, "trend_days": 180.0, "trend_power": -0.01, "position_decay": 0.60653, "window": None}


class TALEConfig(EventPairsConfig):
    """Settings of TALE."""

    l2: float = 300.0
    position_decay: float = 0.9
    time_decay_days: float = Field(
        0.002, gt=0, description="Time in days after which an earlier event counts 1/e in the prediction of a target."
    )
    min_time_weight: float = Field(
        0.1, ge=0, le=1, description="Weight that an earlier event keeps, however long ago it was."
    )
    trend_days: float = Field(
        180.0, gt=0, description="Days before an event in which the popularity of its item counts."
    )
    trend_power: float = Field(
        -0.01, ge=-1, le=0, description="Power of that popularity by which sources and targets are weighted."
    )


class TALE(LinearModel):
    """Recommends what a regression on the earlier events, weighted by time, predicts as the next item."""

    name = "tale"
    Config = TALEConfig
    config: TALEConfig
    presets: ClassVar = {
        "author": {**BEAUTY, "time_decay_days": 0.5, "min_time_weight": 0.4, "max_events": 301},
        "author-ml-1m": {**BEAUTY, "time_decay_days": 1 / 512, "min_time_weight": 0.2, "max_events": 2501},
    }
    space: ClassVar[Space] = {
        "l2": LogUniform(1.0, 3000.0),
        "time_decay_days": LogUniform(0.002, 32.0),
        "min_time_weight": Uniform(0.0, 1.0),
        "trend_power": Uniform(-0.5, 0.0),
        "position_decay": Uniform(0.4, 1.0),
    }

    def item_weights(self, log: Log, place: Ids) -> Floats:
        size = int(place.max(initial=0))
        gram, cross = np.zeros((size, size)), np.zeros((size, size))
        days = event_days(log)
        popularity = trend(log, days, self.config.trend_days) ** self.config.trend_power
        if days is None:
            days = np.arange(len(log.item), dtype=np.float64)
        target = self.config.target_weights(log)
        for _, rows in by_length(log, place, self.config.max_events):
            item, day, share = place[log.item[rows]] - 1, days[rows], popularity[rows]  # (b, L)
            gap = np.maximum(day[:, 1:, None] - day[:, None, :-1], 0)  # (b, targets, sources)
            weight = np.maximum(np.exp(-gap / self.config.time_decay_days), self.config.min_time_weight)
            past = np.tril(weight * share[:, None, :-1])
            weighted = past * target[rows][:, 1:, None]
            add_pairs(gram, item[:, :-1, None], item[:, None, :-1], weighted.transpose(0, 2, 1) @ past)
            add_pairs(cross, item[:, None, :-1], item[:, 1:, None], weighted * share[:, 1:, None])
        return regression_weights(gram, cross, l2=self.config.l2, max_diagonal=None)


def trend(log: Log, days: Floats | None, window: float) -> Floats:
    """(R,) how many events the item of each row had in the `window` days up to it; 1 without times."""
    rows = log.rows()
    count = np.ones(len(log.item))
    if days is None:
        return count
    item, day = log.item[rows].astype(np.float64), days[rows]
    key = item * (day.max(initial=0) + window + 1) + day  # the windows of different items do not meet
    ordered = np.sort(key)
    count[rows] = np.searchsorted(ordered, key, "right") - np.searchsorted(ordered, key - window, "left")
    return count
