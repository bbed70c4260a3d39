"""`RepeatedPredictions`: the predictions of one model trained several times, with other seeds.

instance       1     2     3          of each metric
seed 0        1.0    0    .5          the mean over the seeds is the value of an instance: .75  .25  .5
seed 1         .5   .5    .5          so users, not seeds, are what intervals and tests count
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segue.data.log import Floats, Ids
from segue.errors import ConfigError, require
from segue.evaluation.task import Predictions


class RepeatedPredictions(Predictions):
    """The predictions of several trainings of one model for the same instances.

    Args:
        runs: the predictions of each training.

    Raises:
        ConfigError: there are none, or they are of different instances.
    """

    def __init__(self, runs: Sequence[Predictions]) -> None:
        require(len(runs) > 0, "no predictions to take the mean of")
        same = all(runs[0].same_instances(other) for other in runs[1:])
        require(same, "the trainings predict different instances; evaluate them under one protocol")
        self._runs = tuple(runs)
        self.user, self.dropped = runs[0].user, runs[0].dropped
        self.task = runs[0].task  # type: ignore[misc]

    @property
    def runs(self) -> tuple[Predictions, ...]:
        return self._runs

    def values(self, metric: str) -> Floats | None:
        """The mean over the trainings, one for each instance."""
        values = [run.values(metric) for run in self._runs]
        known = [value for value in values if value is not None]
        return np.mean(known, axis=0) if len(known) == len(values) else None

    def users(self, metric: str) -> Ids:
        return self._runs[0].users(metric)

    def same_instances(self, other: Predictions) -> bool:
        return self._runs[0].same_instances(other.runs[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """Not possible.

        Raises:
            ConfigError: always; the trainings are stored one by one.
        """
        raise ConfigError("the predictions of several trainings are stored one by one: see `runs`")

    def counts(self) -> dict[str, int]:
        return self._runs[0].counts()

    def list_statistics(self, metric: str, num_items: int, item_counts: Ids | None) -> dict[str, Any]:
        each = [run.list_statistics(metric, num_items, item_counts) for run in self._runs]
        return {key: _mean([statistics[key] for statistics in each]) for key in each[0]}

    def mean_other_ties(self, metric: str) -> float | None:
        return _mean([run.mean_other_ties(metric) for run in self._runs])


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None if a value is unknown."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
