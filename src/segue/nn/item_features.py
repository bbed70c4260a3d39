"""`ItemFeatures`: which features each item has, learnt from a log and kept with the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from segue.data.log import Ids
from segue.errors import ConfigError


class ItemFeatures(nn.Module):
    """The features of items: ids from 1, 0 for none.

    Args:
        items: how many items there are.
        room: how many features there is room for.
        levels: how many an item may have.
    """

    feature: Tensor

    def __init__(self, items: int, room: int, levels: int) -> None:
        super().__init__()
        self.room = room
        self.register_buffer("feature", torch.zeros(items + 1, levels, dtype=torch.int32))

    def set_features(self, found: Ids, names: Sequence[str]) -> None:
        """Which features each item has, the root first; 0 is none. As `segue.data.item_features.features` gives them.

        Raises:
            ConfigError: there are more than there is room for.
        """
        for name, there, room in (
            ("features", len(names), self.room),
            ("levels", found.shape[1], self.feature.shape[1]),
        ):
            if there > room:
                raise ConfigError(f"{name}={room}: the log has {there} of them; give as many")
        self.feature.zero_()[:, : found.shape[1]] = torch.from_numpy(found).to(self.feature)

    def lookup(self, item: Int[Tensor, "*n"]) -> Int[Tensor, "*n F"]:
        """The features of each item, in their order; 0 on the right."""
        return self.feature[item].long()
