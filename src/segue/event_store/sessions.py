"""`Sessions`: joins anonymous sessions to users, and says whom each belongs to.

A transaction that stores an event first reads which user its session belongs to. In PostgreSQL, where transactions run
at the same time, a join or an erasure between this read and the end of the transaction would leave the event with the
session. An advisory lock keeps them apart: many transactions may hold it shared, and one that joins or erases is alone.
In SQLite every transaction that writes is alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, exists, func, select, tuple_, update

from segue.errors import SegueError
from segue.event_store.database import Database
from segue.event_store.event import IMPORTED
from segue.event_store.history_versions import HistoryVersions
from segue.event_store.slices import is_one_of
from segue.event_store.tables import aliases, events, histories, lists

LOCK = 0x5E90E  # the number of the advisory lock


class UserNotSessionError(SegueError):
    """A name that is to be joined to a user is one itself: two persons would become one for ever."""


class TakenSessionError(SegueError):
    """A session that is to be joined to a user belongs to another one."""


class Sessions:
    """The sessions of a store that were joined to users."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._versions = HistoryVersions(database)

    def owner(self, session: str) -> str:
        """The user that an anonymous session was joined to; the name itself if it was not."""
        return self.read_owners({session})[session]

    def read_owners(self, names: Iterable[str]) -> dict[str, str]:
        """The user whom each name belongs to now: the one that it was joined to, or the name itself."""
        with self.database.read() as connection:
            return self.owners(connection, names)

    def of_users(self, users: Iterable[str]) -> dict[str, str]:
        """The user of each session that was joined to one of some users."""
        found: dict[str, str] = {}
        with self.database.read() as connection:
            for condition in is_one_of(aliases.c.user, users):
                found |= {row.session: row.user for row in connection.execute(select(aliases).where(condition))}
        return found

    def joined(self) -> dict[str, str]:
        """The user of each session that was joined to one."""
        with self.database.read() as connection:
            return {row.session: row.user for row in connection.execute(select(aliases))}

    def join(self, session: str, user: str, *, check: bool = False) -> int:
        """Give all events of an anonymous session to a user, and those that will come; the number of events.

        The recommended lists that wait for its next event go with them; of two lists of one model, the newer one stays.

        Args:
            session: its name.
            user: name of the user, or of a session that was joined to one.
            check: whether a name that is known to be a user's is refused.

        Raises:
            TakenSessionError: it belongs to another user. Events of both persons are among its own, and models may have
                been trained on them.
            UserNotSessionError: with `check`: it has events of the log of a model, or other sessions belong to it.
        """
        with self.database.write() as connection:
            self.lock(connection)
            owners = self.owners(connection, {user, session})
            user, owner = owners[user], owners[session]
            if owner == user:
                return 0
            if owner != session:
                raise TakenSessionError("it belongs to another user already; begin a new session at each log-in")
            if check:
                _check_session(connection, session)
            self._versions.lock(connection, sorted({session, user}))
            statement = update(events).where(events.c.user == session).values(user=user)
            moved = connection.execute(statement).rowcount
            connection.execute(update(aliases).where(aliases.c.user == session).values(user=user))
            connection.execute(aliases.insert(), [{"session": session, "user": user}])
            _move_lists(connection, session, user)
            connection.execute(delete(histories).where(histories.c.user == session))
            self._versions.renew(connection, [user])
        return int(moved)

    def lock_shared(self, connection: Connection) -> None:
        """Keep all others from joining until the transaction ends. Call it before anything else is locked."""
        self._lock(connection, "pg_advisory_xact_lock_shared")

    def lock(self, connection: Connection) -> None:
        """As `lock_shared`, and wait for all others who hold it."""
        self._lock(connection, "pg_advisory_xact_lock")

    def owners(self, connection: Connection, names: Iterable[str]) -> dict[str, str]:
        """As `read_owners`, in a transaction."""
        owners = {name: name for name in names}
        for condition in is_one_of(aliases.c.session, list(owners)):
            owners |= {row.session: row.user for row in connection.execute(select(aliases).where(condition))}
        return owners

    def _lock(self, connection: Connection, function: str) -> None:
        if not self.database.embedded:
            connection.execute(select(getattr(func, function)(LOCK)))


def _check_session(connection: Connection, name: str) -> None:
    """Check that a name may be an anonymous session: that nothing says that it is a user.

    Raises:
        UserNotSessionError: it has events of the log of a model, or other sessions belong to it.
    """
    imported = select(events.c.seq).where((events.c.user == name) & (events.c.type == IMPORTED)).limit(1)
    joined = select(aliases.c.session).where(aliases.c.user == name).limit(1)
    for statement, why in ((imported, "a model was trained on it"), (joined, "other sessions belong to it")):
        if connection.execute(statement).first() is not None:
            raise UserNotSessionError(f"it is a user and no anonymous session: {why}")


def _move_lists(connection: Connection, session: str, user: str) -> None:
    """Give the waiting lists of a session to a user, who has one list of a model and arm at a time: the newest."""
    other = lists.alias()
    newer = exists().where(
        *(other.c[name] == lists.c[name] for name in ("model", "fingerprint", "arm")),
        other.c.user.in_((session, user)),
        tuple_(other.c.time, other.c.seq) > tuple_(lists.c.time, lists.c.seq),
    )
    connection.execute(delete(lists).where(lists.c.user.in_((session, user)), newer))
    connection.execute(update(lists).where(lists.c.user == session).values(user=user))
