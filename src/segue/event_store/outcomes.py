"""`Outcomes`: recommended lists that wait for the next event of their user, and the ranks that were found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Select, case, delete, func, select

from segue.event_store.database import Database
from segue.event_store.sessions import Sessions
from segue.event_store.slices import is_one_of
from segue.event_store.tables import histories, lists, outcomes


@dataclass(frozen=True, slots=True)
class RecommendedList:
    """A list that was recommended to a user.

    Attributes:
        user: name of the user or session.
        model: name of the model.
        fingerprint: of the model.
        arm: of the A/B split; "shadow" for a list that was not shown.
        time: when, in microseconds since 1970.
        after_time: time of the newest event of the history that the list was made from.
        after_seq: number of arrival of that event.
        allows_seen: whether items of the history could be in the list.
        items: names of the items, best first.
    """

    user: str
    model: str
    fingerprint: str
    arm: str
    time: int
    after_time: int
    after_seq: int
    allows_seen: bool
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where in a recommended list the next item of the user was.

    Attributes:
        user: as in `RecommendedList`, like `model`, `fingerprint` and `arm`.
        model: name of the model.
        fingerprint: of the model.
        arm: of the A/B split.
        time: when the list was recommended, in microseconds since 1970.
        rank: from 1; None if the item was not in the list.
        size: number of items of the list.
    """

    user: str
    model: str
    fingerprint: str
    arm: str
    time: int
    rank: int | None
    size: int


@dataclass(frozen=True)
class Sums:
    """Sums over the lists of an arm that were followed by an event.

    Attributes:
        model: name of the model.
        fingerprint: of the model.
        arm: of the A/B split.
        lists: number of lists with at least k items.
        users: number of their users.
        short: number of lists with fewer than k items, which are not counted otherwise.
        hits: number of lists with the next item among the first k.
        reciprocal_ranks: sum of 1 / rank over these.
        hit_squares: over the users, the sums of hits^2, hits x lists and lists^2.
        rank_squares: the same for the reciprocal ranks.
    """

    model: str
    fingerprint: str
    arm: str
    lists: int
    users: int
    short: int
    hits: int
    reciprocal_ranks: float
    hit_squares: tuple[float, float, float]
    rank_squares: tuple[float, float, float]


class Outcomes:
    """The lists and outcomes of a store."""

    def __init__(self, database: Database) -> None:
        self.database, self._sessions = database, Sessions(database)

    def waiting(self, users: Sequence[str]) -> dict[int, RecommendedList]:
        """The lists that wait for the next event of some users, by their numbers, oldest first."""
        found: dict[int, RecommendedList] = {}
        for condition in is_one_of(lists.c.user, users):
            with self.database.read() as connection:
                rows = connection.execute(select(lists).where(condition).order_by(lists.c.seq)).all()
            found |= {row.seq: _list_of(row) for row in rows}
        return found

    def exchange(
        self,
        done: Mapping[int, Outcome | None],
        new_lists: Sequence[RecommendedList] = (),
        new_outcomes: Sequence[Outcome] = (),
    ) -> int:
        """Delete lists that are done with and keep their outcomes; add further lists and outcomes; in one step.

        A list that another service has deleted meanwhile has its outcome already. Users without events, such
        as those who were erased meanwhile, get neither lists nor outcomes.

        Args:
            done: numbers of lists; None for one without an outcome.
            new_lists: lists that wait from now on.
            new_outcomes: outcomes of lists that did not have to wait.

        Returns:
            The number of outcomes that were added.
        """
        with self.database.write() as connection:
            self._sessions.lock_shared(connection)  # no user is erased until this transaction ends
            known = _with_events(connection, {*(one.user for one in new_lists), *(one.user for one in new_outcomes)})
            deleted: list[int] = []
            for condition in is_one_of(lists.c.seq, done):
                deleted += connection.execute(delete(lists).where(condition).returning(lists.c.seq)).scalars()
            settled = [outcome for number in deleted if (outcome := done[number]) is not None]
            rows = [_plain(one) for one in (*settled, *(one for one in new_outcomes if one.user in known))]
            if rows:
                connection.execute(outcomes.insert(), rows)
            waiting = [_plain(one) for one in new_lists if one.user in known]
            if waiting:  # another service may have stored a list of this user, model and arm
                connection.execute(self.database.insert_new(lists), waiting)
        return len(rows)

    def sums(self, k: int, since: int, until: int) -> list[Sums]:
        """What figures at a cut-off are computed from, for each arm: the lists from `since` to before `until`."""
        return self.series(k, since, until, until - since).get(0, [])

    def series(self, k: int, since: int, until: int, width: int) -> dict[int, list[Sums]]:
        """As `sums`, for stretches of time that are `width` microseconds long, by their numbers from 0; in one read.

        Stretches without lists are left out.
        """
        found: dict[int, list[Sums]] = {}
        with self.database.read() as connection:
            for row in connection.execute(_sums(k, since, until, width)):
                found.setdefault(int(row.stretch), []).append(_sums_of(row))
        return found

    def forget(self, *, lists_before: int, outcomes_before: int) -> tuple[int, int]:
        """Delete lists that no event followed, and outcomes, of lists that are older than a time; how many of each."""
        with self.database.write() as connection:
            num_lists = connection.execute(delete(lists).where(lists.c.time < lists_before)).rowcount
            num_outcomes = connection.execute(delete(outcomes).where(outcomes.c.time < outcomes_before)).rowcount
        return int(num_lists), int(num_outcomes)


def _with_events(connection: Connection, users: Collection[str]) -> set[str]:
    """Those of some users who have events."""
    found = set[str]()
    for condition in is_one_of(histories.c.user, users):
        found.update(connection.execute(select(histories.c.user).where(condition)).scalars())
    return found


def _sums(k: int, since: int, until: int, width: int) -> Select[Any]:
    """For each stretch of time, model and arm, the sums over its users of the sums over their lists."""
    arm = ("model", "fingerprint", "arm")
    stretch = ((outcomes.c.time - since) // width).label("stretch")
    is_long = outcomes.c.size >= k
    is_hit = is_long & outcomes.c.rank.is_not(None) & (outcomes.c.rank <= k)
    by_user = (
        select(
            stretch,
            *(outcomes.c[name] for name in arm),
            func.sum(case((is_long, 1), else_=0)).label("lists"),
            func.sum(case((is_long, 0), else_=1)).label("short"),
            func.sum(case((is_hit, 1), else_=0)).label("hits"),
            func.sum(case((is_hit, 1.0 / outcomes.c.rank), else_=0.0)).label("ranks"),
        )
        .where((outcomes.c.time >= since) & (outcomes.c.time < until))
        .group_by(stretch, *(outcomes.c[name] for name in arm), outcomes.c.user)
        .subquery()
    )
    one = by_user.c
    products = {
        f"{a}_{b}": func.sum(1.0 * one[a] * one[b])
        for a, b in (("hits", "hits"), ("hits", "lists"), ("lists", "lists"), ("ranks", "ranks"), ("ranks", "lists"))
    }
    return (
        select(
            one.stretch,
            *(one[name] for name in arm),
            *(func.sum(one[name]).label(name) for name in ("lists", "short", "hits", "ranks")),
            func.sum(case((one.lists > 0, 1), else_=0)).label("users"),
            *(product.label(name) for name, product in products.items()),
        )
        .group_by(one.stretch, *(one[name] for name in arm))
        .order_by(one.stretch, one.arm, one.model, one.fingerprint)
    )


def _sums_of(row: Any) -> Sums:
    return Sums(
        model=row.model,
        fingerprint=row.fingerprint,
        arm=row.arm,
        lists=int(row.lists),
        users=int(row.users),
        short=int(row.short),
        hits=int(row.hits),
        reciprocal_ranks=float(row.ranks),
        hit_squares=(float(row.hits_hits), float(row.hits_lists), float(row.lists_lists)),
        rank_squares=(float(row.ranks_ranks), float(row.ranks_lists), float(row.lists_lists)),
    )


def _list_of(row: Any) -> RecommendedList:
    values = {field.name: getattr(row, field.name) for field in fields(RecommendedList)}
    return RecommendedList(**{**values, "items": tuple(row.items)})


def _plain(one: Any) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}
