"""`EventVectors`: base class of models that read more of an event than its item.

Learnt vectors of the type and of the features of an event, and of its position in its session, are added to that of its
item. A model calls `embed_events` when it is made, and adds the vectors with `with_event_vectors`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.data.sessions import SessionRule
from segue.errors import require
from segue.models.base.ranking import RankingConfig, RankingModel
from segue.nn.event_features import EventFeatureEmbedding
from segue.nn.event_types import EventTypeEmbedding
from segue.nn.sessions import NUM_POSITIONS, SessionEmbedding


class EventVectorsConfig(RankingConfig):
    """Settings of models that may read the types and the features of events, and sessions."""

    later: ClassVar[tuple[str, ...]] = ("event_types", "event_features", "sessions", "session_gap")
    event_types: bool = Field(
        False,
        description=(
            "Whether the type of each event of the history, such as a view or a purchase, is read: a learnt vector for "
            "each type is added to that of the item. The log must have types of events."
        ),
    )
    event_features: bool = Field(
        False,
        description=(
            "Whether the features of each event of the history, such as the device, are read: learnt vectors for "
            "categories and for ranges of numbers are added to that of the item. The log must have event features."
        ),
    )
    sessions: Literal["none", "starts", "positions"] = Field(
        "none",
        description=(
            "What is read of the sessions of a user, such as visits: nothing (none); where each begins, by a learnt "
            "vector that is added to that of its first item (starts); or the position of each event in its session, by "
            f"a learnt vector for each, the same one from position {NUM_POSITIONS} on (positions)."
        ),
    )
    session_gap: int | None = Field(
        None,
        ge=1,
        description=(
            "A pause of more seconds begins another session, such as 1800. With none, the sessions are those of the "
            "log, whose column must be named, and a service cannot have them."
        ),
    )

    def check(self) -> None:
        super().check()
        require(
            self.session_gap is None or self.sessions != "none",
            f"session_gap={self.session_gap}: no sessions are read; set sessions=starts or sessions=positions, too",
        )

    @property
    def session_rule(self) -> SessionRule | None:
        """How sessions are told apart; None if none are read."""
        return None if self.sessions == "none" else SessionRule(self.session_gap)


class EventVectors(RankingModel):
    """Base class of models in which vectors of what is known of an event are added to that of its item."""

    config: EventVectorsConfig
    type_embedding: EventTypeEmbedding | None
    feature_embedding: EventFeatureEmbedding | None
    session_embedding: SessionEmbedding | None

    def embed_events(self, dim: int) -> None:
        """Make the vectors, of size `dim`, of what the settings name."""
        config, sizes = self.config, self.sizes
        self.type_embedding = EventTypeEmbedding(sizes.num_event_types, dim) if config.event_types else None
        self.feature_embedding = EventFeatureEmbedding(sizes.event_features, dim) if config.event_features else None
        num_positions = {"none": 0, "starts": 1, "positions": NUM_POSITIONS}[config.sessions]
        self.session_embedding = SessionEmbedding(num_positions, dim) if num_positions else None

    @property
    def event_tables(self) -> list[nn.Parameter]:
        """The tables of these vectors, whose rows 0 are padding."""
        embeddings = self.type_embedding, self.feature_embedding, self.session_embedding
        return [one.weight for one in embeddings if one is not None]

    @property
    def reads_event_types(self) -> bool:
        return self.config.event_types

    @property
    def reads_event_features(self) -> bool:
        return self.config.event_features

    @property
    def session_rule(self) -> SessionRule | None:
        return self.config.session_rule

    def with_event_vectors(self, x: Float[Tensor, "B P d"], batch: Batch) -> Float[Tensor, "B P d"]:
        """The vectors of the items of a history, with those of what else is read of their events."""
        if self.type_embedding is not None:
            assert batch.types is not None
            x = x + self.type_embedding(batch.types)
        if self.feature_embedding is not None:
            assert batch.features is not None
            x = x + self.feature_embedding(batch.features)
        if self.session_embedding is not None:
            x = x + self.session_embedding(batch.session_positions)
        return x
