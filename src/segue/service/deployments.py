"""`Deployments`: which model answers whom: one model, the arms of an A/B split, and models that only run along.

The arm of a user follows from a hash of the name, so a user stays in an arm over restarts and replicas. A change is one
assignment: a request keeps the model that it began with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from segue.errors import ConfigError, did_you_mean, require
from segue.service.loaded_model import LoadedModel


@dataclass(frozen=True)
class Arm:
    """One side of an A/B split.

    Attributes:
        name: of the arm.
        model: name of the model.
        weight: its share of the users is its weight over the sum of all weights.
    """

    name: str
    model: str
    weight: float = 1.0


@dataclass(frozen=True)
class Split:
    """Which models answer.

    Attributes:
        arms: at least one.
        shadow: names of models that score every request too; their answers are measured and not shown.
        salt: another salt puts the users into the arms anew.
    """

    arms: tuple[Arm, ...]
    shadow: tuple[str, ...] = ()
    salt: str = ""

    def __post_init__(self) -> None:
        require(bool(self.arms), "arms: at least one model must answer")
        names = [arm.name for arm in self.arms]
        require(len(set(names)) == len(names), f"arms: {', '.join(names)}: each arm needs a name of its own")
        require(all(0 < arm.weight < float("inf") for arm in self.arms), "arms: each weight must be above 0 and finite")

    def arm_of(self, user: str) -> Arm:
        """The arm of a user: the same each time."""
        digest = hashlib.blake2b(f"{self.salt}\x1f{user}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        place = int.from_bytes(digest) / 2**64 * sum(arm.weight for arm in self.arms)
        for arm in self.arms:
            place -= arm.weight
            if place < 0:
                return arm
        return self.arms[-1]


@dataclass(frozen=True)
class Deployment:
    """The loaded models and the split between them. It is never changed: a new one takes its place.

    Attributes:
        models: by name.
        split: which of them answers.
    """

    models: Mapping[str, LoadedModel]
    split: Split

    def __post_init__(self) -> None:
        for name in (*(arm.model for arm in self.split.arms), *self.split.shadow):
            self.model(name)

    def model(self, name: str) -> LoadedModel:
        """A model by its name.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self.models:
            raise ConfigError(
                f"unknown model {name!r}{did_you_mean(name, self.models)}; loaded: {', '.join(self.models)}"
            )
        return self.models[name]

    def choose(self, user: str | None) -> tuple[LoadedModel, str]:
        """The model that answers a user, and the name of its arm; anonymous histories get the first arm."""
        arm = self.split.arms[0] if user is None else self.split.arm_of(user)
        return self.models[arm.model], arm.name
