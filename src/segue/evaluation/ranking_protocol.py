"""`RankingProtocol`: all items are ranked, and the ranks of the next items are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from segue.data.cold_items import draw_cold_items
from segue.data.diagnostics.leakage import drop_leaking_users
from segue.data.diagnostics.repeats import users_return
from segue.data.diagnostics.target_times import TargetTimes, basket_warning, target_times
from segue.data.event_types import with_targets
from segue.data.log import Log
from segue.data.source_split import cuts_users
from segue.data.split_kinds import SPLITS
from segue.data.splits import EvalInstances, Part, Split
from segue.errors import DataError, require, unknown
from segue.evaluation.metrics import METRICS, parse
from segue.evaluation.prequential import PERIODS, Retrain, Stream, in_time_order
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranks import RANKING, Ranks, Ties
from segue.evaluation.task import Task

if TYPE_CHECKING:
    from segue.models.base.model import Model

# up to here, a baseline takes seconds: EASE inverts a matrix of the items, VS-KNN compares every query with sessions
EASE_ITEMS, VS_KNN_EVENTS = 5_000, 100_000
# settings of later versions: these values leave fingerprints unchanged
LATER_SETTINGS = {
    **{"horizon": 1, "leak": "keep", "request_time": "unknown", "cold_items": 0.0, "cold_seed": 0},
    "targets": (),
    **{"update": False, "retrain": "never"},
}


@dataclass(frozen=True, kw_only=True)
class RankingProtocol(Protocol):
    """How models that rank items are evaluated.

    Attributes:
        exclude_seen: whether items that the user has already had are left out of the ranking.
        ties: whether a target is ranked behind all other items of the same score, or before them.
        ks: cut-offs of the metrics, ascending; the last one is the depth of the ranks.
        horizon: number of next items that are the targets of each step.
        leak: "drop" leaves users out of training who share an event (an item at a time) with the held-out data.
        targets: the types of events that are targets, such as purchases among views; empty for all.
        request_time: "known" lets models read when the next item is requested, which is the time of the first target.
        cold_items: the share of the items whose rows are left out of training; see `segue.data.cold_items`.
        cold_seed: seed of the draw of these items.
        update: whether models that can, learn each test row at once, after it was predicted; see
            `segue.evaluation.prequential`.
        retrain: when the model is trained anew on all rows before, while the test part goes by.
    """

    task: ClassVar[Task] = RANKING
    stored_names: ClassVar[Mapping[str, str]] = {"horizon": "ahead"}

    exclude_seen: bool = True
    ties: Ties = "conservative"
    ks: tuple[int, ...] = (5, 10, 20)
    horizon: int = 1
    leak: Literal["keep", "drop"] = "keep"
    targets: tuple[str, ...] = ()
    request_time: Literal["unknown", "known"] = "unknown"
    cold_items: float = 0.0
    cold_seed: int = 0
    update: bool = False
    retrain: Retrain = "never"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(isinstance(self.ks, (tuple, list)), f"ks={self.ks!r}: must be a list of cut-offs")
        require(isinstance(self.exclude_seen, bool), f"exclude_seen={self.exclude_seen!r}: must be true or false")
        object.__setattr__(self, "ks", tuple(self.ks))
        require(self.ties in ("conservative", "optimistic"), f"ties={self.ties!r}: must be conservative or optimistic")
        rising = all(isinstance(k, int) for k in self.ks) and list(self.ks) == sorted(set(self.ks))
        require(rising and self.ks[:1] > (0,), f"ks={self.ks}: must be rising whole numbers from 1")
        require(self.horizon >= 1, f"horizon={self.horizon}: must be at least 1")
        every_step = [kind.name for kind in SPLITS.values() if kind.every_step]
        require(
            self.horizon == 1 or (self.by in every_step and not self.exclude_seen),
            f"horizon={self.horizon}: only for splits with an instance at every step ({', '.join(every_step)}) and "
            "with exclude_seen=false",
        )
        self._check_targets(every_step)
        self._check_stream()
        require(self.leak in ("keep", "drop"), f"leak={self.leak!r}: must be keep or drop")
        known = self.request_time in ("unknown", "known")
        require(known, f"request_time={self.request_time!r}: must be unknown or known")
        share = isinstance(self.cold_items, (int, float)) and 0 <= self.cold_items < 1
        require(share, f"cold_items={self.cold_items!r}: must be a share of the items, from 0 to below 1")
        require(self.cold_seed == 0 or self.cold_items > 0, f"cold_seed={self.cold_seed}: needs cold_items above 0")

    def _check_targets(self, every_step: Sequence[str]) -> None:
        listed = isinstance(self.targets, (tuple, list)) and all(isinstance(name, str) for name in self.targets)
        require(listed, f"targets={self.targets!r}: must be a list of types of events")
        object.__setattr__(self, "targets", tuple(self.targets))
        last_row = self.by == "leave-last-out" and self.arguments["valid"] <= 1 and self.arguments["test"] == 1
        require(
            not self.targets or (self.horizon == 1 and (self.by in every_step or last_row)),
            f"targets={', '.join(self.targets)}: types of events can be chosen only where an instance has one target: "
            f"leave-one-out with valid=1 and test=1, or a split by {', '.join(every_step)}, with horizon=1",
        )

    def _check_stream(self) -> None:
        require(isinstance(self.update, bool), f"update={self.update!r}: must be true or false")
        require(self.retrain in PERIODS, unknown("value of retrain", self.retrain, PERIODS))
        by_time = self.by in ("global-time", "date", "newer")
        fits = by_time and self.horizon == 1 and not self.targets and self.leak == "keep"
        for name, is_used in {"update=true": self.update, f"retrain={self.retrain}": self.trains_anew}.items():
            require(
                not is_used or fits,
                f"{name}: models learn the test part while it goes by, so it must be the newest rows of the log, as "
                "under the protocols prequential and global-time, with horizon=1, leak=keep and no targets; or set "
                "update=false (--no-update) and retrain=never",
            )

    @property
    def trains_anew(self) -> bool:
        return self.retrain != "never"

    @property
    def is_stream(self) -> bool:
        """Whether models may learn from the test part while it goes by, in the order of time."""
        return self.update or self.trains_anew

    @property
    def cut_offs(self) -> tuple[int, ...]:
        return self.ks

    @property
    def depth(self) -> int:
        """The depth of the ranks: the largest cut-off."""
        return self.ks[-1]

    def as_dict(self) -> dict[str, Any]:
        values = {**super().as_dict(), "ks": list(self.ks), "targets": list(self.targets)}
        return values if self.targets else {name: value for name, value in values.items() if name != "targets"}

    def _fingerprint_content(self) -> dict[str, Any]:
        content = super()._fingerprint_content()
        del content["ks"]
        for name, default in LATER_SETTINGS.items():
            if getattr(self, name) == default:
                content.pop(self.stored_names.get(name, name), None)
        return content

    def with_cut_offs(self, cut_offs: Sequence[int], *, only: bool = False) -> RankingProtocol:
        return replace(self, ks=tuple(cut_offs) if only else tuple(sorted({*self.ks, *cut_offs})))

    def split(self, log: Log) -> Split:
        if self.gives_request_time and log.time is None:
            raise DataError(
                f"{log.name}: has no times, so it is unknown when an item was requested (request_time=known)"
            )
        split = replace(super().split(self.with_targets(log)), horizon=self.horizon)
        if self.cold_items:
            split = replace(split, cold=draw_cold_items(log, self.cold_items, self.cold_seed))
        return drop_leaking_users(split) if self.leak == "drop" else split

    def with_targets(self, log: Log) -> Log:
        return with_targets(log, self.targets)

    def _all_instances(self, split: Split, part: Part) -> EvalInstances:
        instances = split.instances(part)
        if self.is_stream:
            instances = in_time_order(instances)
        enough = instances.row - instances.log.start[instances.user] >= self.min_history
        if enough.all():
            return instances
        reason = f"instances after fewer than {self.min_history} rows"
        dropped = {**instances.dropped, reason: int((~enough).sum())}
        return replace(instances.take(np.flatnonzero(enough)), dropped=dropped)

    def evaluate(self, model: Model, split: Split, part: Part, metrics: Sequence[str] | None = None) -> Ranks:
        if part == "test":
            self.check_not_retrained("a model that is trained already")
        return self.rank(model, split, part)

    def check_not_retrained(self, what: str) -> None:
        """Raise `ConfigError` if models are trained anew during the test; `what` says which ones cannot be."""
        require(
            not self.trains_anew,
            f"retrain={self.retrain}: {what} cannot be trained anew during the test; `segue run` trains a single model "
            "anew, and under retrain=never all models stay as they are trained",
        )

    def rank(self, model: Model, split: Split, part: Part) -> Ranks:
        """The ranks of the targets of a held-out part, down to the largest cut-off.

        With `update`, a model that can learns each row of the test part after it was predicted, and is then as before.
        """
        instances = self.instances(split, part)
        return self.rank_stream(model, split, instances) if part == "test" else self.rank_instances(model, instances)

    def rank_stream(self, model: Model, split: Split, instances: EvalInstances) -> Ranks:
        """The ranks of the targets of some instances of the test part; with `update`, the model learns its rows."""
        if not (self.update and model.can_update):
            return self.rank_instances(model, instances)
        with Stream.of(split, instances).learnt_by(model) as learn:
            return self.rank_instances(model, instances, block=1, after=learn)

    def rank_instances(self, model: Model, instances: EvalInstances, **options: Any) -> Ranks:
        """The ranks of the targets of some instances; `options` are those of `segue.evaluation.ranking.rank`."""
        from segue.evaluation.ranking import rank  # imports torch

        self.check_model(model)
        return rank(
            model,
            instances,
            exclude_seen=self.exclude_seen,
            ties=self.ties,
            depth=self.depth,
            horizon=self.horizon,
            **options,
        )

    @property
    def gives_request_time(self) -> bool:
        return self.request_time == "known"

    def check_metric(self, metric: str) -> None:
        name = metric.partition("@")[0]
        require(
            "@" in metric or name in METRICS,
            f"{metric}: {self.name} ranks items; its metrics are {', '.join(METRICS)}, each with @k",
        )
        name, k = parse(metric)
        require(
            k <= self.depth,
            f"monitor {metric}: {self.name} ranks only the first {self.depth} items; use {name}@{self.depth} or less",
        )
        steps = int(metric.partition(",")[2] or 1)
        single = "," in metric and self.horizon == 1
        require(
            steps <= self.horizon and not single,
            f"monitor {metric}: the horizon of {self.name} is {self.horizon}; use horizon={max(steps, 2)}, or take "
            f"{name}@{k}",
        )

    def table_metrics(self, cut_offs: Sequence[int]) -> list[str]:
        """Recall, NDCG and MRR at each cut-off; with a horizon of several items, recall and MRR of the next item and
        recall of all of them."""
        if self.horizon > 1:
            names = (("recall", 1), ("recall", self.horizon), ("mrr", 1))
            return [f"{metric}@{k},{n}" for k in cut_offs for metric, n in names]
        return [f"{metric}@{k}" for k in cut_offs for metric in ("recall", "ndcg", "mrr")]

    def baselines(self, log: Log) -> tuple[str, ...]:
        quick = {"ease": log.num_items <= EASE_ITEMS, "vs-knn": len(log) <= VS_KNN_EVENTS}
        quick["s-pop"] = not self.exclude_seen and users_return(log, self.basket_gap)
        return (*self.task.baselines, *(name for name, is_shown in quick.items() if is_shown))

    def target_times(self, split: Split) -> TargetTimes | None:
        return target_times(split.log, self.instances(split, "test").row)

    def _warnings(self, split: Split, times: TargetTimes | None) -> list[str]:
        found = (self._target_warning(split, times), self._seen_warning(split.log))
        return [warning for warning in found if warning]

    def _target_warning(self, split: Split, times: TargetTimes | None) -> str | None:
        """A sentence if targets come together with the rows before them."""
        if self.by == "newest-users" and times is not None:
            times = replace(times, close=None)  # the rows of a session are close by nature, but have an order
        elif not self.split_kind.next_row and not (self.by == "given" and cuts_users(split.log)):
            return None
        return basket_warning(split.log, times, "basket" if self.by == "next-basket" else "item")

    def _seen_warning(self, log: Log) -> str | None:
        """A sentence if seen items are ranked, although users do not return to them and the name does not say so."""
        stated = self.exclude_seen or self.horizon > 1 or self.name.endswith("repeats allowed")
        if stated or users_return(log, self.basket_gap):
            return None
        return (
            f"users of this log do not return to items, and {self.name} ranks what they have had before; "
            "--exclude-seen leaves it out"
        )

    def describe(self) -> str:
        targets = f"; the targets are the next {self.horizon} items" if self.horizon > 1 else ""
        if self.min_history > 1:
            targets += f"; only instances with {self.min_history} or more earlier rows"
        if self.targets:
            targets += f"; only events of type {' or '.join(self.targets)} are targets, and all are read"
        if self.leak == "drop":
            targets += "; users who share an event (an item at a time) with a later part are left out of training"
        if self.gives_request_time:
            targets += "; models may read when the next item is requested: the time of the target"
        if self.update:
            targets += "; models that can, learn each test row right after it was predicted"
        if self.trains_anew:
            targets += f"; models are trained anew on all rows before {PERIODS[self.retrain]}"
        if self.cold_items:
            targets += f"; {self.cold_items:.0%} of the items (seed {self.cold_seed}) are left out of training"
        targets += self._describe_sample()
        seen = "except those that the user has already had" if self.exclude_seen else "those that the user has had too"
        ties = "behind" if self.ties == "conservative" else "before"
        return (
            f"{self.split_kind.describe(**self.arguments)}{targets}; all items are ranked, {seen}; a target is ranked "
            f"{ties} other items of the same score."
        )
