"""POST /v1/events: what users do, one event or up to 1,000 at once. Each is on the disk before it is answered."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from segue.event_store.event import MICROSECONDS, Event, content_id
from segue.service.dependencies import get_service
from segue.service.names import Name, Text
from segue.service.problems import responses
from segue.service.service import Service
from segue.service.times import PastTime

router = APIRouter(tags=["events"])
MAX_BATCH = 1_000
START = datetime(1970, 1, 1, tzinfo=UTC)


class NewEvent(BaseModel):
    """Somebody did something with an item."""

    model_config = ConfigDict(extra="forbid")

    user: Name = Field(description="The user, or an anonymous session.", examples=["42"])
    item: Name = Field(description="The item.", examples=["sku7"])
    time: PastTime | None = Field(
        None,
        description=(
            "When, as ISO 8601 with a zone. By default the time of arrival, which also counts for a time that is up to "
            "five minutes ahead of the clock of the service; one further ahead is refused."
        ),
        examples=["2026-01-31T10:00:00Z"],
    )
    type: Annotated[Text, Field(max_length=100)] = Field("", description="The kind of event.", examples=["view"])
    value: float | None = Field(
        None, allow_inf_nan=False, strict=True, description="A number, such as a rating.", examples=[4.5]
    )
    id: Annotated[Text, Field(max_length=200)] = Field(
        "",
        description=(
            "Identifies the event: sent again, it is not stored again. By default it follows from user, item, time "
            "and type. An event without a time is a new one each time it is sent: give an id or a time where a request "
            "may be repeated."
        ),
        examples=["b3c1"],
    )

    def to_event(self, now: int) -> Event:
        """The event for the store; `now` in microseconds since 1970."""
        if self.time is None:
            return Event(self.user, self.item, now, self.type, self.value, self.id or token_hex(16))
        moment = (self.time - START) // timedelta(microseconds=1)
        identity = self.id or content_id(self.user, self.item, moment, self.type)
        return Event(self.user, self.item, min(moment, now), self.type, self.value, identity)


class NewEvents(BaseModel):
    """Several events, in the order in which they happened."""

    model_config = ConfigDict(extra="forbid")

    events: list[NewEvent] = Field(min_length=1, max_length=MAX_BATCH, description="The events.")


def _which(body: Any) -> str:
    is_list = "events" in body if isinstance(body, dict) else isinstance(body, NewEvents)
    return "(several)" if is_list else "(one)"


Body = Annotated[Annotated[NewEvent, Tag("(one)")] | Annotated[NewEvents, Tag("(several)")], Discriminator(_which)]


class Stored(BaseModel):
    """What became of the events."""

    stored: int = Field(description="How many events are new. They are on the disk.", examples=[1])
    duplicates: int = Field(description="How many were there already.", examples=[0])


@router.post(
    "/events", status_code=201, summary="Store one event or several", responses=responses(401, 403, 413, 422, 429, 503)
)
async def add_events(body: Body, service: Annotated[Service, Depends(get_service)]) -> Stored:
    """Store events. An event that was sent before, with the same id, is counted as a duplicate and not stored again.

    The answer comes when the events are on the disk. They count in every answer from then on.
    """
    now = int(time.time() * MICROSECONDS)
    events = [one.to_event(now) for one in (body.events if isinstance(body, NewEvents) else [body])]
    stored = await service.writer.write(events)
    return Stored(stored=sum(stored), duplicates=len(stored) - sum(stored))
