"""`Deployments`: which model answers which users: one model, or the arms of an A/B split; and shadow models.

The arm of a user follows from a hash of the name, so a user stays in an arm over restarts and replicas. A change is one
assignment: a request keeps the model that it began with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from segue.data.event_features import EventFeature
from segue.errors import ConfigError, DataError, did_you_mean
from segue.json_files import problem_text
from segue.service.models.event_learner import EventLearner
from segue.service.models.item_numbers import ItemNumbers, numeric_columns
from segue.service.models.loaded_model import LoadedModel

SHADOW = "shadow"  # in place of the arm, for lists of shadow models
NAMED = "named"  # in place of the arm, in figures of answers to requests that name a model


ModelName = Annotated[str, Field(min_length=1, max_length=255, description="Name of the folder of a saved model.")]
Shadow = Annotated[
    tuple[ModelName, ...],
    Field(
        max_length=10,
        description="Models that make lists for the live quality, too. Their lists are measured and not shown.",
        examples=[["item-knn"]],
    ),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
]


class Arm(BaseModel):
    """One side of an A/B split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelName = Field(examples=["hgn"])
    weight: float = Field(
        default=1.0,
        strict=True,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="Its share of the users is its weight over the sum of all weights.",
    )
    name: str = Field(
        default_factory=lambda given: given.get("model", ""),
        min_length=1,
        max_length=100,
        description="Name of the arm; by default that of its model.",
    )


def _with_own_names(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    names = [arm.name for arm in arms]
    if len(set(names)) < len(names):
        raise ValueError(f"{', '.join(names)}: each arm needs a name of its own")
    if SHADOW in names:
        raise ValueError(f"{SHADOW} is the name for shadow models")
    if NAMED in names:
        raise ValueError(f"{NAMED} is the name for requests that name a model")
    return arms


Arms = Annotated[
    tuple[Arm, ...],
    Field(min_length=1, max_length=20, description="The sides of an A/B split, or the one model that answers all."),
    AfterValidator(_with_own_names),
]


class Split(BaseModel):
    """Which models answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arms: Arms
    shadow: Shadow = ()
    salt: str = Field(default="", max_length=100, description="Another salt puts the users into the arms anew.")

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that are in use, each once."""
        return tuple(dict.fromkeys((*(arm.model for arm in self.arms), *self.shadow)))

    def shares(self) -> dict[str, float]:
        """The share of the users that each model answers."""
        total = sum(arm.weight for arm in self.arms)
        shares: dict[str, float] = {}
        for arm in self.arms:
            shares[arm.model] = shares.get(arm.model, 0.0) + arm.weight / total
        return shares

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
        version: how often the stored split was changed until it was this one.
    """

    models: Mapping[str, LoadedModel]
    split: Split
    version: int

    def __post_init__(self) -> None:
        for name in self.split.models:
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

    @property
    def in_use(self) -> list[LoadedModel]:
        """The models that are in use, in the order of the split."""
        return [self.models[name] for name in self.split.models]

    @property
    def others(self) -> list[LoadedModel]:
        """The models that answer only requests with their names, in the order of these names."""
        return [self.models[name] for name in sorted(self.models.keys() - {*self.split.models})]

    @property
    def learners(self) -> dict[str, EventLearner]:
        """What lets models learn events at once, by the names of those that can."""
        return {name: one.learner for name, one in self.models.items() if one.learner is not None}

    @cached_property
    def event_numbers(self) -> Mapping[str, tuple[EventFeature, str]]:
        """The event features that a model knows as numbers, by name: the column, and the name of the model."""
        return {
            column.name: (column, name)
            for name, model in self.models.items()
            for column in model.saved.log.event_feature_columns
            if not column.categories
        }

    @cached_property
    def item_numbers(self) -> Mapping[str, tuple[ItemNumbers, str]]:
        """The columns of items that a model has as features and knows as numbers: which, and the name of the model."""
        return {
            column: (kind, name)
            for name, loaded in self.models.items()
            for column, kind in numeric_columns(loaded.model, loaded.saved.log).items()
        }

    def stored(self) -> StoredDeployment:
        """What a store keeps of it."""
        return StoredDeployment(
            split=self.split, fingerprints={name: self.models[name].fingerprint for name in self.split.models}
        )

    def choose(self, user: str | None) -> tuple[LoadedModel, str]:
        """The model that answers a user, and the name of its arm; anonymous histories get the first arm."""
        arm = self.split.arms[0] if user is None else self.split.arm_of(user)
        return self.models[arm.model], arm.name


class StoredDeployment(BaseModel):
    """What a store keeps of a deployment, so that other services follow.

    Attributes:
        split: which models answer.
        fingerprints: of these models.
    """

    split: Split
    fingerprints: dict[str, str]

    @classmethod
    def read(cls, content: Any) -> StoredDeployment:
        """A deployment from the plain values that `content` returned.

        Raises:
            DataError: they are of another shape.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise DataError(
                f"the store does not say which models answer ({problem_text(error)}); name one with --active, or "
                "activate one"
            ) from None

    def content(self) -> dict[str, Any]:
        """The plain values."""
        return self.model_dump(mode="json")
