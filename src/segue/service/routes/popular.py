"""GET /v1/popular and /v1/trending: what everybody does, without a model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from segue.event_store.clock import now
from segue.service.http.openapi import needs
from segue.service.items.popularity import TRENDING
from segue.service.items.selection import Selection
from segue.service.items.shop import Shop
from segue.service.models.loaded_model import MAX_ITEMS
from segue.service.routes.conditions import AVAILABLE, RULES, WhereQuery
from segue.service.routes.dependencies import get_service
from segue.service.service import Service

router = APIRouter(tags=["popular"])
K = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Number of items.")]


class PopularItem(BaseModel):
    """A popular item."""

    item: str = Field(description="Its name.", examples=["sku7"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A kettle"])
    score: float = Field(
        description=(
            "The sum over its events of 2^(-age / 7 days), and a thousandth of their number; boosts of the rules are "
            "not in it."
        ),
        examples=[12.5],
    )
    events: int = Field(description="Number of its events.", examples=[40])


class PopularItems(BaseModel):
    """The most popular items, the most popular first."""

    items: list[PopularItem] = Field(description="The items.")


class TrendingItem(BaseModel):
    """An item with more events than usual."""

    item: str = Field(description="Its name.", examples=["sku7"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A kettle"])
    score: float = Field(
        description="By about how many standard deviations it has more events than expected.", examples=[3.2]
    )
    recent: float = Field(description="The sum over its events of 2^(-age / 1 day).", examples=[9.1])
    expected: float = Field(description="This sum on an average day of the last weeks.", examples=[2.4])


class TrendingItems(BaseModel):
    """The items with the greatest rise, the greatest first."""

    items: list[TrendingItem] = Field(description="The items. There may be none.")


@router.get("/popular", summary="The most popular items", openapi_extra=needs("read"))
async def popular(
    service: Annotated[Service, Depends(get_service)],
    k: K = 10,
    where: WhereQuery = None,
    available: Annotated[bool, Query(description=AVAILABLE)] = True,
    rules: Annotated[bool, Query(description=RULES)] = True,
) -> PopularItems:
    """The most popular items of the last days. An event counts half after a week, and never less than a thousandth."""
    shop = service.shop
    await shop.count()
    selection = shop.selector.get(where or (), available=available, rules=rules)
    time = now()
    return shop.lists.get(selection, ("popular", k), time, lambda: _popular(shop, selection, k, time))


@router.get("/trending", summary="Items with more events than usual", openapi_extra=needs("read"))
async def trending(
    service: Annotated[Service, Depends(get_service)],
    k: K = 10,
    where: WhereQuery = None,
    available: Annotated[bool, Query(description=AVAILABLE)] = True,
    rules: Annotated[bool, Query(description=RULES)] = True,
) -> TrendingItems:
    """Items with more events in the last day than their average of the last weeks lets expect.

    An item is trending from a score of 1 on: about one standard deviation above what is expected.
    """
    shop = service.shop
    await shop.count()
    selection = shop.selector.get(where or (), available=available, rules=rules)
    time = now()
    return shop.lists.get(selection, ("trending", k), time, lambda: _trending(shop, selection, k, time))


def _popular(shop: Shop, selection: Selection, k: int, time: int) -> PopularItems:
    scores, totals = shop.popularity.popular(time), shop.popularity.totals()
    return PopularItems(
        items=[
            PopularItem(
                item=shop.catalogue.names[number],
                title=shop.catalogue.title(number),
                score=scores[number],
                events=int(totals[number]),
            )
            for number in selection.best(scores, k).tolist()
        ]
    )


def _trending(shop: Shop, selection: Selection, k: int, time: int) -> TrendingItems:
    scores, (recent, expected) = shop.popularity.trending(time), shop.popularity.recent(time)
    scores[scores < TRENDING] = 0
    return TrendingItems(
        items=[
            TrendingItem(
                item=shop.catalogue.names[number],
                title=shop.catalogue.title(number),
                score=scores[number],
                recent=recent[number],
                expected=expected[number],
            )
            for number in selection.best(scores, k).tolist()
        ]
    )
