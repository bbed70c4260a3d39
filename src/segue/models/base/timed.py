"""`TimedModel`: base class of models that may read the times of events, and of the request."""

from __future__ import annotations

from typing import Literal

from segue.config import Field
from segue.models.base.ranking import RankingConfig, RankingModel


class TimedConfig(RankingConfig):
    """Settings of models that may read times."""

    time: Literal["none", "events", "request"] = Field(
        "none",
        description=(
            "The times that the model reads: none; those of the events of the history (events); or also that of the "
            "request (request), which needs a protocol that gives it."
        ),
    )


class TimedModel(RankingModel):
    """Base class of models that read times if the settings say so."""

    config: TimedConfig

    @property
    def reads_times(self) -> bool:
        return self.config.time != "none"

    @property
    def reads_request_time(self) -> bool:
        return self.config.time == "request"
