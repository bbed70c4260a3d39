"""`Ranks`: what evaluation produces. Every metric and every test is a pure function of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Ids = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False)
class NextSteps:
    """Where the items of the next steps were ranked, each as if it alone were asked for.

    So what holds for the next N items also says what holds for fewer.

    Attributes:
        rank: (M,) rank of the item of every step, in the order of the steps.
        new: (M,) whether the item did not come at an earlier step of the same case.
        offsets: (C + 1,) the steps of case c are `offsets[c] : offsets[c + 1]`; at least one.
        asked: how many steps were asked for; a case has fewer where its user's rows end.
    """

    rank: Ids
    new: Mask
    offsets: Ids
    asked: int

    def steps(self) -> Ids:
        """(M,) how many steps ahead: 1 for the next."""
        return np.arange(len(self.rank)) - np.repeat(self.offsets[:-1], np.diff(self.offsets)) + 1

    @classmethod
    def join(cls, parts: Sequence[NextSteps]) -> NextSteps | None:
        """The cases of all parts, one after the other; None of no parts."""
        if not parts:
            return None
        rank, new = np.concatenate([part.rank for part in parts]), np.concatenate([part.new for part in parts])
        sizes = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(rank, new, _offsets(sizes), parts[0].asked)


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the targets of C cases were ranked among all candidates, down to `depth`.

    Attributes:
        user: (C,) who was asked.
        rank: (N,) 1-based rank of every target, ascending within a case; `depth + 1` stands for "further down".
        offsets: (C + 1,) the targets of case c are `rank[offsets[c] : offsets[c + 1]]`; at least one.
        top: (C, depth) the recommended items, best first; 0 where there were fewer candidates. A target of rank r
            stands at place r - 1, so items of equal score stand as the tie rule has them, then the lower id first.
        depth: the largest cut-off that these ranks can answer.
        dropped: how many users, questions or targets were left out, by reason.
        row: (C,) the row of the log where each question was asked; None where it is not known.
        other: (N,) the ranks by the other tie rule; None where they are not known.
        ahead: the ranks step by step, where the next several items were asked for.
    """

    user: Ids
    rank: Ids
    offsets: Ids
    top: np.ndarray[Any, np.dtype[np.int32]]
    depth: int
    dropped: dict[str, int]
    row: Ids | None = None
    other: Ids | None = None
    ahead: NextSteps | None = None

    def __len__(self) -> int:
        return len(self.user)

    @property
    def sizes(self) -> Ids:
        """(C,) number of targets of each case."""
        return np.diff(self.offsets)

    def alike(self, other: object) -> bool:
        """Whether `other` answers the same questions."""
        return isinstance(other, Ranks) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("user", "offsets")
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All but `depth` and `dropped`, as small arrays to be kept."""
        kept = {"user": self.user, "rank": self.rank, "sizes": self.sizes, "row": self.row, "other": self.other}
        if self.ahead:
            sizes, asked = np.diff(self.ahead.offsets), np.array(self.ahead.asked)
            kept |= {"ahead": self.ahead.rank, "ahead_sizes": sizes, "ahead_asked": asked}
        small = {name: array.astype(np.int32) for name, array in kept.items() if array is not None}
        return {**small, "top": self.top, **({"ahead_new": self.ahead.new} if self.ahead else {})}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], *, depth: int, dropped: Mapping[str, int]) -> Ranks:
        """The inverse of `arrays`; those kept before `row`, `other` and `ahead` were known can be read too."""
        wide = {name: array.astype(np.int64) for name, array in arrays.items() if name not in ("top", "ahead_new")}
        ahead = None
        if "ahead" in arrays:
            sizes, asked = wide["ahead_sizes"], int(wide["ahead_asked"])
            ahead = NextSteps(wide["ahead"], arrays["ahead_new"], _offsets(sizes), asked)
        return cls(
            user=wide["user"],
            rank=wide["rank"],
            offsets=_offsets(wide["sizes"]),
            top=arrays["top"],
            depth=depth,
            dropped=dict(dropped),
            row=wide.get("row"),
            other=wide.get("other"),
            ahead=ahead,
        )


def _offsets(sizes: Ids) -> Ids:
    return np.concatenate([[0], np.cumsum(sizes)])
