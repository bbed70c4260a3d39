"""`RatingPredictions`: predicted ratings, how items are ordered for users, and the metrics of both.

rmse   sqrt(mean of e^2)     mae   mean of |e|     with e = predicted - rating     (lower is better)
auc    of a user: the probability that an item that they went on to rate scores higher than one that they did not

     score   .9   .7   .7   .4   .1      rated later: b and d
     item     a    b    c    d    e      pairs (b a) (b c) (b e) (d a) (d c) (d e):  0 + 1/2 + 1 + 0 + 0 + 1 of 6
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from segue.data.log import Floats, Ids
from segue.errors import ConfigError, did_you_mean
from segue.evaluation.task import Predictions, Task

LOWER_IS_BETTER = ("rmse", "mae")


class RatingTask(Task):
    """How a user rates an item: ratings are predicted, and items are ordered by them."""

    name = "rating"
    predicts = "ratings"
    baselines = ("global-mean", "user-mean", "item-mean", "biases", "pop")
    default_monitor = "rmse"
    default_metrics = ("rmse", "mae", "auc")

    def lower_is_better(self, metric: str) -> bool:
        return metric in LOWER_IS_BETTER

    def aggregate(self, mean: float, metric: str) -> float:
        return math.sqrt(mean) if metric == "rmse" else mean

    def from_arrays(self, arrays: Mapping[str, np.ndarray], **attributes: Any) -> RatingPredictions:
        return RatingPredictions.from_arrays(arrays, **attributes)


RATING = RatingTask()


@dataclass(frozen=True, eq=False)
class RatingPredictions(Predictions):
    """The predictions of a model for N ratings, and how well it orders the items for M users.

    Attributes:
        user: (N,) user of each rating.
        rating: (N,) the true ratings.
        predicted: (N,) the predicted ratings, clipped to the scale of the log; None if the model predicts no ratings.
        ranked_user: (M,) the users whose items were ordered; None if the AUC was not computed.
        user_auc: (M,) the AUC of each of them, from 0 to 1.
        dropped: how many users or ratings were left out, by reason.
    """

    task: ClassVar[Task] = RATING

    user: Ids
    rating: Floats
    predicted: Floats | None
    ranked_user: Ids | None
    user_auc: Floats | None
    dropped: dict[str, int]

    def values(self, metric: str) -> Floats | None:
        if metric not in RATING_METRICS:
            raise ConfigError(
                f"unknown metric {metric!r}{did_you_mean(metric, RATING_METRICS)}; predictions of ratings are measured "
                f"by {', '.join(RATING_METRICS)}"
            )
        return RATING_METRICS[metric](self)

    def users(self, metric: str) -> Ids:
        return self.ranked_user if metric == "auc" and self.ranked_user is not None else self.user

    def same_instances(self, other: Predictions) -> bool:
        names = ("user", "rating")
        return all(hasattr(other, name) and np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays. Their names are those that older files have."""
        named = {
            "user": self.user,
            "rating": self.rating,
            "predicted": self.predicted,
            "ranked": self.ranked_user,
            "auc": self.user_auc,
        }
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], *, dropped: Mapping[str, int]) -> RatingPredictions:
        """The inverse of `arrays` and `attributes`.

        Raises:
            ValueError: the arrays do not belong together.
        """
        for name, other in (("rating", "user"), ("predicted", "user"), ("auc", "ranked")):
            if name in arrays and arrays[name].shape != arrays[other].shape[:1]:
                raise ValueError(f"{name} does not belong to {other}")
        return cls(
            user=arrays["user"],
            rating=arrays["rating"],
            predicted=arrays.get("predicted"),
            ranked_user=arrays.get("ranked"),
            user_auc=arrays.get("auc"),
            dropped=dict(dropped),
        )


def squared_error(predictions: RatingPredictions) -> Floats | None:
    """(N,) the squared errors; the RMSE is the root of their mean."""
    return None if predictions.predicted is None else (predictions.predicted - predictions.rating) ** 2


def absolute_error(predictions: RatingPredictions) -> Floats | None:
    """(N,) the absolute errors."""
    return None if predictions.predicted is None else np.abs(predictions.predicted - predictions.rating)


def auc(predictions: RatingPredictions) -> Floats | None:
    """(M,) the AUC of each user."""
    return predictions.user_auc


RATING_METRICS: dict[str, Callable[[RatingPredictions], Floats | None]] = {
    "rmse": squared_error,
    "mae": absolute_error,
    "auc": auc,
}
