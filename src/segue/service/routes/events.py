"""POST /v1/events: what users do, one event or up to 1,000 at once. Each is on the disk before it is answered."""

from __future__ import annotations

from secrets import token_hex
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from segue.event_store.clock import now, to_microseconds
from segue.event_store.event import IMPORTED, Event, content_id
from segue.event_store.event_ids import UsedIdError
from segue.service.http.json_body import JsonRoute
from segue.service.http.names import Name, Text
from segue.service.http.openapi import needs, responses
from segue.service.http.times import PastTime
from segue.service.routes.dependencies import get_service
from segue.service.routes.item_values import FeatureValue
from segue.service.routes.one_or_several import ONE, SEVERAL, one_or_several
from segue.service.routes.readable import check_event_features
from segue.service.service import Service

router = APIRouter(tags=["events"], route_class=JsonRoute)
MAX_BATCH = 1_000
FeatureName = Annotated[Text, Field(min_length=1, max_length=100)]
SHOWN = 20  # places of events in a message


def not_imported(value: str) -> str:
    """Refuse the type of the events that a service copies from the log of a model: they would be taken for these.

    Raises:
        ValueError: it is that type.
    """
    if value == IMPORTED:
        raise ValueError(f"{IMPORTED} is the type of the events of the model's log; give another one")
    return value


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
    type: Annotated[Text, Field(max_length=100), AfterValidator(not_imported)] = Field(
        "", description="The kind of event.", examples=["view"]
    )
    value: float | None = Field(
        None, allow_inf_nan=False, strict=True, description="A number, such as a rating.", examples=[4.5]
    )
    features: Annotated[dict[FeatureName, FeatureValue], Field(max_length=50)] | None = Field(
        None,
        description="Further facts, for models that read them: texts, numbers, true and false.",
        examples=[{"device": "mobile", "price": 9.99}],
    )
    id: Annotated[Text, Field(max_length=200)] = Field(
        "",
        description=(
            "Identifies the event: sent again, it is not stored again. An id that another user or item has is refused "
            "(409). By default it follows from user, item, time "
            "and type. An event without a time is a new one each time it is sent: give an id or a time where a request "
            "may be repeated."
        ),
        examples=["b3c1"],
    )

    def to_event(self, arrival: int) -> Event:
        """The event for the store; `arrival` in microseconds since 1970."""
        if self.time is None:
            identity = self.id or token_hex(16)
            return Event(self.user, self.item, arrival, self.type, self.value, identity, self.features)
        moment = to_microseconds(self.time)
        identity = self.id or content_id(self.user, self.item, moment, self.type)
        return Event(self.user, self.item, min(moment, arrival), self.type, self.value, identity, self.features)


class NewEvents(BaseModel):
    """Several events, in the order in which they happened."""

    model_config = ConfigDict(extra="forbid")

    events: list[NewEvent] = Field(min_length=1, max_length=MAX_BATCH, description="The events.")


Body = Annotated[Annotated[NewEvent, ONE] | Annotated[NewEvents, SEVERAL], one_or_several("events")]


class Stored(BaseModel):
    """What became of the events."""

    stored: int = Field(description="How many events are new. They are on the disk.", examples=[1])
    duplicates: int = Field(description="How many were there already.", examples=[0])


@router.post(
    "/events",
    status_code=201,
    summary="Store one event or several",
    responses=responses(409),
    openapi_extra=needs("write"),
)
async def add_events(body: Body, service: Annotated[Service, Depends(get_service)]) -> Stored:
    """Store events. An event that was sent before, with the same id, is counted as a duplicate and not stored again.

    The answer comes when the events are on the disk. They count in every answer from then on.

    If the id of an event was used for another user or item, the answer is 409, and no event of the request is stored.
    """
    arrival = now()
    given, field = (body.events, "events") if isinstance(body, NewEvents) else ([body], "")
    check_event_features([one.features for one in given], service.deployment.event_numbers, field=field)
    events = [one.to_event(arrival) for one in given]
    try:
        stored = await service.writer.write(events)
    except UsedIdError as error:
        raise HTTPException(409, _used(list(error.places), len(events))) from error
    return Stored(stored=sum(stored), duplicates=len(stored) - sum(stored))


def _used(places: list[int], size: int) -> str:
    """What to say of the events of a request whose ids others have."""
    shown = ", ".join(map(str, places[:SHOWN])) + (f" and {len(places) - SHOWN} more" if len(places) > SHOWN else "")
    where = "" if size == 1 else f" in {len(places)} of {size} events (from 0): {shown}"
    return f"id: used before for another user or item{where}; nothing is stored; give each event an id of its own"
