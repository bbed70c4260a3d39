"""VS-KNN: the items of the sessions (users) that share items with the history.

    sim(n)   = sum over the shared items i of  w_i / ((n_i + shrinkage)^alpha (|n| + shrinkage)^length_discount)
    score(j) = sum over the neighbours n that have j of  sim(n) v_n(j)  /  (n_j + shrinkage)^beta

n_i is the number of sessions that have item i, |n| the number of items of session n; `segue.models.base.session_knn`
says which sessions are neighbours. With r = 0 for the newest of the m items of the history, and f =
min_position_weight,

    w = 1 - r / m  (linear),   1 / (r + 1)  (div),   f + (1 - f) position_decay^r  (decay)
    v_n(j) = distance^-distance_decay  of j and the last shared item in n;  times `backward_weight` where j comes before

and `weight_last_match` multiplies v by w of the last shared item. The preset `paper` is V-SKNN; alpha, length_discount,
beta and the distance are refinements in the manner of STAN. The defaults were tuned on the validation part of Amazon
CDs.
Sources: Jannach and Ludewig, RecSys 2017; Ludewig and Jannach, UMUAI 2018; Garg et al., SIGIR 2019 (STAN).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.config import Field
from segue.data.log import Floats, Ids
from segue.models.base.search_space import Choice, Space, Uniform
from segue.models.base.session_knn import SessionKNN, SessionKNNConfig, Sessions, ages


class VSKNNConfig(SessionKNNConfig):
    """Settings of VS-KNN."""

    weighting: Literal["decay", "linear", "div"] = Field(
        "decay", description="How the weight of an item of the history falls with its age."
    )
    position_decay: float = Field(
        0.8, gt=0, le=1, description="Weight of an item relative to the next newer one; weighting=decay only."
    )
    min_position_weight: float = Field(
        0.1, ge=0, le=1, description="Weight that an item keeps, however old it is; weighting=decay only."
    )
    alpha: float = Field(0.75, ge=0, description="Exponent of the popularity of a shared item in the denominator.")
    length_discount: float = Field(
        0.4, ge=0, description="Exponent of the length of the neighbour session in the denominator."
    )
    beta: float = Field(0.4, ge=0, description="Exponent of the popularity of the scored item in the denominator.")
    shrinkage: float = Field(15.0, ge=0, description="Added to the counts in the denominators.")
    distance_decay: float = Field(
        0.35, description="An item at distance x from the last shared item counts x^-distance_decay."
    )
    backward_weight: float = Field(
        0.7, ge=0, description="Weight of the items before the last shared item, relative to those after it."
    )
    weight_last_match: bool = Field(
        False, description="Whether a neighbour counts less if the last shared item is old in the history."
    )
    renamed: ClassVar[dict[str, str]] = {
        "neighbours": "num_neighbours",
        "sample": "sample_size",
        "last": "window",
        "decay": "position_decay",
        "floor": "min_position_weight",
        "back": "backward_weight",
        "weigh_last": "weight_last_match",
    }


class VSKNN(SessionKNN):
    """Recommends items of the training sessions that are most similar to the current one."""

    name = "vs-knn"
    Config = VSKNNConfig
    config: VSKNNConfig
    presets: ClassVar = {
        "paper": {
            "num_neighbours": 100,
            "sample_size": 1000,
            "window": None,
            "weighting": "linear",
            "alpha": 0.0,
            "length_discount": 0.0,
            "beta": 0.0,
            "shrinkage": 0.0,
            "distance_decay": 0.0,
            "backward_weight": 1.0,
            "weight_last_match": True,
        },
    }
    space: ClassVar[Space] = {
        "num_neighbours": Choice(100, 200, 300, 500),
        "position_decay": Uniform(0.4, 0.95),
        "min_position_weight": Uniform(0.0, 0.2),
        "alpha": Uniform(0.0, 1.0),
        "length_discount": Uniform(0.0, 0.8),
        "beta": Uniform(0.0, 0.7),
        "distance_decay": Uniform(0.0, 1.0),
        "backward_weight": Uniform(0.0, 1.0),
        "weight_last_match": Choice(False, True),
    }
    sums_repeats = True
    match = "history"

    def shared_weights(self, sessions: Sessions) -> Floats:
        common, long = (self._shrunk(count) for count in (sessions.num_sessions, sessions.length))
        weights: Floats = (
            common[sessions.item] ** -self.config.alpha * long[sessions.session] ** -self.config.length_discount
        )
        return weights

    def item_divisor(self, sessions: Sessions) -> Floats:
        divisor: Floats = self._shrunk(sessions.num_targets) ** self.config.beta
        return divisor

    def _shrunk(self, count: Ids | Floats) -> Floats:
        shrunk: Floats = np.maximum(count, 1) + self.config.shrinkage
        return shrunk

    def position_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        config = self.config
        age = ages(history).to(self.divisor)
        if config.weighting == "linear":
            number = ((history > 0).cumsum(1) > 0).sum(1, keepdim=True)  # m, with padding between the items
            return (1 - age / number.clamp(min=1)).clamp(min=0)
        if config.weighting == "div":
            return (1 / (age + 1)).expand(history.shape)
        weight = config.min_position_weight + (1 - config.min_position_weight) * config.position_decay**age
        return weight.expand(history.shape)

    def match_weights(self, history: Int[Tensor, "B L"]) -> Float[Tensor, "B L"] | None:
        return self.position_weights(history) if self.config.weight_last_match else None

    def distance_weights(self, distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        counts = distance.abs().clamp(min=1) ** -self.config.distance_decay
        return torch.where(distance < 0, self.config.backward_weight * counts, counts)
