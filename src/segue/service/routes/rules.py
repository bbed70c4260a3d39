"""/v1/rules: what the shop wants: items that are always or never recommended, moved up, or kept few in a list."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from segue.service.http.json_body import JsonRoute
from segue.service.http.openapi import needs, responses
from segue.service.items.rule_trial import MAX_USERS, RuleTrial, try_rules
from segue.service.items.rules import Rule, RuleName, check_number, plain_rule
from segue.service.routes.dependencies import get_service
from segue.service.service import Service

router = APIRouter(tags=["rules"], route_class=JsonRoute)
RulePath = Annotated[RuleName, Path(description="Name of the rule.", examples=["no-tobacco"])]
EXAMPLES = {
    "exclude": {"value": {"kind": "exclude", "where": {"category": ["tobacco"]}}},
    "include": {"value": {"kind": "include", "where": {"shop": ["uk"]}}},
    "boost": {"value": {"kind": "boost", "where": {"brand": ["own"]}, "by": 0.5}},
    "cap": {"value": {"kind": "cap", "column": "category", "at_most": 3}},
}


class NamedRule(BaseModel):
    """A rule and its name."""

    name: str = Field(description="Its name.", examples=["no-tobacco"])
    rule: Rule = Field(description="The rule.", examples=[{"kind": "exclude", "where": {"category": ["tobacco"]}}])


class AllRules(BaseModel):
    """The active rules."""

    rules: list[NamedRule] = Field(description="The rules, in the order of their names.")


class RulesToTry(BaseModel):
    """Rules to try."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rules: dict[RuleName, Rule] | None = Field(
        None,
        max_length=1_000,
        description="The rules, by name. By default the active ones.",
        examples=[{"no-tobacco": {"kind": "exclude", "where": {"category": ["tobacco"]}}}],
    )
    k: int = Field(10, ge=1, le=100, description="Length of the lists.")
    users: int = Field(1_000, ge=10, le=MAX_USERS, description="Number of users: those with the newest events.")
    model: str | None = Field(None, description="Name of a loaded model. By default the active one.")


@router.get("/rules", summary="The active rules", openapi_extra=needs("read"))
async def all_rules(service: Annotated[Service, Depends(get_service)]) -> AllRules:
    """The rules that are applied to all answers."""
    await _read(service)
    return AllRules(rules=[NamedRule(name=name, rule=rule) for name, rule in service.shop.rules.rules.items()])


@router.post("/rules/try", summary="What rules cost", openapi_extra=needs("admin"))
async def try_out(body: RulesToTry, service: Annotated[Service, Depends(get_service)]) -> RuleTrial:
    """Say what rules cost before they are active: recall and MRR of the newest event of the newest users.

    For each of these users the model recommends from the history before the newest event, with and without the rules.
    """
    shop, deployment = service.shop, service.deployment
    loaded = deployment.choose(None)[0] if body.model is None else deployment.model(body.model)
    shop.catalogue.numbers_of(loaded)
    rules = shop.rules.rules if body.rules is None else body.rules
    shop.selector.check(rules)
    selection = shop.selector.make({}, rules, available=False)
    return await service.computing.run(
        partial(try_rules, service.store.events, loaded, selection, k=body.k, users=body.users)
    )


@router.get("/rules/{name}", summary="One rule", responses=responses(404), openapi_extra=needs("read"))
async def one_rule(name: RulePath, service: Annotated[Service, Depends(get_service)]) -> NamedRule:
    """One rule."""
    await _read(service)
    rule = service.shop.rules.rules.get(name)
    if rule is None:
        raise HTTPException(404, f"rule {name!r}: there is none of this name")
    return NamedRule(name=name, rule=rule)


@router.put("/rules/{name}", summary="Add or replace a rule", openapi_extra=needs("admin"))
async def put_rule(
    name: RulePath,
    rule: Annotated[Rule, Body(openapi_examples=EXAMPLES)],
    service: Annotated[Service, Depends(get_service)],
) -> NamedRule:
    """Add a rule, or replace the one of this name. It counts from the next answer on.

    A rule on a column, a value or an item that nothing has is refused.
    """
    check_number({**service.shop.rules.rules, name: rule})
    service.shop.selector.check({name: rule})
    await service.change(lambda: service.store.rules.put(name, plain_rule(rule)))
    await _read(service)
    return NamedRule(name=name, rule=rule)


@router.delete(
    "/rules/{name}", status_code=204, summary="Delete a rule", responses=responses(404), openapi_extra=needs("admin")
)
async def delete_rule(name: RulePath, service: Annotated[Service, Depends(get_service)]) -> Response:
    """Delete a rule. From the next answer on it does not count."""
    if not await service.change(lambda: service.store.rules.delete(name)):
        raise HTTPException(404, f"rule {name!r}: there is none of this name")
    await _read(service)
    return Response(status_code=204)


async def _read(service: Service) -> None:
    """Take over the rules that other processes may have changed."""
    service.shop.rules.apply(await service.read(service.shop.rules.read_changes))
