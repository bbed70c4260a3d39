"""`ErasureTable`: deletes users from a store, and remembers by salted hashes of their names who was deleted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select

from segue.event_store.change_counts import ChangeCounts
from segue.event_store.clock import now
from segue.event_store.database import Database
from segue.event_store.erased_names import ErasedNames
from segue.event_store.history_versions import HistoryVersions
from segue.event_store.identity import make_identity, read_identity
from segue.event_store.sessions import Sessions
from segue.event_store.slices import is_one_of
from segue.event_store.tables import aliases, erased, events, histories, lists, outcomes


@dataclass(frozen=True)
class Erased:
    """What `erase` deleted.

    Attributes:
        names: the user, and the sessions that belonged to them.
        events: number of events.
        lists: number of recommended lists that waited for the next event.
        outcomes: number of ranks that were found for lists.
        in_journal: whether the deleted rows are still in the journal; see `Database.empty_journal`.
    """

    names: tuple[str, ...]
    events: int
    lists: int
    outcomes: int
    in_journal: bool = False


class ErasureTable:
    """The users who were erased from a store."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._versions, self._sessions = HistoryVersions(database), Sessions(database)
        self._counts = ChangeCounts(database)

    def erase(self, user: str) -> Erased:
        """Delete a user's events, sessions and recommended lists.

        A salted hash of the name stays, so that a model which was trained before does not bring the events back.

        Args:
            user: the name of the user, or of a session that was joined to one.
        """
        with self.database.write() as connection:
            self._sessions.lock(connection)
            user = self._sessions.owners(connection, {user})[user]
            sessions = connection.execute(select(aliases.c.session).where(aliases.c.user == user)).scalars().all()
            names = [user, *sorted(sessions)]
            self._versions.lock(connection, sorted(names))
            connection.execute(delete(aliases).where(aliases.c.user == user))
            num_deleted = {
                table: sum(
                    connection.execute(delete(table).where(condition)).rowcount
                    for condition in is_one_of(table.c.user, names)
                )
                for table in (events, lists, outcomes, histories)
            }
            salt, erased_at = make_identity(connection, self.database).salt, now()
            rows = [{"hash": one, "time": erased_at} for one in ErasedNames(salt).hashes(names)]
            self._counts.add(connection, "erasure")
            connection.execute(self.database.upsert(erased, ["hash"]), rows)
        in_journal = not self.database.empty_journal()
        return Erased(tuple(names), num_deleted[events], num_deleted[lists], num_deleted[outcomes], in_journal)

    def names(self) -> ErasedNames:
        """The users who were erased."""
        with self.database.read() as connection:
            identity = read_identity(connection)
            times = {row.hash: row.time for row in connection.execute(select(erased))}
        return ErasedNames("" if identity is None else identity.salt, times)

    def count(self) -> int:
        """The number of erasures; a user who was erased twice counts twice."""
        return self._counts.read("erasure")
