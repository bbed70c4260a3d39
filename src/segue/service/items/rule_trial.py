"""`try_rules`: what a set of rules costs in recall and MRR on the newest events of a store.

    user   events before the newest    newest   without rules   with rules
    u1     a b c                       d        x d y           x d z         the model ranks with both
    u2     c a                         b        b y x           y x z         the rules hide b

Each of the users with the newest events gives one observation, so the interval of the difference is a paired bootstrap
over users. Availability is left out on both sides: it is that of today, and the events are older.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field

from segue.data.log import Floats, Ids
from segue.errors import ConfigError
from segue.evaluation.significance import interval
from segue.event_store.event_log import EventLog
from segue.service.items.selection import Selection
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.history import WINDOW, History
from segue.serving.query import Query
from segue.serving.top_items import TopItemFinder

MAX_USERS = 10_000


class RuleCost(BaseModel):
    """A metric with and without rules."""

    without: float = Field(description="Mean over the users, without any rule.", examples=[0.21])
    with_rules: float = Field(description="Mean over the users, with the rules.", examples=[0.2])
    difference: float = Field(description="With the rules, minus without.", examples=[-0.01])
    low: float = Field(description="Lower end of the 95% interval of the difference.", examples=[-0.02])
    high: float = Field(description="Upper end.", examples=[0.001])


class RuleTrial(BaseModel):
    """What rules cost."""

    model: str = Field(description="Name of the model.", examples=["hgn"])
    k: int = Field(description="Length of the lists.", examples=[10])
    users: int = Field(description="Number of users.", examples=[1000])
    changed: int = Field(description="How many of them get another list.", examples=[412])
    recall: RuleCost = Field(description="Share of the users whose newest item is in the list.")
    mrr: RuleCost = Field(description="Mean of 1 / rank of that item, and 0 where it is not in the list.")


def try_rules(
    log: EventLog,
    loaded: LoadedModel,
    selection: Selection,
    *,
    k: int = 10,
    users: int = 1_000,
    advance: Callable[[int], object] = lambda count: None,
) -> RuleTrial:
    """Compare the lists of a model with and without rules.

    Args:
        log: the events.
        loaded: the model.
        selection: what the rules select.
        k: length of the lists.
        users: number of users: those with the newest events.
        advance: is called with the number of users of each block that is done.

    Raises:
        ConfigError: no user has an event before the newest one that the model knows.
    """
    queries, targets = _questions(log, loaded, users)
    if not queries:
        raise ConfigError(
            "nothing to try rules on: no user of the store has two events with items that the model knows"
        )
    finder = TopItemFinder(loaded.model, loaded.saved.log, k=k)
    ranks: list[list[int]] = [[], []]
    changed = 0
    for first in range(0, len(queries), finder.block_rows):
        block = queries[first : first + finder.block_rows]
        plain = _lists(finder, loaded, block, None, k)
        ruled = _lists(finder, loaded, block, selection, k)
        changed += sum(one != other for one, other in zip(plain, ruled, strict=True))
        for place, lists in enumerate((plain, ruled)):
            wanted = targets[first : first + len(block)]
            ranks[place] += [one.index(item) + 1 if item in one else 0 for one, item in zip(lists, wanted, strict=True)]
        advance(len(block))
    without, with_rules = (np.array(values, np.float64) for values in ranks)
    inverse = [np.divide(1, one, out=np.zeros_like(one), where=one > 0) for one in (without, with_rules)]
    return RuleTrial(
        model=loaded.name,
        k=k,
        users=len(queries),
        changed=changed,
        recall=_cost((without > 0).astype(np.float64), (with_rules > 0).astype(np.float64)),
        mrr=_cost(*inverse),
    )


def _questions(log: EventLog, loaded: LoadedModel, users: int) -> tuple[list[Query], list[int]]:
    """The histories of the newest users without their newest item, and that item."""
    queries, targets = [], []
    for user in log.newest_users(users):
        *history, newest = [event.item for event in log.history(user, WINDOW)] or [""]
        target = loaded.token_ids.get(newest)
        query = loaded.query(user, History(items=history))
        if target is not None and query.empty_reason is None:
            queries.append(query)
            targets.append(target)
    return queries, targets


def _lists(
    finder: TopItemFinder, loaded: LoadedModel, block: Sequence[Query], selection: Selection | None, k: int
) -> list[list[int]]:
    """The ids of the recommended items of each query."""
    if selection is None:
        return [_found(row) for row in finder.find(block).items.numpy()]
    rules = selection.rules_of(loaded)
    block = [replace(query, rules=rules) for query in block]
    if not selection.caps:
        return [_found(row) for row in finder.find(block).items.numpy()]
    numbers = selection.catalogue.numbers_of(loaded)
    lists = []
    for row in finder.find(block, loaded.num_items).items.numpy():
        ids = _found(row)
        lists.append([ids[place] for place in selection.capped(numbers[ids].tolist(), k)])
    return lists


def _found(row: Ids) -> list[int]:
    return row[row > 0].tolist()


def _cost(without: Floats, with_rules: Floats) -> RuleCost:
    low, high = interval(with_rules - without)
    means = float(without.mean()), float(with_rules.mean())
    return RuleCost(without=means[0], with_rules=means[1], difference=means[1] - means[0], low=low, high=high)
