"""GET and POST /v1/recommend: the items that most likely come next for a user, a session or a history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from segue.service.dependencies import get_service
from segue.service.histories import History
from segue.service.loaded_model import MAX_ITEMS, LoadedModel
from segue.service.names import Name
from segue.service.problems import responses
from segue.service.service import Service
from segue.service.shown_lists import Asked

router = APIRouter(tags=["recommend"])
_encode = msgspec.json.Encoder().encode


class Request(BaseModel):
    """Whom to recommend to, and what."""

    model_config = ConfigDict(extra="forbid")

    user: Name | None = Field(
        None, description="A user, or an anonymous session whose events were sent.", examples=["42"]
    )
    history: list[Name] | None = Field(
        None,
        max_length=10_000,
        description="Items, oldest first, in place of the events of the user.",
        examples=[["sku1", "sku7"]],
    )
    k: int = Field(10, ge=1, le=MAX_ITEMS, description="Number of items.")
    exclude_seen: bool | None = Field(
        None, description="Leave out the items of the history. By default as the model was evaluated."
    )
    exclude: list[Name] = Field(default_factory=list, max_length=10_000, description="Items to leave out.")
    candidates: list[Name] | None = Field(
        None, max_length=100_000, description="The items that may be recommended. By default all."
    )
    model: str | None = Field(
        None, description="Name of a loaded model. By default the one that is active for the user."
    )

    @model_validator(mode="after")
    def _needs_somebody(self) -> Request:
        if self.user is None and self.history is None:
            raise ValueError("give a user or a history")
        return self


class RecommendedItem(BaseModel):
    """One item."""

    item: str = Field(description="Its name.", examples=["sku7"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A kettle"])
    score: float = Field(description="Scores are comparable within one answer only.", examples=[2.5])


class Recommended(BaseModel):
    """The items, best first."""

    user: str | None = Field(description="The user.", examples=["42"])
    model: str = Field(description="Name of the model that answered.", examples=["hgn"])
    arm: str = Field(description="The arm of the A/B split that the user is in.", examples=["hgn"])
    fingerprint: str = Field(description="Identifies the weights of the model.", examples=["0ac98e11867229de"])
    events: int = Field(description="Number of events of the history that the answer knows.", examples=[12])
    fallback: str | None = Field(description="Why popular items are recommended; null if the model answered.")
    items: list[RecommendedItem] = Field(description="The items, best first.")


@router.get(
    "/recommend",
    response_model=Recommended,
    summary="Recommend items to a user",
    responses=responses(401, 403, 422, 429, 503),
)
async def recommend_to_user(
    service: Annotated[Service, Depends(get_service)],
    user: Annotated[
        Name, Query(description="A user, or an anonymous session whose events were sent.", examples=["42"])
    ],
    k: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Number of items.")] = 10,
    exclude_seen: Annotated[
        bool | None,
        Query(description="Leave out the items of the history. By default as the model was evaluated."),
    ] = None,
    exclude: Annotated[list[Name] | None, Query(description="Items to leave out; repeat the parameter.")] = None,
    model: Annotated[str | None, Query(description="Name of a loaded model.")] = None,
) -> Response:
    """The items that most likely come next for a user. The newest event that was stored counts."""
    return await answer(service, user, k=k, exclude_seen=exclude_seen, exclude=exclude or [], model=model)


@router.post(
    "/recommend",
    response_model=Recommended,
    summary="Recommend items for a history, or among candidates",
    responses=responses(401, 403, 413, 422, 429, 503),
)
async def recommend(body: Request, service: Annotated[Service, Depends(get_service)]) -> Response:
    """As GET, for long lists: a history of its own, candidates, items to leave out."""
    return await answer(
        service,
        body.user,
        body.history,
        k=body.k,
        exclude_seen=body.exclude_seen,
        exclude=body.exclude,
        candidates=body.candidates,
        model=body.model,
    )


async def answer(
    service: Service,
    user: str | None,
    history: Sequence[str] | None = None,
    *,
    k: int,
    exclude_seen: bool | None = None,
    exclude: Sequence[str] = (),
    candidates: Sequence[str] | None = None,
    model: str | None = None,
) -> Response:
    """The answer to one request; the parameters are those of `Request`."""
    begin, deployment = time.perf_counter(), service.deployment  # the same for the whole answer
    loaded, arm = deployment.choose(user) if model is None else (deployment.model(model), model)
    events = await service.history(user or "") if history is None else History(items=list(history))
    after = events.order[-1] if events.order else None
    top = await loaded.ask(user, events, k=k, exclude_seen=exclude_seen, hidden=_hidden(loaded, exclude, candidates))
    service.metrics.answered(loaded.name, arm, fallback=top.fallback is not None, seconds=time.perf_counter() - begin)
    if user is not None and after is not None and model is None and candidates is None and exclude_seen is None:
        asked = Asked(user, events, after, k, lambda one: _hidden(one, exclude, None))
        service.shown.add(deployment, loaded, arm, asked, top)
    tokens, titles = loaded.tokens, loaded.titles
    content = {
        "user": user,
        "model": loaded.name,
        "arm": arm,
        "fingerprint": loaded.fingerprint,
        "events": len(events),
        "fallback": top.fallback,
        "items": [
            {"item": tokens[index], "title": titles[index], "score": score}
            for index, score in zip(top.ids, top.scores, strict=True)
        ],
    }
    return Response(_encode(content), media_type="application/json")


def _hidden(loaded: LoadedModel, exclude: Sequence[str], candidates: Sequence[str] | None) -> np.ndarray | None:
    """The ids of the items that the request does not allow."""
    if candidates is None:
        return loaded.known(exclude)[0] if exclude else None
    allowed = np.zeros(loaded.num_items + 1, np.bool_)
    allowed[loaded.known(candidates)[0]] = True
    allowed[loaded.known(exclude)[0]] = False
    return loaded.hidden_ids(allowed)
