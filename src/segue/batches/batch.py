"""`Batch`, and the one legend of shape letters of the package.

    B  rows of a batch            U  users; ids 1..U, 0 = nobody (anonymous)
    P  positions of a history     I  items; ids 1..I, 0 = nothing (padding)
    L  items of one window        d  embedding size
    C  questions asked of a row   K  items asked about or recommended
    T  targets of a question      R  targets of a row
    G  negatives of a target      S  negatives shared by all targets of a batch
    Q  users of an audience

Histories are padded on the left, oldest first, so the newest item is always the last column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PER_ROW = ("user", "history", "target", "negative", "asked", "rating", "time", "audience")


@dataclass(frozen=True)
class Batch:
    """The tensors of one step: int64 ids.

    A row may carry several questions, each one step later than the one before. They share what they see and are asked
    for: question c of C sees the window `history[:, c : c + L]` and is asked for `target[:, c : c + T]`.

        history  a b c d       L = 3, T = 2, C = 2:  question 0 sees a b c and is asked for e f,
        target   e f g                               question 1 sees b c d and is asked for f g

    With C = 1 the window is the whole history. A model that reads from left to right (a recurrent one, a causal
    attention) has L = 1 and P = C: question c sees item c, and remembers those before it.

    A rating is a question of its own (C = R = 1): `target` names the item, `rating` is the answer, and what may be read
    is what both sides had met strictly before `time`: the user's `history`, and the item's `audience`.

    Attributes:
        user: who.
        history: what they did, oldest first; 0 is padding. P = L + C - 1.
        target: what they did next; 0 where there is nothing. R = T + C - 1.
        negative: for each question and each of its targets, items that the user did not touch.
        asked: which questions are asked; the others only complete the row.
        shared: negatives of every target of the batch; one that is a question's own target does not count for it.
        chance: the logarithm of how many of `shared` are expected to be each item.
        rating: what the user gave the target.
        time: when, in the unit of the log.
        audience: who had met the target, oldest first; 0 is padding.
    """

    user: Int[Tensor, "B"]
    history: Int[Tensor, "B P"]
    target: Int[Tensor, "B R"] | None = None
    negative: Int[Tensor, "B C T G"] | None = None
    asked: Bool[Tensor, "B C"] | None = None
    shared: Int[Tensor, "S"] | None = None
    chance: Float[Tensor, "I"] | None = None
    rating: Float[Tensor, "B"] | None = None
    time: Int[Tensor, "B"] | None = None
    audience: Int[Tensor, "B Q"] | None = None

    def __len__(self) -> int:
        return len(self.user)

    def last(self, window: int) -> Int[Tensor, "B L"]:
        """The last `window` positions of the histories, with padding on the left where they are shorter."""
        missing = window - self.history.shape[1]
        if missing > 0:
            return torch.nn.functional.pad(self.history, (missing, 0))
        return self.history[:, self.history.shape[1] - window :]

    @cached_property
    def targets(self) -> Int[Tensor, "B C T"]:
        """What each question is asked for: the targets in its window; 0 where there is none, or it is not asked."""
        assert self.target is not None
        assert self.asked is not None
        each = self.target.shape[1] - self.asked.shape[1] + 1
        return torch.where(self.asked.unsqueeze(2), self.target.unfold(1, each, 1), 0)

    def trimmed(self) -> Batch:
        """Without the first positions at which all rows are padded, where each position is a question (L = 1)."""
        first = int((self.history > 0).any(0).to(torch.uint8).argmax())
        if first == 0:
            return self
        return self._map(lambda tensor: tensor if tensor.ndim == 1 else tensor[:, first:])

    def share(self, rank: int, world: int) -> Batch:
        """Every `world`-th row, from `rank` on: what one of several processes works on."""
        return self if world == 1 else self._map(lambda tensor: tensor[rank::world])

    def slices(self, size: int) -> Iterator[Batch]:
        """The rows in slices of `size`, in order; none where there are no rows."""
        if 0 < len(self) <= size:
            yield self
        else:
            for begin in range(0, len(self), size):
                yield self._map(lambda tensor, begin=begin: tensor[begin : begin + size])  # type: ignore[misc]

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        if device == self.user.device:
            return self
        moved = self._map(lambda tensor: tensor.to(device))
        if self.shared is None:
            return moved
        chance = None if self.chance is None else self.chance.to(device)
        return replace(moved, shared=self.shared.to(device), chance=chance)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """`change` what has one entry a row."""
        per_row = {name: getattr(self, name) for name in PER_ROW}
        return replace(self, **{name: change(tensor) for name, tensor in per_row.items() if tensor is not None})
