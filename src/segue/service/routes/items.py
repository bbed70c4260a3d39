"""/v1/items: titles, columns and availability of items. /v1/similar: the items that are similar to one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from segue.errors import DataError
from segue.event_store.clock import now, to_datetime, to_microseconds
from segue.event_store.item_table import Item
from segue.service.http.json_body import JsonRoute
from segue.service.http.names import Name, Text
from segue.service.http.openapi import needs, responses
from segue.service.http.times import Time
from segue.service.models.loaded_model import MAX_ITEMS, LoadedModel
from segue.service.routes.conditions import AVAILABLE, RULES, WhereQuery
from segue.service.routes.dependencies import get_service
from segue.service.routes.item_values import ColumnValue
from segue.service.routes.one_or_several import ONE, SEVERAL, one_or_several
from segue.service.routes.readable import check_item_columns
from segue.service.service import Service
from segue.serving.item_filter import ItemFilter
from segue.serving.score_rules import ScoreRules

router = APIRouter(tags=["items"], route_class=JsonRoute)
MAX_BATCH = 1_000


def not_a_field(column: str) -> str:
    """Refuse columns with the names of what an item has besides: a table would have two columns of the name.

    Raises:
        ValueError: it is item or title.
    """
    if column in ("item", "title"):
        raise ValueError(f"{column}: no column; give it beside the columns")
    return column


ItemPath = Annotated[Name, Path(description="Name of the item; a slash in it stays as it is.", examples=["sku7"])]
Column = Annotated[Text, Field(min_length=1, max_length=200), AfterValidator(not_a_field)]


class NewItem(BaseModel):
    """An item of the shop."""

    model_config = ConfigDict(extra="forbid")

    item: Name = Field(description="Its name.", examples=["sku7"])
    title: Annotated[Text, Field(max_length=1_000)] | None = Field(
        None,
        description="What people call it. Without a title, or with null, its name is shown.",
        examples=["A kettle"],
    )
    columns: dict[Column, ColumnValue] = Field(
        default_factory=dict,
        max_length=100,
        description="Further values, such as a category; a list has several, and null says that there is none.",
        examples=[{"category": ["kitchen", "sale"], "price": 19.5}],
    )
    available: bool = Field(True, strict=True, description="Whether it can be had now.")
    expires: Time | None = Field(
        None,
        description="From when on it cannot be had, as ISO 8601 with a zone. By default never.",
        examples=["2027-01-01T00:00:00Z"],
    )

    def values(self) -> dict[str, Any]:
        """The given values, by the attributes of `Item`."""
        values = {name: getattr(self, name) for name in self.model_fields_set - {"item"}}
        if "title" in values:
            values["title"] = self.title or ""
        if self.expires is not None:
            values["expires"] = to_microseconds(self.expires)
        return values


class NewItems(BaseModel):
    """Several items, each once."""

    model_config = ConfigDict(extra="forbid")

    items: list[NewItem] = Field(min_length=1, max_length=MAX_BATCH, description="The items, each once.")

    @field_validator("items")
    @classmethod
    def _are_distinct(cls, items: list[NewItem]) -> list[NewItem]:
        first: dict[str, int] = {}
        for place, one in enumerate(items):
            if first.setdefault(one.item, place) != place:
                raise ValueError(f"{first[one.item]} and {place} (from 0) are the same item; give each item once")
        return items


Body = Annotated[Annotated[NewItem, ONE] | Annotated[NewItems, SEVERAL], one_or_several("items")]


class StoredItems(BaseModel):
    """What became of the items."""

    stored: int = Field(description="How many items were written. They count in the next answer.", examples=[1])
    new: list[str] = Field(
        description=(
            "Those that the active model does not know. It learns them at the next retrain. Until then they are "
            "recommended, as new, to users without a history that the model knows."
        ),
        examples=[["sku7"]],
    )
    expired: list[str] = Field(
        description=(
            "Those that cannot be had, whatever `available` says, since the time of `expires` is over. Change "
            "`expires` to bring them back; null is never."
        ),
        examples=[[]],
    )


class ShownItem(BaseModel):
    """What the service knows of an item."""

    item: str = Field(description="Its name.", examples=["sku7"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A kettle"])
    columns: dict[str, list[str]] = Field(
        description="Its values in all columns, as `where` compares them.", examples=[{"category": ["kitchen"]}]
    )
    available: bool = Field(description="Whether it can be had now.")
    expires: datetime | None = Field(description="From when on it cannot be had.", examples=["2027-01-01T00:00:00Z"])
    events: int = Field(description="Number of its events.", examples=[40])
    models: list[str] = Field(
        description="The loaded models that know it; the others learn it at their next retrain.", examples=[["hgn"]]
    )


class SimilarItem(BaseModel):
    """A similar item."""

    item: str = Field(description="Its name.", examples=["sku9"])
    title: str = Field(description="Its title, or its name if it has none.", examples=["A tea pot"])
    similarity: float = Field(description="Comparable within one model only.", examples=[0.83])


class SimilarItems(BaseModel):
    """The most similar items, the most similar first."""

    item: str = Field(description="The item.", examples=["sku7"])
    title: str = Field(description="Its title.", examples=["A kettle"])
    model: str = Field(description="Name of the model that compared them.", examples=["hgn"])
    items: list[SimilarItem] = Field(description="The similar items.")


@router.put("/items", summary="Write one item or several", openapi_extra=needs("write"))
async def put_items(body: Body, service: Annotated[Service, Depends(get_service)]) -> StoredItems:
    """Write whole items. They have nothing that is not given, whatever was known of them, or a model knows."""
    _check_columns(body, service)
    items = [Item(one.item, **one.values(), complete=True) for one in _items(body)]
    return _stored(service, await service.shop.write(lambda table: table.put(items)))


@router.post("/items", summary="Change one item or several", openapi_extra=needs("write"))
async def change_items(body: Body, service: Annotated[Service, Depends(get_service)]) -> StoredItems:
    """Change the given values of items, such as `available` alone. Columns that are not given stay.

    Null takes away a title, or the value of a column, also if a model knows one. An item that is not there is added;
    what models know of it counts where nothing is given.
    """
    _check_columns(body, service)
    changes = [(one.item, one.values()) for one in _items(body)]
    return _stored(service, await service.shop.write(lambda table: table.update(changes)))


@router.get(
    "/similar",
    summary="The items that are similar to one",
    responses=responses(404),
    openapi_extra=needs("read"),
)
async def similar(
    item: Annotated[Name, Query(description="Name of the item.", examples=["sku7"])],
    service: Annotated[Service, Depends(get_service)],
    k: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Number of items.")] = 10,
    where: WhereQuery = None,
    available: Annotated[bool, Query(description=AVAILABLE)] = True,
    rules: Annotated[bool, Query(description=RULES)] = True,
    model: Annotated[str | None, Query(description="Name of a loaded model. By default the active one.")] = None,
) -> SimilarItems:
    """Items whose vectors are similar, or, for a model that counts, those that follow or accompany the item.

    Rules hide items and set caps. Boosts do not change similarities.
    """
    shop, deployment = service.shop, service.deployment
    loaded = deployment.choose(None)[0] if model is None else deployment.model(model)
    numbers = shop.catalogue.numbers_of(loaded)
    selection = shop.selector.get(where or (), available=available, rules=rules)
    if item not in loaded.token_ids:
        known = shop.catalogue.find(item) is not None
        why = "does not know it yet; it learns it at the next retrain" if known else "knows no item of this name"
        raise HTTPException(404, f"item {item!r}: the model {loaded.name} {why}")
    width = loaded.num_items if selection.caps else k
    found = await service.comparing.run(partial(_find_similar, loaded, item, width, selection.rules_of(loaded)))
    places = selection.capped([int(numbers[loaded.token_ids[name]]) for name, _ in found], k)
    title = shop.catalogue.title
    return SimilarItems(
        item=item,
        title=title(int(numbers[loaded.token_ids[item]])),
        model=loaded.name,
        items=[
            SimilarItem(item=name, title=title(int(numbers[loaded.token_ids[name]])), similarity=similarity)
            for name, similarity in (found[place] for place in places)
        ],
    )


@router.get(
    "/items/{item:name}", summary="What is known of an item", responses=responses(404), openapi_extra=needs("read")
)
async def get_item(item: ItemPath, service: Annotated[Service, Depends(get_service)]) -> ShownItem:
    """Title, columns and availability of an item, from the table of items and from the models."""
    shop = service.shop
    await shop.count()
    number = shop.catalogue.find(item)
    if number is None:
        raise HTTPException(404, f"item {item!r}: nobody knows it; PUT /v1/items adds it")
    stored = shop.catalogue.item(number)
    expires = None if stored is None or stored.expires is None else stored.expires
    return ShownItem(
        item=item,
        title=shop.catalogue.title(number),
        columns=shop.catalogue.values(number),
        available=stored is None or stored.is_available(now()),
        expires=None if expires is None else to_datetime(expires),
        events=int(shop.popularity.totals()[number]),
        models=[name for name, loaded in service.deployment.models.items() if item in loaded.token_ids],
    )


def _items(body: NewItem | NewItems) -> Sequence[NewItem]:
    return body.items if isinstance(body, NewItems) else [body]


def _check_columns(body: NewItem | NewItems, service: Service) -> None:
    field = "items" if isinstance(body, NewItems) else ""
    check_item_columns([one.columns for one in _items(body)], service.deployment.item_numbers, field=field)


def _stored(service: Service, items: Sequence[Item]) -> StoredItems:
    known, moment = service.deployment.choose(None)[0].token_ids, now()
    return StoredItems(
        stored=len(items),
        new=[one.item for one in items if one.item not in known],
        expired=[one.item for one in items if one.expires is not None and one.expires <= moment],
    )


def _find_similar(loaded: LoadedModel, item: str, k: int, rules: ScoreRules | None) -> list[tuple[str, float]]:
    """Names and similarities of k items."""
    mask = np.ones(loaded.num_items + 1, np.bool_)
    if rules is not None and rules.hidden is not None:
        mask &= ~rules.hidden.numpy()
    mask[0] = False
    token = loaded.saved.log.items.tokens[loaded.token_ids[item] - 1]
    try:
        found = loaded.similar.find([token], k, candidates=ItemFilter(mask))
    except DataError as error:  # the model was trained without an event of it
        raise HTTPException(404, str(error)) from error
    return [(str(one.item), one.similarity) for one in found]
