"""GET and POST /v1/recommend: the items that most likely come next for a user, a session or a history."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from segue.event_store.clock import now
from segue.service.http.json_body import JsonRoute
from segue.service.http.names import Name
from segue.service.http.openapi import needs
from segue.service.items.explanations import Explanation, explain_items
from segue.service.models.deployments import NAMED
from segue.service.models.loaded_model import MAX_ITEMS, Answer, LoadedModel
from segue.service.monitoring.impressions import ImpressionQuery
from segue.service.routes.conditions import AVAILABLE, EXAMPLE, RULES, WHERE, Condition
from segue.service.routes.dependencies import get_service
from segue.service.service import Service
from segue.service.users.history import WINDOW, History

router = APIRouter(tags=["recommend"], route_class=JsonRoute)
EXPLAIN = "Say what each item of the history contributes to the scores. This takes about 20 times as long."
_encode = msgspec.json.Encoder().encode


class RecommendationOptions(BaseModel):
    """What is recommended."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=10, ge=1, le=MAX_ITEMS, description="Number of items.")
    exclude_seen: bool | None = Field(
        default=None, description="Leave out the items of the history. By default as the model was evaluated."
    )
    exclude: list[Name] = Field(
        default_factory=list, max_length=10_000, description="Items to leave out; in a query, repeat the parameter."
    )
    where: list[Condition] = Field(default_factory=list, max_length=100, description=WHERE, examples=[EXAMPLE])
    available: bool = Field(default=True, description=AVAILABLE)
    rules: bool = Field(default=True, description=RULES)
    explain: bool = Field(default=False, description=EXPLAIN)
    model: str | None = Field(
        default=None, description="Name of a loaded model. By default the one that is active for the user."
    )
    measure: bool = Field(default=True, description="Whether the list may count in the live quality.")

    def is_measured(self, left_out: Sequence[str]) -> bool:
        """Whether the list counts in the live quality: no parameter made it another one than the user usually gets.

        Args:
            left_out: the items that the model leaves out anyway; to exclude these changes nothing.
        """
        usual = self.model is None and self.exclude_seen is None and not self.where and self.available and self.rules
        return self.measure and usual and (not self.exclude or set(self.exclude) <= set(left_out))


class UserQuery(RecommendationOptions):
    """A user, and what is recommended to them."""

    user: Name = Field(description="A user, or an anonymous session whose events were sent.", examples=["42"])


class RecommendRequest(RecommendationOptions):
    """Whom to recommend to, and what."""

    model_config = ConfigDict(strict=True)

    user: Name | None = Field(
        None, description="A user, or an anonymous session whose events were sent.", examples=["42"]
    )
    history: list[Name] | None = Field(
        None,
        max_length=10_000,
        description="Items, oldest first, in place of the events of the user.",
        examples=[["sku1", "sku7"]],
    )
    candidates: list[Name] | None = Field(
        None, max_length=100_000, description="The items that may be recommended. By default all."
    )

    @model_validator(mode="after")
    def _needs_somebody(self) -> RecommendRequest:
        if self.user is None and self.history is None:
            raise ValueError("give a user or a history")
        return self


class RecommendedItem(BaseModel):
    """One item."""

    item: str = Field(description="Its name.", examples=["sku7"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A kettle"])
    score: float = Field(
        description="Scores are comparable within one answer only; without a model, the item's popularity.",
        examples=[2.5],
    )
    source: Literal["model", "popular", "trending", "new"] = Field(
        description="What chose it. New is an item that the model does not know yet.", examples=["model"]
    )
    explanation: Explanation | None = Field(None, description="With explain=true, if the model chose it.")


class Recommended(BaseModel):
    """The items, best first."""

    user: str | None = Field(description="The user.", examples=["42"])
    model: str = Field(description="Name of the model that answered.", examples=["hgn"])
    arm: str | None = Field(
        description="The arm of the A/B split that the user is in; null if the request names the model.",
        examples=["hgn"],
    )
    fingerprint: str = Field(description="Identifies the weights of the model.", examples=["0ac98e11867229de"])
    events: int = Field(
        description=f"Number of events that the answer knows: the newest {WINDOW:,} at most.", examples=[12]
    )
    fallback: str | None = Field(
        description="Why popular, trending and new items are recommended; null if the model answered."
    )
    empty: str | None = Field(description="Why there are no items; null if there are.")
    items: list[RecommendedItem] = Field(description="The items, best first.")


@router.get("/recommend", response_model=Recommended, summary="Recommend items to a user", openapi_extra=needs("read"))
async def recommend_to_user(
    query: Annotated[UserQuery, Query()], service: Annotated[Service, Depends(get_service)]
) -> Response:
    """The items that most likely come next for a user. The newest event that was stored counts."""
    return await answer(service, query.user, query)


@router.post(
    "/recommend",
    response_model=Recommended,
    summary="Recommend items for a history, or among candidates",
    openapi_extra=needs("read"),
)
async def recommend(body: RecommendRequest, service: Annotated[Service, Depends(get_service)]) -> Response:
    """As GET, for long lists: a history of its own, candidates, items to leave out."""
    return await answer(service, body.user, body, body.history, body.candidates)


async def answer(
    service: Service,
    user: str | None,
    options: RecommendationOptions,
    history: Sequence[str] | None = None,
    candidates: Sequence[str] | None = None,
) -> Response:
    """The answer to one request; the parameters are those of `RecommendRequest`."""
    begin, deployment = time.perf_counter(), service.deployment  # the same for the whole answer
    events = await service.history(user or "") if history is None else History(items=history)
    owner = events.user or user  # of a session, the user that it was joined to
    loaded, arm = deployment.choose(owner) if options.model is None else (deployment.model(options.model), NAMED)

    def ask(model: LoadedModel) -> Awaitable[Answer]:
        numbers = service.shop.catalogue.numbers_of(model)
        selection = service.shop.selector.get(options.where, available=options.available, rules=options.rules)
        hidden, rules = _hidden(model, options.exclude, candidates), selection.rules_of(model)
        return service.shop.ask(
            numbers,
            selection,
            options.k,
            lambda k: model.ask(owner, events, k=k, exclude_seen=options.exclude_seen, hidden=hidden, rules=rules),
        )

    def is_measured(model: LoadedModel) -> bool:
        return options.is_measured(events.items if model.leaves_out_seen(None) else ())

    top = await ask(loaded)
    service.metrics.answered(loaded.name, arm, fallback=top.fallback is not None, seconds=time.perf_counter() - begin)
    if len(events.order) and candidates is None:
        service.impressions.add(deployment, loaded, arm, ImpressionQuery(events, ask, is_measured), top)
    if top.fallback is None:
        chosen = _items_of_model(service, loaded, top)
        if options.explain:
            query = loaded.query(owner, events)
            explained = await service.computing.run(partial(explain_items, service.shop.catalogue, loaded, query, top))
            for one, explanation in zip(chosen, explained, strict=True):
                one["explanation"] = explanation.model_dump()
    else:
        chosen = await _items_of_all(service, loaded, events, options, candidates)
    content = {
        "user": user,
        "model": loaded.name,
        "arm": arm if options.model is None else None,
        "fingerprint": loaded.fingerprint,
        "events": len(events),
        "fallback": top.fallback,
        "empty": None if chosen else _why_empty(service, options),
        "items": chosen,
    }
    return Response(_encode(content), media_type="application/json")


def _why_empty(service: Service, options: RecommendationOptions) -> str:
    """Why nothing can be recommended."""
    selection = service.shop.selector.get(options.where, available=options.available, rules=options.rules)
    if selection.hidden is not None and selection.hidden[1:].all():
        return "no item can be had that fits where and the rules"
    return "all items that fit are left out: as seen, as excluded, as no candidates, or unknown to the model"


def _items_of_model(service: Service, loaded: LoadedModel, top: Answer) -> list[dict[str, Any]]:
    catalogue = service.shop.catalogue
    numbers, names, title = catalogue.numbers_of(loaded)[top.ids].tolist(), loaded.tokens, catalogue.title
    return [
        {"item": names[index], "title": title(number), "score": score, "source": "model"}
        for index, number, score in zip(top.ids, numbers, top.scores, strict=True)
    ]


async def _items_of_all(
    service: Service,
    loaded: LoadedModel,
    events: History,
    options: RecommendationOptions,
    candidates: Sequence[str] | None,
) -> list[dict[str, Any]]:
    """Popular, trending and new items."""
    shop = service.shop
    await shop.count()
    selection = shop.selector.get(options.where, available=options.available, rules=options.rules)
    left_out = _left_out(service, loaded, events.items, options, candidates)
    names, title = shop.catalogue.names, shop.catalogue.title
    return [
        {"item": names[pick.number], "title": title(pick.number), "score": pick.score, "source": pick.source}
        for pick in shop.fallback.find(loaded, selection, options.k, now(), left_out)
    ]


def _hidden(loaded: LoadedModel, exclude: Sequence[str], candidates: Sequence[str] | None) -> np.ndarray | None:
    """The ids of the items that the request does not allow."""
    if candidates is None:
        return loaded.known(exclude)[0] if exclude else None
    allowed = np.zeros(loaded.num_items + 1, np.bool_)
    allowed[loaded.known(candidates)[0]] = True
    allowed[loaded.known(exclude)[0]] = False
    return loaded.hidden_ids(allowed)


def _left_out(
    service: Service,
    loaded: LoadedModel,
    history: Sequence[str],
    options: RecommendationOptions,
    candidates: Sequence[str] | None,
) -> list[int]:
    """The numbers of the items that a list without the model leaves out."""
    catalogue = service.shop.catalogue
    names = [*options.exclude, *(history if loaded.leaves_out_seen(options.exclude_seen) else ())]
    left_out = {number for number in map(catalogue.find, names) if number is not None}
    if candidates is not None:
        left_out |= set(range(1, len(catalogue.names))) - {catalogue.find(name) for name in candidates}
    return sorted(left_out)
