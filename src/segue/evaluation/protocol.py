"""`Protocol`: what a number means. The split, what is asked, what may be recommended, the tie rule, the cut-offs.

    hgn            |------- train -------|-- valid --|------ test ------|    a set of targets a user
    leave-one-out  |--------------- train ---------------|-- valid --|-- test --|    one next item a user
    global-time    |--- train --- date --- valid --- date --- test ---|      every next item of the newest events
    whole-users    train on some users; every step of other users            every next item of new users
    session        the same, and the source says which users (sessions) are test
    last-day       the same, and the test is the users (sessions) of the last day
    ratings        |------ train ------ date -- test --|      every rating after a date; the order of all items then

Two numbers may stand side by side only if their protocols have the same fingerprint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from segue.batches.rated_events import RatedEvents
from segue.data.diagnostics.leakage import drop_leaking_users
from segue.data.log import Log, distinct
from segue.data.splits import SPLITS, EvalInstances, Part, Split
from segue.errors import require
from segue.evaluation.metrics import LOWER, METRICS, RATED, measure, parse, value
from segue.evaluation.predictions import RatingPredictions, areas, predictions
from segue.evaluation.ranking import Ties, rank
from segue.evaluation.ranks import Ranks
from segue.evaluation.split_descriptions import DESCRIBED, arguments_of, unknown
from segue.io import json_hash
from segue.models.base.model import Model
from segue.models.base.rating import PairScorer

EACH_STEP = ("global-time", "date", "whole-users", "newest-users", "given")  # splits that ask after every step
LATER = {"ahead": 1, "leak": "keep"}  # settings that came later: at these values a fingerprint is as it was
MANY_REPEATS = 0.01  # share of rows in which a user returns to an item, above which repeats are what is predicted


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How models are measured.

    Attributes:
        name: how people call it.
        by: what the log is split by, a name in `data.split.SPLITS`.
        arguments: what the split is called with; its defaults are filled in.
        exclude_seen: whether what a user has had before is left out of the ranking.
        ties: where a target stands among others of the same score.
        ks: cut-offs of the metrics, ascending; the last is the depth of the ranks.
        min_history: questions with fewer rows before them are not asked.
        ahead: how many of a user's next items are the targets of each step's question.
        leak: "drop" leaves users out of training who share an event (an item at a time) with what is held out.
    """

    name: str
    by: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    exclude_seen: bool = True
    ties: Ties = "conservative"
    ks: tuple[int, ...] = (5, 10, 20)
    min_history: int = 1
    ahead: int = 1
    leak: Literal["keep", "drop"] = "keep"

    monitor: ClassVar[str] = "ndcg@10"  # what chooses an epoch where nothing else is said

    def __post_init__(self) -> None:
        require(self.by in SPLITS, unknown("split", self.by, SPLITS))
        require(isinstance(self.arguments, Mapping), f"arguments={self.arguments!r}: must be named values")
        require(isinstance(self.ks, (tuple, list)), f"ks={self.ks!r}: must be a list of cut-offs")
        require(isinstance(self.exclude_seen, bool), f"exclude_seen={self.exclude_seen!r}: must be true or false")
        object.__setattr__(self, "arguments", arguments_of(self.by, self.arguments))
        object.__setattr__(self, "ks", tuple(self.ks))
        require(self.ties in ("conservative", "optimistic"), f"ties={self.ties!r}: must be conservative or optimistic")
        rising = all(isinstance(k, int) for k in self.ks) and list(self.ks) == sorted(set(self.ks))
        require(rising and self.ks[:1] > (0,), f"ks={self.ks}: must be rising whole numbers from 1")
        require(self.min_history >= 1, f"min_history={self.min_history}: must be at least 1")
        require(self.ahead >= 1, f"ahead={self.ahead}: must be at least 1")
        steps = self.by in EACH_STEP and not self.exclude_seen
        require(
            self.ahead == 1 or steps,
            f"ahead={self.ahead}: only where every step is asked ({', '.join(EACH_STEP)}) and exclude_seen is false",
        )
        require(self.leak in ("keep", "drop"), f"leak={self.leak!r}: must be keep or drop")

    @property
    def depth(self) -> int:
        """How far down ranks are told apart: the largest cut-off."""
        return self.ks[-1]

    @property
    def fingerprint(self) -> str:
        """16 hex digits of all that can change a number; the name and the cut-offs cannot."""
        content = {key: value for key, value in self.as_dict().items() if key not in ("name", "ks")}
        for key, default in LATER.items():
            if content[key] == default:
                del content[key]
        return json_hash(content)

    def at(self, ks: Sequence[int]) -> Protocol:
        """The same protocol with the cut-offs `ks` as well."""
        return replace(self, ks=tuple(sorted({*self.ks, *ks})))

    def split(self, log: Log) -> Split:
        """The split of a log."""
        split = replace(SPLITS[self.by](log, **self.arguments), horizon=self.ahead)
        return drop_leaking_users(split) if self.leak == "drop" else split

    def instances(self, split: Split, part: Part) -> EvalInstances:
        """The questions of a held-out part of a split."""
        instances = split.instances(part)
        known = instances.row - instances.log.start[instances.user] >= self.min_history
        if known.all():
            return instances
        reason = f"questions after fewer than {self.min_history} rows"
        return replace(
            instances.take(np.flatnonzero(known)), dropped={**instances.dropped, reason: int((~known).sum())}
        )

    def rank(self, model: Model, split: Split, part: Part, *, progress: Callable[[int], object] | None = None) -> Ranks:
        """Where `model` ranks the targets of a held-out part, down to the largest cut-off."""
        instances = self.instances(split, part)
        asked: dict[str, Any] = {"exclude_seen": self.exclude_seen, "ties": self.ties, "depth": self.depth}
        return rank(model, instances, **asked, steps=self.ahead, progress=progress)

    def ask(self, model: Model, split: Split, part: Part) -> Ranks | RatingPredictions:
        """What `model` answers to a held-out part: all that a table shows is made of it."""
        return self.rank(model, split, part)

    def monitored(self, model: Model, split: Split, metric: str) -> float:
        """The mean of `metric` on validation, errors with a minus: the higher the better."""
        return float(measure(self.ask(model, split, "valid"), metric).mean())

    def check(self, metric: str) -> None:
        """Raise `ConfigError` if `metric` is none of this protocol's."""
        name, k = parse(metric)
        require(name not in RATED, f"{metric}: {self.name} ranks items; it measures {', '.join(METRICS)}, each with @k")
        require(
            k <= self.depth, f"monitor {metric}: {self.name} ranks {self.depth} deep; take {name}@{self.depth} at most"
        )
        steps = int(metric.partition(",")[2] or 1)
        single = "," in metric and self.ahead == 1
        require(
            steps <= self.ahead and not single,
            f"monitor {metric}: {self.name} asks for {self.ahead} item{'s' if self.ahead > 1 else ''} at a time; "
            f"give ahead={max(steps, 2)}, or take {name}@{k}",
        )

    def shown(self, cuts: Sequence[int]) -> list[str]:
        """The metrics of a table: recall, NDCG and MRR at each cut-off; recall and MRR of the next item, and recall of
        the next `ahead`, where several are asked for."""
        if self.ahead > 1:
            several = (("recall", 1), ("recall", self.ahead), ("mrr", 1))
            return [f"{metric}@{cut},{n}" for cut in cuts for metric, n in several]
        return [f"{metric}@{cut}" for cut in cuts for metric in ("recall", "ndcg", "mrr")]

    def describe(self) -> str:
        """One sentence that says how the numbers came about."""
        held = DESCRIBED[self.by](**self.arguments)
        asked = f"; the targets are the next {self.ahead} items" if self.ahead > 1 else ""
        asked += f"; only questions after {self.min_history} rows or more" if self.min_history > 1 else ""
        if self.leak == "drop":
            asked += "; users who share an event (an item at a time) with a later part are left out of theirs"
        seen = "except those the user has had" if self.exclude_seen else "those the user has had among them"
        tie = "behind" if self.ties == "conservative" else "before"
        return f"{held}{asked}; all items are ranked, {seen}; a target stands {tie} others of the same score."

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**values, "arguments": dict(self.arguments), "ks": list(self.ks)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """The inverse of `as_dict`; what is absent takes its default."""
        if cls is Protocol and "histories" in values:
            return RatingProtocol.from_dict(values)
        known = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            require(key in known, unknown("protocol setting", key, known))
        for key in ("name", "by"):
            require(key in values, f"a protocol needs {key!r}; found: {', '.join(values) or 'nothing'}")
        return cls(**values)

    @classmethod
    def named(cls, name: str) -> Protocol:
        """One of `PROTOCOLS`."""
        require(name in PROTOCOLS, unknown("protocol", name, PROTOCOLS))
        return PROTOCOLS[name]

    @classmethod
    def guess(cls, log: Log) -> Protocol:
        """A protocol for a log that nobody has said anything about: leave-one-out, or `session` where the log brings
        a split of its own.

        Where users return to what they had in more than 1% of the rows, returning is part of what is to be
        predicted, so nothing is left out of the ranking.
        """
        if log.user_metadata is not None and "split" in log.user_metadata.columns:
            return PROTOCOLS["session"]
        user, item = log.events()
        pairs = len(distinct(user * (log.num_items + 1) + item))
        if len(log) - pairs <= MANY_REPEATS * len(log):
            return PROTOCOLS["leave-one-out"]
        return replace(PROTOCOLS["leave-one-out"], name="leave-one-out, repeats allowed", exclude_seen=False)


@dataclass(frozen=True, kw_only=True)
class RatingProtocol(Protocol):
    """How predictions of ratings are measured: the errors of those after a date, and the order of all items there.

    The cut-offs are of no use here; equal scores count half in the AUC.

    Attributes:
        min_history: users with fewer ratings before the date are cold: they are left out, and counted.
        min_audience: items with fewer are, too; nor are they candidates of the AUC.
        histories: what may be read before a rating: what was there on the date ("date"), or all that happened strictly
            before the rating ("rolling").
        users: the AUC is that of so many users, drawn at random; None for all of them.
        seed: of that draw.
    """

    min_history: int = 3
    min_audience: int = 3
    histories: Literal["date", "rolling"] = "date"
    users: int | None = None
    seed: int = 0

    monitor: ClassVar[str] = "rmse"

    def __post_init__(self) -> None:
        require(self.ahead == 1, f"ahead={self.ahead}: {self.name} asks for one rating at a time")
        require(self.leak == "keep", f"leak={self.leak}: no event stands on both sides of the date of {self.name}")
        super().__post_init__()
        require(
            self.by in ("global-time", "date"), f"by={self.by!r}: ratings are split at a date, by global-time or date"
        )
        require(self.min_audience >= 1, f"min_audience={self.min_audience}: must be at least 1")
        require(self.histories in ("date", "rolling"), f"histories={self.histories!r}: must be one of date, rolling")
        require(self.users is None or self.users >= 1, f"users={self.users}: must be at least 1")

    def instances(self, split: Split, part: Part) -> EvalInstances:
        """The held-out ratings of users and of items that are not cold."""
        instances, past = split.instances(part), _past(split, part)
        user = past.lengths[instances.user] >= self.min_history
        item = past.counts()[instances.log.item[instances.row]] >= self.min_audience
        dropped = {
            f"ratings by users with fewer than {self.min_history} before": int((~user).sum()),
            f"ratings of items with fewer than {self.min_audience} before": int((user & ~item).sum()),
        }
        kept = instances.take(np.flatnonzero(user & item))
        return replace(kept, dropped={**instances.dropped, **{k: n for k, n in dropped.items() if n}})

    def pairs(self, split: Split, part: Part) -> RatedEvents:
        """The ratings of `instances`, each with what may be read before it."""
        instances = self.instances(split, part)
        pairs = RatedEvents.at(split.log, instances.user, instances.row)
        if self.histories == "rolling":
            return pairs
        ever = np.full(len(instances), np.iinfo(np.int64).max)  # the view ends at the date
        return replace(pairs, log=_past(split, part), before=ever)

    def ask(self, model: Model, split: Split, part: Part, metrics: Sequence[str] = tuple(RATED)) -> RatingPredictions:
        """What `model` says of the held-out ratings, as far as `metrics` need it; of a model that predicts no ratings
        only how it orders the items."""
        pairs, dropped = self.pairs(split, part), self.instances(split, part).dropped
        predicted, ranked, auc = None, None, None
        if isinstance(model, PairScorer) and set(metrics) & set(LOWER):
            scale = RatedEvents.of(split.log).rating
            predicted = predictions(model, pairs).clip(scale.min(), scale.max())
        if "auc" in metrics:
            instances = self._users(split, part)
            candidate = _past(split, part).counts() >= self.min_audience
            candidate[0] = False
            ranked, auc = areas(model, instances, candidate)
            if len(ranked) < len(instances):
                dropped = {**dropped, "users with nothing to order for the AUC": len(instances) - len(ranked)}
            if not len(ranked):  # every user has met every item
                ranked, auc = None, None
        return RatingPredictions(pairs.user, pairs.rating.astype(np.float64), predicted, ranked, auc, dropped)

    def _users(self, split: Split, part: Part) -> EvalInstances:
        """The users whose items are put in order: one case each, of all that they rated in the part."""
        first, stop = (split.valid, split.test) if part == "valid" else (split.test, split.log.stop)
        user = distinct(self.instances(split, part).user)
        if self.users is not None and self.users < len(user):
            user = np.sort(np.random.default_rng(self.seed).choice(user, self.users, replace=False))
        return EvalInstances(split.log, user, first[user], stop[user], {})

    def monitored(self, model: Model, split: Split, metric: str) -> float:
        """The figure of `metric` on validation, errors with a minus: the higher the better."""
        figure = value(float(measure(self.ask(model, split, "valid", (metric,)), metric).mean()), metric)
        return -figure if metric in LOWER else figure

    def check(self, metric: str) -> None:
        """Raise `ConfigError` if `metric` is none of this protocol's."""
        require(metric in RATED, f"{metric}: {self.name} predicts ratings; it measures {', '.join(RATED)}")

    def shown(self, cuts: Sequence[int]) -> list[str]:
        """The metrics of a table; there are no cut-offs."""
        return list(RATED)

    def describe(self) -> str:
        """One sentence that says how the numbers came about."""
        held = DESCRIBED[self.by](**self.arguments).partition("; ")[0]
        read = "before the date" if self.histories == "date" else "strictly before each"
        some = "all users" if self.users is None else f"{self.users:,} users (drawn with seed {self.seed})"
        return (
            f"{held}; its ratings are told from what happened {read}, and errors are those within the log's scale; "
            f"users with fewer than {self.min_history} and items with fewer than {self.min_audience} ratings before "
            f"the date are left out; the AUC is that of {some}, over all other items the user had not rated."
        )


def _past(split: Split, part: Part) -> Log:
    """What was there on the date of a part."""
    return split.train if part == "valid" else split.train_valid


PROTOCOLS: dict[str, Protocol] = {
    # HGN (Ma et al., KDD 2019), section 4.1, cut as the authors' program does
    "hgn": Protocol(
        name="hgn",
        by="ratio",
        arguments={"valid": 0.1, "test": 0.2, "rounding": "author"},
        ks=(5, 10, 15, 20),
    ),
    "leave-one-out": Protocol(name="leave-one-out", by="leave-last-out"),
    # RecBole's sequential models: full ranking in which the history stays a candidate
    "recbole": Protocol(name="recbole", by="leave-last-out", exclude_seen=False, ks=(10,)),
    "global-time": Protocol(name="global-time", by="global-time", exclude_seen=False),
    "whole-users": Protocol(name="whole-users", by="whole-users", exclude_seen=False),
    # the papers on sessions: whole sessions of the last day, every step of them, items may come again
    "session": Protocol(name="session", by="given", exclude_seen=False),
    "last-day": Protocol(name="last-day", by="newest-users", exclude_seen=False),
    "ratings": RatingProtocol(name="ratings", by="global-time"),
    # IARN (Pei et al., CIKM 2017), with the authors' split of Amazon Clothing: the test begins at row 164,434
    "iarn-clothing": RatingProtocol(
        name="iarn-clothing", by="date", arguments={"date": 164_434}, min_history=1, min_audience=1
    ),
    # its other logs, by the paper's dates: 1 January 2014 and 1 June 2005
    "iarn-amazon": RatingProtocol(name="iarn-amazon", by="date", arguments={"date": 1_388_534_400}),
    "iarn-netflix": RatingProtocol(name="iarn-netflix", by="date", arguments={"date": 1_117_584_000}),
}
