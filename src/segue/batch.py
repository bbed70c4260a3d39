"""`Batch`, and the one legend of shape letters of the package.

    B  rows of a batch            U  users; ids 1..U, 0 = nobody (anonymous)
    L  positions of a history     I  items; ids 1..I, 0 = nothing (padding)
    C  questions asked of a row   d  embedding size
    T  targets of a question      K  recommended items
    G  negatives of a target      R  rows of a log

Histories are padded on the left, oldest first, so the newest item is always the last column.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """The tensors of one step: int64 ids.

    A row may carry several questions: question `c` of a row with C of them sees `history[:, c : L - C + 1 + c]`, that
    is, C windows of L - C + 1 items, each one step later than the one before. With C = 1 the window is the history.

    Attributes:
        user: who.
        history: what they did, oldest first; 0 is padding.
        target: what they did next, per question; 0 where there is none.
        negative: for each target, what they did not.
    """

    user: Int[Tensor, "B"]
    history: Int[Tensor, "B L"]
    target: Int[Tensor, "B C T"] | None = None
    negative: Int[Tensor, "B C T G"] | None = None

    def __len__(self) -> int:
        return len(self.user)
