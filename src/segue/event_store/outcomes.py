"""`Outcomes`: recommended lists that wait for the next event of their user, and the ranks that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, select

from segue.event_store.database import Database
from segue.event_store.tables import lists, outcomes


@dataclass(frozen=True)
class RecommendedList:
    """A list that was recommended to a user.

    Attributes:
        user: name of the user or session.
        model: name of the model.
        arm: of the A/B split; the name of the model without one.
        time: microseconds since 1970.
        items: names of the items, best first.
    """

    user: str
    model: str
    arm: str
    time: int
    items: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """Where in a recommended list the next item of the user was.

    Attributes:
        model: as in `RecommendedList`.
        arm: as in `RecommendedList`.
        time: of the event, in microseconds since 1970.
        rank: from 1; None if it was not in the list.
        size: number of items of the list.
    """

    model: str
    arm: str
    time: int
    rank: int | None
    size: int


@dataclass(frozen=True)
class LiveQuality:
    """The quality of an arm over a time.

    Attributes:
        model: name of the model.
        arm: of the A/B split.
        count: number of lists that were followed by an event.
        hits: how many of them had the item among the first `k`.
        reciprocal_ranks: sum of 1 / rank over the lists with the item among the first `k`.
    """

    model: str
    arm: str
    count: int
    hits: int
    reciprocal_ranks: float


class Outcomes:
    """The lists and outcomes of a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_lists(self, new: Sequence[RecommendedList]) -> None:
        """Keep lists until their users' next events."""
        rows = [{**_plain(one), "items": list(one.items)} for one in new]
        if rows:
            with self.database.write() as connection:
                connection.execute(lists.insert(), rows)

    def take_lists(self, users: Sequence[str]) -> list[RecommendedList]:
        """The lists that wait for users, oldest first; they are deleted, so that each is counted once."""
        if not users:
            return []
        with self.database.write() as connection:
            statement = delete(lists).where(lists.c.user.in_(list(users))).returning(*lists.c)
            rows = sorted(connection.execute(statement).all(), key=lambda row: row.seq)
        return [RecommendedList(row.user, row.model, row.arm, row.time, tuple(row.items)) for row in rows]

    def add(self, new: Sequence[Outcome]) -> None:
        """Keep outcomes."""
        rows = [_plain(one) for one in new]
        if rows:
            with self.database.write() as connection:
                connection.execute(outcomes.insert(), rows)

    def quality(self, k: int, since: int, until: int) -> list[LiveQuality]:
        """The quality of each arm from the outcomes of a time, from `since` to before `until`."""
        is_hit = (outcomes.c.rank.is_not(None)) & (outcomes.c.rank <= k)
        statement = (
            select(
                outcomes.c.model,
                outcomes.c.arm,
                func.count().label("lists"),
                func.sum(case((is_hit, 1), else_=0)).label("hits"),
                func.sum(case((is_hit, 1.0 / outcomes.c.rank), else_=0.0)).label("reciprocal_ranks"),
            )
            .where((outcomes.c.time >= since) & (outcomes.c.time < until))
            .group_by(outcomes.c.model, outcomes.c.arm)
            .order_by(outcomes.c.arm, outcomes.c.model)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement).all()
        return [LiveQuality(r.model, r.arm, int(r.lists), int(r.hits), float(r.reciprocal_ranks)) for r in rows]

    def forget_before(self, time: int) -> int:
        """Delete lists that are older than a time: no event followed them; how many there were."""
        with self.database.write() as connection:
            return int(connection.execute(delete(lists).where(lists.c.time < time)).rowcount)


def _plain(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}
