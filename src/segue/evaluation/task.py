"""`Task` and `Predictions`: what models are evaluated on, and what they predicted.

    task       what is predicted           predictions           metrics
    ranking    which item comes next       `Ranks`               recall@k, ndcg@k, mrr@k, ...
    rating     how a user rates an item    `RatingPredictions`   rmse and mae (lower is better), auc

A `Protocol` belongs to a task and evaluates a model on it. The rest of the package works with every task: the table,
the tests, the files of results and the experiments use only what these two classes declare. A further task is one
module with its `Predictions`, its `Task` and its `Protocol`, which `segue.evaluation.protocols` lists.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from segue.data.log import Floats, Ids
from segue.errors import ConfigError

AnyPredictions = TypeVar("AnyPredictions", bound="Predictions")


class Task(ABC):
    """A kind of prediction that models are evaluated on.

    Class attributes:
        name: the name of the task; `Model.task` refers to it.
        predicts: what is predicted, in words.
        baselines: names of simple models that are shown beside any other.
        default_monitor: the metric that selects the epoch if no other is given.
        default_metrics: the metrics of a table if no others are given.
    """

    name: ClassVar[str]
    predicts: ClassVar[str]
    baselines: ClassVar[tuple[str, ...]]
    default_monitor: ClassVar[str]
    default_metrics: ClassVar[tuple[str, ...]]

    def lower_is_better(self, metric: str) -> bool:
        """Whether lower values of a metric are better."""
        return False

    def aggregate(self, mean: float, metric: str) -> float:
        """The figure of a metric, computed from the mean of its values over the evaluation instances."""
        return mean

    @abstractmethod
    def from_arrays(self, arrays: Mapping[str, np.ndarray], **attributes: Any) -> Predictions:
        """The inverse of `Predictions.arrays` and `Predictions.attributes`."""


class Predictions(ABC):
    """What a model predicted for the evaluation instances of a protocol.

    Attributes:
        user: (C,) the user of each instance.
        dropped: how many users, instances or targets were left out, by reason.
    """

    task: ClassVar[Task]
    user: Ids
    dropped: dict[str, int]

    def __len__(self) -> int:
        """C, the number of evaluation instances."""
        return len(self.user)

    @property
    def runs(self) -> tuple[Predictions, ...]:
        """The predictions of each training, if the model was trained several times; by default these alone."""
        return (self,)

    @abstractmethod
    def values(self, metric: str) -> Floats | None:
        """One value of a metric per instance (per user for some metrics); None if the model cannot be measured by it.

        Raises:
            ConfigError: the task has no such metric.
        """

    def users(self, metric: str) -> Ids:
        """The user of each value that `values` returns."""
        return self.user

    @abstractmethod
    def same_instances(self, other: Predictions) -> bool:
        """Whether `other` has predictions for the same instances."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays, to be stored."""

    def attributes(self) -> dict[str, Any]:
        """What is stored besides the arrays, as plain values."""
        return {"dropped": self.dropped}

    def counts(self) -> dict[str, int]:
        """What is counted besides instances and users, by name, such as the number of targets."""
        return {}

    def list_statistics(self, metric: str, num_items: int, item_counts: Ids | None) -> dict[str, float | None]:
        """Coverage and popularity of the recommended lists at the cut-off of a metric; empty if nothing is recommended.

        Args:
            metric: such as "recall@10".
            num_items: number of items of the catalogue.
            item_counts: (I + 1,) training events of each item; None if they are unknown.
        """
        return {}

    def mean_other_ties(self, metric: str) -> float | None:
        """The mean of a metric under the other tie rule; None if it is unknown, or if the task has no ties."""
        return None

    @classmethod
    def expect(cls: type[AnyPredictions], predictions: Predictions, message: str) -> AnyPredictions:
        """`predictions`, if they are of this class.

        Raises:
            ConfigError: they are of another task; with `message`.
        """
        if not isinstance(predictions, cls):
            raise ConfigError(message)
        return predictions


def measure(predictions: Predictions, metric: str) -> Floats:
    """(C,) values of a metric such as "recall@10", one per evaluation instance; those of "rmse" are squared errors.

    Raises:
        ConfigError: the task has no such metric, or the model cannot be measured by it.
    """
    values = predictions.values(metric)
    if values is None:
        raise ConfigError(
            f"{metric}: the model predicts no ratings; use a model of ratings, such as mf, or another protocol"
        )
    return values


def mean_metric(predictions: Predictions, metric: str) -> float:
    """The figure of a metric over all evaluation instances, such as the RMSE."""
    return predictions.task.aggregate(float(measure(predictions, metric).mean()), metric)


def can_measure(predictions: Predictions, metric: str) -> bool:
    """Whether the predictions have a value of a metric: RMSE and MAE need a model that predicts ratings."""
    return predictions.values(metric) is not None
