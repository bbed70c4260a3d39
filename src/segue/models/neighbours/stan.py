"""STAN and VSTAN: similar sessions, with weights that decay with position, time and distance.

    STAN     sim(n)   = w2(n) sum over the shared items i of  w1(i) / |n|^length_discount
             score(j) = sum over the neighbours n that have j of  sim(n) w3(n, j)

    w1(i)    = exp(-r / position_scale)      i is the r-th newest item of the history, from 0
    w2(n)    = exp(-t / session_scale)       t: days since the last event of n
    w3(n, j) = exp(-x / distance_scale)      x: positions in n between j and the newest item of n that is in the history

    VSTAN    score(j) = (1 + idf_weight idf(j)) sum over n of  sim(n) w3(n, j) exp(-r*(n) / match_scale)

r*(n) is the r of the newest shared item, and idf(j) = ln(number of sessions / number of sessions with j). The scales
position_scale, session_scale and distance_scale are the paper's lambda_1, lambda_2 and lambda_3; match_scale and
idf_weight are lambda_ipw and lambda_idf of VSTAN. A scale of none is infinite: everything has the weight 1.

The moment of the question changes no ranking: a later one divides the weights w2 of all neighbours by the same number.
Here t is counted to the newest session of the training log instead. In a log without times that are dates, w2 = 1.

The paper divides the similarity by the root of the length of the current session too, which changes no ranking. The
program of VSTAN's authors (session-rec) counts events in idf(j), where sessions are counted here. What the papers leave
open is as in that program: an item that recurs in the history has its newest position, and one that recurs in n its
last one.

The defaults were chosen on the validation parts of a week of YooChoose and of Diginetica.
Sources: Garg, Gupta, Malhotra, Vig and Shroff, SIGIR 2019 (STAN); Ludewig, Mauro, Latifi and Jannach, UMUAI 2021
(VSTAN).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.config import Config, Field
from segue.data.log import Floats
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.base.session_knn import SessionKNN, SessionKNNConfig, Sessions, ages

MAX_DECAY = 50.0  # older sessions weigh no less, so that float32 tells the weight of each from 0


class STANConfig(SessionKNNConfig):
    """Settings of STAN."""

    num_neighbours: int = 500
    position_scale: float | None = Field(
        1.0, gt=0, description="Number of positions in which the weight of an item of the history falls to 1/e."
    )
    session_scale: float | None = Field(
        None, gt=0, description="Number of days in which the weight of a session falls to 1/e; needs times."
    )
    distance_scale: float | None = Field(
        4.0, gt=0, description="Number of positions from the shared item in which the weight of an item falls to 1/e."
    )
    length_discount: float = Field(
        0.5, ge=0, description="Exponent of the length of the neighbour session in the denominator; 0.5 for a cosine."
    )


class STAN(SessionKNN):
    """Recommends items of similar training sessions, with weights by position, time and distance."""

    name = "stan"
    Config: ClassVar[type[Config]] = STANConfig
    config: STANConfig
    presets: ClassVar = {
        "author": {
            "num_neighbours": 1000,
            "sample_size": 10000,
            "window": None,
            "position_scale": 0.5,
            "session_scale": 20.0,
            "distance_scale": 0.5,
        },
    }
    space: ClassVar[Space] = {
        "num_neighbours": Choice(100, 200, 500, 1000, 1500),
        "position_scale": LogUniform(0.5, 20.0),
        "session_scale": Choice(None, 5.0, 20.0, 80.0),
        "distance_scale": LogUniform(0.5, 20.0),
        "length_discount": Uniform(0.0, 0.8),
    }
    sums_repeats = False
    match = "neighbour"

    def shared_weights(self, sessions: Sessions) -> Floats:
        length = np.maximum(sessions.length, 1) ** -self.config.length_discount
        decay = sessions.age / (self.config.session_scale or np.inf)
        weights: Floats = (length * np.exp(-np.minimum(decay, MAX_DECAY)))[sessions.session]
        return weights

    def item_divisor(self, sessions: Sessions) -> Floats:
        return np.ones(len(sessions.num_sessions))

    def position_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        return _decay(ages(history).to(self.divisor), self.config.position_scale).expand(history.shape)

    def distance_weights(self, distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return _decay(distance.abs(), self.config.distance_scale)


class VSTANConfig(STANConfig):
    """Settings of VSTAN."""

    position_scale: float | None = 2.0
    match_scale: float | None = Field(
        2.0, gt=0, description="Number of positions of the newest shared item in which a neighbour falls to 1/e."
    )
    idf_weight: float = Field(1.0, ge=0, description="Weight of the inverse document frequency of a scored item.")


class VSTAN(STAN):
    """STAN, in which rare items count more, and neighbours that share only old items count less."""

    name = "vstan"
    Config = VSTANConfig
    config: VSTANConfig
    presets: ClassVar = {
        "author": {
            "num_neighbours": 1500,
            "sample_size": 10000,
            "window": None,
            "position_scale": 0.5,
            "session_scale": 5.0,
            "distance_scale": 2.0,
            "match_scale": 2.0,
            "idf_weight": 2.0,
        },
    }
    space: ClassVar[Space] = {
        **STAN.space,
        "match_scale": LogUniform(0.5, 20.0),
        "idf_weight": Choice(0.0, 1.0, 2.0, 5.0, 10.0),
    }

    def item_divisor(self, sessions: Sessions) -> Floats:
        count = np.maximum(sessions.num_targets, 1)
        divisor: Floats = 1 / (1 + self.config.idf_weight * np.log(max((sessions.length > 0).sum(), 1) / count))
        return divisor

    def match_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"] | None:
        if self.config.match_scale is None:
            return None
        return _decay(ages(history).to(self.divisor), self.config.match_scale).expand(history.shape)


def _decay(x: Float[Tensor, "n"], scale: float | None) -> Float[Tensor, "n"]:
    return torch.ones_like(x) if scale is None else torch.exp(-x / scale)
