"""The first rating that each user gave to each item."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.data.log import Ids
from segue.errors import require
from segue.nn.sparse import ResizableBuffers


class FirstRatings(ResizableBuffers):
    """A table of first ratings: a later rating of the same item must not be known before it is given.

    Args:
        num_items: number of items.
    """

    resizable = ("pair", "rating")
    pair: Tensor
    rating: Tensor

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.num_items = num_items
        self.register_buffer("pair", torch.zeros(0, dtype=torch.int64))  # user * (num_items + 1) + item, ascending
        self.register_buffer("rating", torch.zeros(0))

    def fit(self, user: Ids, item: Ids, rating: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> None:
        """Replace the table by the first of these ratings, which are in order of time, of each user and item."""
        pair, index = np.unique(user * (self.num_items + 1) + item, return_index=True)
        self.pair = torch.from_numpy(pair).to(self.pair)
        self.rating = torch.from_numpy(rating[index]).to(self.rating)

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded pairs are out of order, or not as many as their ratings."""
        in_order = bool((self.pair.diff() > 0).all())
        require(in_order and len(self.pair) == len(self.rating), "first ratings are not in the order of their pairs")

    def lookup(
        self, user: Int[Tensor, "*n"], item: Int[Tensor, "*n"]
    ) -> tuple[Float[Tensor, "*n"], Bool[Tensor, "*n"]]:
        """The rating of each user and item, 0 where there is none; and whether there is one."""
        pair = (user * (self.num_items + 1) + item).contiguous()
        if not len(self.pair):
            return self.rating.new_zeros(pair.shape), torch.zeros_like(pair, dtype=torch.bool)
        index = torch.searchsorted(self.pair, pair).clamp(max=len(self.pair) - 1)
        is_rated = self.pair[index] == pair
        return self.rating[index] * is_rated, is_rated
