"""`ItemFeatures`: the features of every item, filled from a log and saved with the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from segue.data.log import Ids
from segue.errors import ConfigError
from segue.nn.buffers import require_ids


class ItemFeatures(nn.Module):
    """The feature ids of every item, from 1; 0 is padding.

    Args:
        num_items: number of items.
        num_features: number of different features.
        max_features: largest number of features that an item may have.
    """

    feature: Tensor

    def __init__(self, num_items: int, num_features: int, max_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.register_buffer("feature", torch.zeros(num_items + 1, max_features, dtype=torch.int32))

    def set_features(self, ids: Ids, names: Sequence[str]) -> None:
        """Set the features of all items.

        Args:
            ids: (I + 1, F) feature ids of each item, 0 on the right, as `segue.data.item_features.feature_ids` returns
                them.
            names: the names of features 1..n.

        Raises:
            ConfigError: there are more features, or more of one item, than the model was built for.
        """
        if len(names) > self.num_features:
            raise ConfigError(
                f"the model was built for {self.num_features} item features, but the log has {len(names)}; "
                "build it with Sizes.of(log, config)"
            )
        width = self.feature.shape[1]
        if ids.shape[1] > width:
            raise ConfigError(
                f"max_features_per_item={width}: an item of the log has {ids.shape[1]} features; "
                "raise it to that number"
            )
        self.feature.zero_()[:, : ids.shape[1]] = torch.from_numpy(ids).to(self.feature)

    def check_buffers(self) -> None:
        """Raise `ConfigError` if loaded ids are no features."""
        require_ids(self.feature, self.num_features, "item features")

    def lookup(self, item: Int[Tensor, "*n"]) -> Int[Tensor, "*n F"]:
        """The feature ids of each item, in their order; 0 on the right."""
        return self.feature[item].long()
