"""`HybridConfig`: the settings of the hybrid, among which are those of its network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic.fields import FieldInfo

from segue.config import Field, unknown_setting
from segue.data.log import Log
from segue.data.sessions import SessionRule
from segue.errors import ConfigError, require
from segue.models.base.event_weights import EventWeightsConfig
from segue.models.base.gradient_config import EpochsConfig, GradientModelConfig
from segue.models.base.model import DirectModel, DotProductModel, GradientModel
from segue.models.neighbours.learnt_counts import LearntCounts
from segue.models.registry import find


def direct_model(name: str) -> type[DirectModel]:
    """The class of a model that can be the neighbours of a hybrid.

    Raises:
        ConfigError: it cannot.
    """
    kind = find(name)
    if not issubclass(kind, DirectModel) or kind.task != "ranking" or kind is LearntCounts:
        raise ConfigError(
            f"neighbours={name}: must be another model that is fitted in one step and ranks items, such as vs-knn"
        )
    return kind


class HybridConfig(EventWeightsConfig, EpochsConfig):
    """Settings of the hybrid, and those of its network."""

    network: str = Field("core", description="The network: any model that is trained in epochs and scores by vectors.")
    network_settings: dict[str, Any] = Field(
        {}, description="Settings of the network. Each can be given by its own name too, such as embedding_dim=128."
    )
    neighbours: str | None = Field(
        None,
        description=(
            "A third part beside the counts and the network: a model that is fitted in one step, with its default "
            "settings, such as vs-knn; none for no third part."
        ),
    )
    held_out_rows: int = Field(4000, ge=1, description="Largest number of rows that the pool is learnt from.")
    held_out_share: float = Field(
        0.04, gt=0, lt=1, description="Largest share of the training log that the pool is learnt from."
    )
    pool_passes: int = Field(
        1,
        ge=1,
        description="How often the pool learns from a row after each epoch; three times as often after the first.",
    )
    pool_lr: float = Field(
        0.03, gt=0, description="First learning rate of the pool after each epoch; it falls to 0 in a straight line."
    )
    reduction: ClassVar[str] = "mean"

    @classmethod
    def make(cls, settings: dict[str, Any]) -> HybridConfig:
        """A config; settings that are not the hybrid's own are the network's.

        Raises:
            ConfigError: a setting is unknown, or has a value that it may not have.
        """
        own = {name: value for name, value in settings.items() if name in cls.model_fields}
        others = {name: value for name, value in settings.items() if name not in own}
        listed = own.pop("network_settings", {})
        require(
            isinstance(listed, dict),
            f"network_settings={listed!r}: must be names with values; give each setting of the network by its own "
            "name, such as embedding_dim=128",
        )
        given = {**listed, **others}
        config = cls(**own, network_settings=given)
        read = {name: config.setting(name) for name in given}
        return config.model_copy(update={"network_settings": read})

    @classmethod
    def known_settings(cls, given: Mapping[str, Any]) -> Mapping[str, FieldInfo]:
        """The declarations of the settings of the hybrid, and of those of the network that is given."""
        network = given.get("network", cls.model_fields["network"].default)
        return {**find(network).Config.model_fields, **cls.model_fields}

    def check(self) -> None:
        super().check()
        kind = find(self.network)
        require(
            issubclass(kind, GradientModel) and issubclass(kind, DotProductModel) and kind.task == "ranking",
            f"network={self.network}: must be a model that is trained in epochs and ranks items by their vectors, such "
            "as core, gru or sasrec",
        )
        shared = [name for name in self.network_settings if name in type(self).model_fields]
        require(not shared, f"network_settings: {', '.join(shared)} is a setting of the hybrid itself; give it there")
        known = self.known_settings({"network": self.network})
        for name in self.network_settings:
            knows = f"known to the hybrid and to {self.network}"
            require(name in known, unknown_setting(kind.Config, name, known, knows))
        if self.neighbours is not None:
            direct_model(self.neighbours)
        _ = self.network_config

    def setting(self, name: str) -> Any:
        """The value of a setting of the hybrid, or of its network."""
        return getattr(self if name in type(self).model_fields else self.network_config, name)

    @cached_property
    def network_config(self) -> GradientModelConfig:
        """The settings of the network, the defaults included."""
        weights = {} if self.event_weights is None else {"event_weights": self.event_weights}
        config: GradientModelConfig = find(self.network).configure(
            {**self.network_settings, "epochs": self.epochs, **weights}
        )
        return config

    @property
    def lr(self) -> float:
        """The learning rate of the network."""
        return self.network_config.lr

    @property
    def draws_from_shown(self) -> bool:
        """Whether the negatives of the network are items that were shown."""
        return getattr(self.network_config, "draws_from_shown", False)

    @property
    def event_types(self) -> bool:
        """Whether the network reads the types of events."""
        return getattr(self.network_config, "event_types", False)

    @property
    def event_features(self) -> bool:
        """Whether the network reads the features of events."""
        return getattr(self.network_config, "event_features", False)

    @property
    def session_rule(self) -> SessionRule | None:
        """How the network tells sessions apart; None if it reads none."""
        return getattr(self.network_config, "session_rule", None)

    def feature_sizes(self, log: Log) -> dict[str, int]:
        return self.network_config.feature_sizes(log)

    def draw_targets(self, log: Log, rng: np.random.Generator) -> Log:
        """The log itself: the counts weight the targets, and `batches` draws those of the network."""
        return log
