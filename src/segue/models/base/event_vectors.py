"""`EventVectors`: base class of models that read more of an event than its item.

Learnt vectors of the type and of the features of an event, and of its position in its session, are added to that of its
item. A model calls `embed_events` when it is made, and adds the vectors with `with_event_vectors`.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.config import Field
from segue.models.base.ranking import RankingConfig, RankingModel
from segue.nn.event_features import EventFeatureEmbedding
from segue.nn.event_types import EventTypeEmbedding


class EventVectorsConfig(RankingConfig):
    """Settings of models that may read the types and the features of events, and sessions."""

    later: ClassVar[tuple[str, ...]] = ("event_types", "event_features")
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


class EventVectors(RankingModel):
    """Base class of models in which vectors of what is known of an event are added to that of its item."""

    config: EventVectorsConfig
    type_embedding: EventTypeEmbedding | None
    feature_embedding: EventFeatureEmbedding | None

    def embed_events(self, dim: int) -> None:
        """Make the vectors, of size `dim`, of what the settings name."""
        config, sizes = self.config, self.sizes
        self.type_embedding = EventTypeEmbedding(sizes.num_event_types, dim) if config.event_types else None
        self.feature_embedding = EventFeatureEmbedding(sizes.event_features, dim) if config.event_features else None

    @property
    def event_tables(self) -> list[nn.Parameter]:
        """The tables of these vectors, whose rows 0 are padding."""
        return [one.weight for one in (self.type_embedding, self.feature_embedding) if one is not None]

    @property
    def reads_event_types(self) -> bool:
        return self.config.event_types

    @property
    def reads_event_features(self) -> bool:
        return self.config.event_features

    def with_event_vectors(self, x: Float[Tensor, "B P d"], batch: Batch) -> Float[Tensor, "B P d"]:
        """The vectors of the items of a history, with those of what else is read of their events."""
        if self.type_embedding is not None:
            assert batch.types is not None
            x = x + self.type_embedding(batch.types)
        if self.feature_embedding is not None:
            assert batch.features is not None
            x = x + self.feature_embedding(batch.features)
        return x
