"""`Batch`, and the one legend of shape letters of the package.

    B  rows of a batch            U  users; ids 1..U, 0 = nobody (anonymous)
    P  positions of a history     I  items; ids 1..I, 0 = nothing (padding)
    L  items of one window        d  embedding size
    C  questions asked of a row   K  items asked about or recommended
    T  targets of a question      R  rows of a log
    G  negatives of a target

Histories are padded on the left, oldest first, so the newest item is always the last column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """The tensors of one step: int64 ids.

    A row may carry several questions: question c of C sees the window `history[:, c : c + L]` of L = P - C + 1 items,
    one step later than the question before. With C = 1 the window is the whole history.

    Attributes:
        user: who.
        history: what they did, oldest first; 0 is padding.
        target: what they did next, per question; 0 where there is none.
        negative: for each target, what they did not.
    """

    user: Int[Tensor, "B"]
    history: Int[Tensor, "B P"]
    target: Int[Tensor, "B C T"] | None = None
    negative: Int[Tensor, "B C T G"] | None = None

    def __len__(self) -> int:
        return len(self.user)

    def last(self, window: int) -> Int[Tensor, "B L"]:
        """The last `window` positions of the histories, with padding on the left where they are shorter."""
        missing = window - self.history.shape[1]
        if missing > 0:
            return torch.nn.functional.pad(self.history, (missing, 0))
        return self.history[:, self.history.shape[1] - window :]

    def share(self, rank: int, world: int) -> Batch:
        """Every `world`-th row, from `rank` on: what one of several processes works on."""
        return self._map(lambda tensor: tensor[rank::world])

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        target = None if self.target is None else change(self.target)
        negative = None if self.negative is None else change(self.negative)
        return Batch(change(self.user), change(self.history), target, negative)
