"""/v1/users and /v1/sessions: what a user did, joining a session to a user, and erasing a user everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from segue.event_store.clock import to_datetime
from segue.event_store.sessions import TakenSessionError, UserNotSessionError
from segue.service.http.json_body import JsonRoute
from segue.service.http.names import Name
from segue.service.http.openapi import needs, responses
from segue.service.routes.dependencies import get_is_admin, get_service
from segue.service.service import Service

router = APIRouter(tags=["users"], route_class=JsonRoute)
UserPath = Annotated[Name, Path(description="Name of the user.", examples=["42"])]
REMAINS = [
    "The weights of models that were trained before may carry traces of the events until they are trained anew.",
    "Copies elsewhere: backups of the store, logs that models were trained from, and saved models that this service "
    "has not loaded.",
    "What the database keeps in unused space of its files until it is vacuumed: single copies of a row with SQLite, "
    "deleted rows and the journal with PostgreSQL.",
    "A salted hash of the name and the time, so that the events do not come back with an older model.",
]
IN_JOURNAL = (
    "The journal beside the file of the store (-wal): somebody reads a state of before, such as a backup. The rows go "
    "within seconds after that has ended."
)


class UserEvent(BaseModel):
    """An event of a user."""

    item: str = Field(description="Name of the item.", examples=["sku7"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A kettle"])
    time: datetime | None = Field(
        description="When. Null for a time outside the years 1 to 9999.", examples=["2026-11-29T10:00:00Z"]
    )
    type: str = Field(description="The kind of event.", examples=["view"])
    value: float | None = Field(description="A number, such as a rating.", examples=[4.5])
    features: dict[str, Any] | None = Field(description="Further facts.", examples=[{"device": "mobile"}])


class ShownUser(BaseModel):
    """What the service knows of a user."""

    user: str = Field(description="The user; for a session that was joined to one, that user.", examples=["42"])
    events: int = Field(description="Number of all events.", examples=[12])
    models: list[str] = Field(
        description="The loaded models that were trained on events of the user.", examples=[["hgn"]]
    )
    history: list[UserEvent] = Field(description="The newest events, the newest last.")


class RecentUsers(BaseModel):
    """Users who did something lately."""

    users: list[str] = Field(description="The users of the events that arrived last, the last one first.")


class Join(BaseModel):
    """Whom a session belongs to."""

    model_config = ConfigDict(extra="forbid")

    user: Name = Field(description="The user.", examples=["42"])


class Joined(BaseModel):
    """What became of a session."""

    session: str = Field(description="The session.", examples=["s-81f"])
    user: str = Field(description="The user whom it belongs to now.", examples=["42"])
    events: int = Field(description="Number of events that the user got from it.", examples=[3])


class ErasedFromFolder(BaseModel):
    """What was erased from a saved model."""

    model: str = Field(description="Name of the model.", examples=["hgn"])
    names: int = Field(description="Number of names that were in its list of users.", examples=[1])
    events: int = Field(description="Number of events that were in its histories.", examples=[12])


class ErasedUser(BaseModel):
    """What was erased, and what was not."""

    user: str = Field(description="The user.", examples=["42"])
    events: int = Field(description="Number of events that were in the store.", examples=[12])
    sessions: int = Field(description="Number of sessions that belonged to the user.", examples=[1])
    lists: int = Field(description="Number of recommended lists that waited for the next event.", examples=[2])
    outcomes: int = Field(description="Number of ranks that were found for lists.", examples=[5])
    models: list[ErasedFromFolder] = Field(
        description="What was erased from the folders of the loaded models, in which names and histories are."
    )
    remains: list[str] = Field(description="What was not erased, in words.", examples=[REMAINS])


@router.get("/users", summary="Users who did something lately", openapi_extra=needs("admin"))
async def recent_users(
    service: Annotated[Service, Depends(get_service)],
    limit: Annotated[int, Query(ge=1, le=100, description="Number of users.")] = 10,
) -> RecentUsers:
    """Users of the last 10,000 events that arrived. Anonymous sessions are among them."""
    return RecentUsers(users=await service.read_much(lambda: service.store.events.recent_users(limit)))


@router.get("/users/{user:name}", summary="What a user did", openapi_extra=needs("read"))
async def get_user(
    user: UserPath,
    service: Annotated[Service, Depends(get_service)],
    limit: Annotated[int, Query(ge=1, le=10_000, description="Number of events.")] = 100,
) -> ShownUser:
    """The newest events of a user or of an anonymous session. Somebody without events has an empty history."""
    log, catalogue = service.store.events, service.shop.catalogue
    owner = await service.read(lambda: service.store.sessions.owner(user))
    count, events = await service.read_much(lambda: (log.count(owner), log.newest(owner, limit)))
    history = [
        UserEvent(
            item=event.item,
            title=event.item if (number := catalogue.find(event.item)) is None else catalogue.title(number),
            time=_date(event.time),
            type=event.type,
            value=event.value,
            features=None if event.features is None else dict(event.features),
        )
        for event in events
    ]
    models = [name for name, loaded in service.deployment.models.items() if loaded.knows_user(owner)]
    return ShownUser(user=owner, events=count, models=models, history=history)


@router.delete("/users/{user:name}", summary="Erase a person", openapi_extra=needs("admin"))
async def erase_user(user: UserPath, service: Annotated[Service, Depends(get_service)]) -> ErasedUser:
    """Erase a person: the events, the sessions, the lists, and the names and histories in all loaded models.

    The folders of the models are rewritten, and their weights stay. The answer says what was erased and what was not.
    Other services of the same store rewrite the folders of their models within seconds.
    """
    erased, found = await service.erasures.erase(user)
    failed = dict(service.erasures.failed)  # as it is now: background work may begin anew while events are counted
    await service.shop.count_again()
    if failed:
        raise HTTPException(
            503,
            "the store no longer has the person, but not all saved models could be rewritten; it is tried again: "
            + "; ".join(failed.values()),
        )
    return ErasedUser(
        user=erased.names[0],
        events=erased.events,
        sessions=len(erased.names) - 1,
        lists=erased.lists,
        outcomes=erased.outcomes,
        models=[ErasedFromFolder(model=name, names=one.users, events=one.events) for name, one in found.items()],
        remains=[*REMAINS, IN_JOURNAL] if erased.in_journal else REMAINS,
    )


@router.post(
    "/sessions/{session:name}/join",
    summary="Give a session to a user",
    responses=responses(409),
    openapi_extra=needs("write"),
)
async def join(
    session: Annotated[Name, Path(description="Name of the anonymous session.", examples=["s-81f"])],
    body: Join,
    service: Annotated[Service, Depends(get_service)],
    is_admin: Annotated[bool, Depends(get_is_admin)],
) -> Joined:
    """Give the events of an anonymous session to a user, and those that will come under its name.

    This cannot be undone: a session that belongs to a user cannot be joined to another one (409), so begin a new
    session at each log-in. The lists that wait for its next event go with it. Give sessions names that no user has. A
    name with events that were imported from the log of a model, or to which sessions were joined, counts as a user:
    only a key of the role admin, or a client that needs no key, joins it to another user; else the answer is 409. Every
    other name counts as a session.
    """
    sessions = service.store.sessions
    try:
        moved = await service.change(lambda: sessions.join(session, body.user, check=not is_admin))
    except TakenSessionError as error:
        raise HTTPException(409, f"session {session!r}: {error}") from error
    except UserNotSessionError as error:
        raise HTTPException(
            409, f"session {session!r}: {error}; to merge two users for ever takes a key of the role admin"
        ) from error
    owner = await service.read(lambda: sessions.owner(body.user))
    await service.join(session, owner)
    return Joined(session=session, user=owner, events=moved)


def _date(time: int) -> datetime | None:
    try:
        return to_datetime(time)
    except OverflowError:
        return None
