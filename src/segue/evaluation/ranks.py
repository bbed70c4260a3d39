"""`Ranks`: what evaluation produces. Every metric and every test is a pure function of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Ids = np.ndarray[Any, np.dtype[np.int64]]


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
    """

    user: Ids
    rank: Ids
    offsets: Ids
    top: np.ndarray[Any, np.dtype[np.int32]]
    depth: int
    dropped: dict[str, int]

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
