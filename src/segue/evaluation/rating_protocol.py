"""`RatingProtocol`: the ratings after a date are predicted, and all items are ordered for each user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from segue.data.log import Log, distinct
from segue.data.splits import EvalInstances, Part, Split
from segue.errors import require
from segue.evaluation.protocol import Protocol
from segue.evaluation.rating_predictions import LOWER_IS_BETTER, RATING, RATING_METRICS, RatingPredictions
from segue.evaluation.task import Task

if TYPE_CHECKING:
    from segue.batches.rated_events import RatedEvents
    from segue.models.base.model import Model

# settings of ranking that earlier versions stored with protocols of ratings; the first two are part of fingerprints
STORED_RANKING_SETTINGS = {"exclude_seen": True, "ties": "conservative", "ks": [5, 10, 20], "ahead": 1, "leak": "keep"}


@dataclass(frozen=True, kw_only=True)
class RatingProtocol(Protocol):
    """How predictions of ratings are evaluated: errors of the ratings after a date, and the order of all items there.

    Equal scores count half in the AUC.

    Attributes:
        min_history: users with fewer ratings before the date are cold; they are left out and counted.
        min_item_history: items with fewer ratings before the date are cold too; nor are they candidates of the AUC.
        histories: which events a model may read before a rating: those before the date ("date"), or all that happened
            strictly before the rating ("rolling").
        users: the AUC is computed for so many users, drawn at random; None for all of them.
        seed: seed of that draw.
    """

    task: ClassVar[Task] = RATING
    stored_names: ClassVar[Mapping[str, str]] = {"min_item_history": "min_audience"}

    min_history: int = 3
    min_item_history: int = 3
    histories: Literal["date", "rolling"] = "date"
    users: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.by in ("global-time", "date"), f"by={self.by!r}: ratings are split at a date, by global-time or date"
        )
        require(self.min_item_history >= 1, f"min_item_history={self.min_item_history}: must be at least 1")
        require(self.histories in ("date", "rolling"), f"histories={self.histories!r}: must be one of date, rolling")
        require(self.users is None or self.users >= 1, f"users={self.users}: must be at least 1")

    def _fingerprint_content(self) -> dict[str, Any]:
        stored = {name: STORED_RANKING_SETTINGS[name] for name in ("exclude_seen", "ties")}
        return {**super()._fingerprint_content(), **stored}

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        return super()._from_dict({key: value for key, value in values.items() if key not in STORED_RANKING_SETTINGS})

    def _all_instances(self, split: Split, part: Part) -> EvalInstances:
        """The held-out ratings of users and items that are not cold."""
        instances, past = split.instances(part), _past(split, part)
        user = past.lengths[instances.user] >= self.min_history
        item = past.counts()[instances.log.item[instances.row]] >= self.min_item_history
        dropped = {
            f"ratings by users with fewer than {self.min_history} before": int((~user).sum()),
            f"ratings of items with fewer than {self.min_item_history} before": int((user & ~item).sum()),
        }
        warm = instances.take(np.flatnonzero(user & item))
        return replace(warm, dropped={**instances.dropped, **{reason: n for reason, n in dropped.items() if n}})

    def rated_events(self, split: Split, part: Part) -> RatedEvents:
        """The ratings of `instances`, each with the histories that a model may read."""
        from segue.batches.rated_events import RatedEvents  # imports torch

        instances = self.instances(split, part)
        events = RatedEvents.at_rows(split.log, instances.user, instances.row)
        if self.histories == "rolling":
            return events
        end_of_view = np.full(len(instances), np.iinfo(np.int64).max)  # the view ends at the date
        return replace(events, log=_past(split, part), before=end_of_view)

    def evaluate(
        self, model: Model, split: Split, part: Part, metrics: Sequence[str] | None = None
    ) -> RatingPredictions:
        """The predictions that `metrics` need. A model that predicts no ratings has only the AUC."""
        from segue.batches.rated_events import RatedEvents  # these import torch
        from segue.evaluation.rating_evaluation import predict_ratings, user_aucs

        metrics = tuple(RATING_METRICS) if metrics is None else metrics
        events, dropped = self.rated_events(split, part), self.instances(split, part).dropped
        predicted = predict_ratings(model, events) if set(metrics) & set(LOWER_IS_BETTER) else None
        if predicted is not None:
            scale = RatedEvents.from_log(split.log).rating
            predicted = predicted.clip(scale.min(), scale.max())
        users, aucs = None, None
        if "auc" in metrics:
            instances = self._auc_instances(split, part)
            candidate = _past(split, part).counts() >= self.min_item_history
            candidate[0] = False
            users, aucs = user_aucs(model, instances, candidate)
            if len(users) < len(instances):
                dropped = {**dropped, "users with nothing to order for the AUC": len(instances) - len(users)}
            if not len(users):  # every user has had every item
                users, aucs = None, None
        return RatingPredictions(events.user, events.rating.astype(np.float64), predicted, users, aucs, dropped)

    def _auc_instances(self, split: Split, part: Part) -> EvalInstances:
        """One instance per user of the AUC, with all ratings of the user in the part as targets."""
        first, stop = (split.valid, split.test) if part == "valid" else (split.test, split.log.stop)
        user = distinct(self.instances(split, part).user)
        if self.users is not None and self.users < len(user):
            user = np.sort(np.random.default_rng(self.seed).choice(user, self.users, replace=False))
        return EvalInstances(split.log, user, first[user], stop[user], {})

    def check_metric(self, metric: str) -> None:
        require(
            metric in RATING_METRICS,
            f"{metric}: {self.name} predicts ratings; its metrics are {', '.join(RATING_METRICS)}",
        )

    def table_metrics(self, cut_offs: Sequence[int]) -> list[str]:
        """All metrics; they have no cut-offs."""
        return list(RATING_METRICS)

    def describe(self) -> str:
        split = self.split_kind.describe(**self.arguments).partition("; ")[0]
        read = "before the date" if self.histories == "date" else "strictly before each of them"
        users = "all users" if self.users is None else f"at most {self.users:,} users (drawn with seed {self.seed})"
        return (
            f"{split}; its ratings are predicted from the events {read}, and errors are those within the log's scale; "
            f"users with fewer than {self.min_history} and items with fewer than {self.min_item_history} ratings "
            f"before the date are left out{self._describe_sample()}; the AUC is the mean over {users}, over all other "
            "items that the user had not rated."
        )


def _past(split: Split, part: Part) -> Log:
    """The events before the date of a part."""
    return split.train if part == "valid" else split.train_valid
