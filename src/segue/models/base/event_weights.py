"""`EventWeightsConfig`: the setting of what events of a type, such as views, count in training.

Models that count have weighted counts. Models that are trained by gradient draw the targets of each epoch: an event of
weight w is one with the probability w / (the largest weight), so that the expected gradient is that of a weighted loss.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from segue.config import Config, Field
from segue.data.event_types import target_weights
from segue.data.log import Floats, Log
from segue.errors import DataError, require

MIN_WEIGHT, MAX_WEIGHT = 1e-6, 1e6  # sums of others are lost in rounding: they rank nothing, or are infinite


class EventWeightsConfig(Config):
    """Settings of models in which events of different types may count differently."""

    later: ClassVar[tuple[str, ...]] = ("event_weights",)
    event_weights: tuple[str, ...] | None = Field(
        None,
        description=(
            "What an event of a type counts in training, such as view=0.2,buy=1. An event of another type counts 1 if "
            "it may be a target, and 0 if not."
        ),
    )

    def check(self) -> None:
        super().check()
        weights = self._weights_of_types()
        require(len(weights) == len(self.event_weights or ()), f"{self._written()}: names a type twice")

    def target_weights(self, log: Log) -> Floats:
        """(R,) what each row of the columns of a training log counts; see `segue.data.event_types.target_weights`.

        Raises:
            DataError: a type with a weight is not one of the log's, or no event has a weight above 0.
        """
        weights = target_weights(log, self._weights_of_types())
        if self.event_weights and not log.column(weights).any():
            raise DataError(f"{log.name}: no event counts in training, as {self._written()} says; give another weight")
        return weights

    def draw_targets(self, log: Log, rng: np.random.Generator) -> Log:
        """The training log of an epoch, in which the targets are drawn by their weights."""
        if not self.event_weights:
            return log
        weights = self.target_weights(log)
        return replace(log, is_target=rng.random(len(weights)) < weights / log.column(weights).max(initial=0))

    def _weights_of_types(self) -> dict[str, float]:
        """The weight of each type that is named.

        Raises:
            ConfigError: an entry is not a name and a weight in the range.
        """
        weights = {}
        for entry in self.event_weights or ():
            name, _, value = entry.rpartition("=")
            try:
                weight = float(value)
            except ValueError:
                weight = math.nan
            require(
                bool(name.strip()) and 0 <= weight < math.inf,
                f"{self._written()}: must be names of types, each with a weight of at least 0, such as "
                "event_weights=view=0.2,buy=1",
            )
            require(
                weight == 0 or MIN_WEIGHT <= weight <= MAX_WEIGHT,
                f"{self._written()}: a weight must be 0 or from {MIN_WEIGHT:g} to {MAX_WEIGHT:,.0f}",
            )
            weights[name.strip()] = weight
        return weights

    def _written(self) -> str:
        return f"event_weights={','.join(self.event_weights or ())}"
