"""`Ranks`: the ranks of the target items. Every ranking metric and every test is a pure function of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from segue.data.log import Floats, Ids, Mask
from segue.evaluation import metrics
from segue.evaluation.task import Predictions, Task

Ties = Literal["conservative", "optimistic"]


@dataclass(frozen=True, eq=False)
class NextSteps:
    """The ranks of the next few items of each instance, each ranked as if it were the only target.

    The ranks for a horizon of N steps therefore contain those for every shorter horizon.

    Attributes:
        rank: (M,) rank of the item of every step, in the order of the steps.
        new: (M,) whether the item is not that of an earlier step of the same instance.
        offsets: (C + 1,) the steps of instance c are `offsets[c] : offsets[c + 1]`; at least one.
        horizon: number of steps that are evaluated; an instance has fewer if its user's rows end before.
    """

    rank: Ids
    new: Mask
    offsets: Ids
    horizon: int

    def step_numbers(self) -> Ids:
        """(M,) the number of each step: 1 for the next item."""
        return np.arange(len(self.rank)) - np.repeat(self.offsets[:-1], np.diff(self.offsets)) + 1

    @classmethod
    def join(cls, parts: Sequence[NextSteps]) -> NextSteps | None:
        """The instances of all parts in their order; None if there are no parts."""
        if not parts:
            return None
        rank, new = np.concatenate([part.rank for part in parts]), np.concatenate([part.new for part in parts])
        num_steps = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(rank, new, offsets_of(num_steps), parts[0].horizon)


class RankingTask(Task):
    """Which item comes next: all items are ranked."""

    name = "ranking"
    predicts = "next items"
    baselines = ("pop", "item-knn", "seq-knn")
    default_monitor = "ndcg@10"
    default_metrics = ("recall@10", "ndcg@10", "mrr@10")

    def from_arrays(self, arrays: Mapping[str, np.ndarray], **attributes: Any) -> Ranks:
        return Ranks.from_arrays(arrays, **attributes)


RANKING = RankingTask()


@dataclass(frozen=True, eq=False)
class Ranks(Predictions):
    """The ranks of the targets of C evaluation instances among all candidate items, down to `depth`.

    Attributes:
        user: (C,) user of each instance.
        rank: (N,) 1-based rank of every target, ascending within an instance; `depth + 1` stands for all lower ranks.
        offsets: (C + 1,) the targets of instance c are `rank[offsets[c] : offsets[c + 1]]`; at least one.
        top: (C, depth) the recommended items, best first; 0 if there are fewer candidates. With fewer items than
            `depth`, it has as many columns as items. Of equal scores the lower id comes first, also for targets, as in
            `segue.serving.recommend`. A target of rank r that ties with no other item is at position r - 1.
        depth: the largest cut-off that these ranks can be evaluated at.
        dropped: how many users, instances or targets were left out, by reason.
        row: (C,) the row of the log of each instance; None if it is unknown.
        rank_other_ties: (N,) the ranks under the other tie rule; None if they are unknown.
        next_steps: the ranks step by step, with a horizon of several items.
    """

    task: ClassVar[Task] = RANKING

    user: Ids
    rank: Ids
    offsets: Ids
    top: np.ndarray[Any, np.dtype[np.int32]]
    depth: int
    dropped: dict[str, int]
    row: Ids | None = None
    rank_other_ties: Ids | None = None
    next_steps: NextSteps | None = None

    @property
    def num_targets(self) -> Ids:
        """(C,) number of targets of each instance."""
        return np.diff(self.offsets)

    def values(self, metric: str) -> Floats:
        return metrics.ranking_values(self, metric)

    def same_instances(self, other: Predictions) -> bool:
        return all(_equal(self, other, name) for name in ("user", "offsets"))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays as 32-bit integers. Their names are those that older files have."""
        wide = {
            "user": self.user,
            "rank": self.rank,
            "sizes": self.num_targets,
            "row": self.row,
            "other": self.rank_other_ties,
        }
        if self.next_steps:
            steps = self.next_steps
            num_steps, horizon = np.diff(steps.offsets), np.array(steps.horizon)
            wide |= {"ahead": steps.rank, "ahead_sizes": num_steps, "ahead_asked": horizon}
        small = {name: array.astype(np.int32) for name, array in wide.items() if array is not None}
        return {**small, "top": self.top, **({"ahead_new": self.next_steps.new} if self.next_steps else {})}

    def attributes(self) -> dict[str, Any]:
        return {"depth": self.depth, "dropped": self.dropped}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], *, depth: int, dropped: Mapping[str, int]) -> Ranks:
        """The inverse of `arrays` and `attributes`. The last three arrays may be absent, as in older files.

        Raises:
            ValueError: the arrays do not belong together, or hold what are no ranks.
        """
        wide = {name: array.astype(np.int64) for name, array in arrays.items() if name not in ("top", "ahead_new")}
        next_steps = None
        if "ahead" in arrays:
            offsets, horizon = offsets_of(wide["ahead_sizes"]), int(wide["ahead_asked"])
            next_steps = NextSteps(wide["ahead"], arrays["ahead_new"], offsets, horizon)
        ranks = cls(
            user=wide["user"],
            rank=wide["rank"],
            offsets=wide["offsets"] if "offsets" in wide else offsets_of(wide["sizes"]),
            top=arrays["top"],
            depth=depth,
            dropped=dict(dropped),
            row=wide.get("row"),
            rank_other_ties=wide.get("other"),
            next_steps=next_steps,
        )
        ranks._check()
        return ranks

    def _check(self) -> None:
        """Raise `ValueError` if the arrays do not belong together, or hold what are no ranks."""
        num_instances, num_targets = len(self.user), len(self.rank)
        sizes = np.diff(self.offsets)
        fits = self.offsets.shape == (num_instances + 1,) and self.offsets[-1] == num_targets and (sizes >= 1).all()
        fits &= self.top.ndim == 2 and len(self.top) == num_instances and self.top.shape[1] <= self.depth
        fits &= self.top.dtype == np.int32 and int(self.top.min(initial=0)) >= 0
        fits &= self.row is None or self.row.shape == (num_instances,)
        for rank in (self.rank, self.rank_other_ties):
            if rank is not None:
                fits &= rank.shape == (num_targets,) and rank.min(initial=1) >= 1
                fits &= rank.max(initial=1) <= self.depth + 1
        if not fits:
            raise ValueError("the ranks do not belong to the instances")

    @classmethod
    def join(cls, parts: Sequence[Ranks]) -> Ranks:
        """The instances of all parts in their order, at least one; parts have the same depth."""
        dropped: dict[str, int] = {}
        for part in parts:
            for reason, number in part.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + number

        def joined(arrays: list[Any]) -> Any:
            return None if any(array is None for array in arrays) else np.concatenate(arrays)

        return cls(
            user=joined([part.user for part in parts]),
            rank=joined([part.rank for part in parts]),
            offsets=offsets_of(np.concatenate([part.num_targets for part in parts])),
            top=joined([part.top for part in parts]),
            depth=parts[0].depth,
            dropped=dropped,
            row=joined([part.row for part in parts]),
            rank_other_ties=joined([part.rank_other_ties for part in parts]),
            next_steps=NextSteps.join([part.next_steps for part in parts if part.next_steps]),
        )

    def counts(self) -> dict[str, int]:
        return {"targets": len(self.rank)}

    def list_statistics(self, metric: str, num_items: int, item_counts: Ids | None) -> dict[str, float | None]:
        k = metrics.parse(metric)[1]
        popularity = None if item_counts is None else float(np.nanmean(metrics.popularity(self, item_counts, k)))
        return {f"coverage@{k}": metrics.coverage(self, k, num_items), f"popularity@{k}": popularity}

    def mean_other_ties(self, metric: str) -> float | None:
        if self.rank_other_ties is None or "," in metric:
            return None
        return float(replace(self, rank=self.rank_other_ties).values(metric).mean())


def offsets_of(sizes: Ids) -> Ids:
    """(C + 1,) the offsets of C groups of the given sizes."""
    return np.concatenate([[0], np.cumsum(sizes)])


def _equal(one: Predictions, other: Predictions, name: str) -> bool:
    return hasattr(other, name) and np.array_equal(getattr(one, name), getattr(other, name))
