"""`HistoryVersions`: a number for the history of each user, which is another one after each change.

A service with a history in memory sees with one small read whether another one has changed it. Whoever changes the
events of a user locks the version first, so that two transactions never change one history at the same time.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from segue.event_store.database import Database
from segue.event_store.slices import slices
from segue.event_store.tables import histories

_VERSIONS = select(histories.c.user, histories.c.version)
_OF_ONE = _VERSIONS.where(histories.c.user == bindparam("user"))  # takes half as long as a list of one
_OF_SEVERAL = _VERSIONS.where(histories.c.user.in_(bindparam("users", expanding=True)))


class HistoryVersions:
    """The versions of the histories of a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def read(self, users: Sequence[str]) -> dict[str, int]:
        """The versions of the histories of users, in one read; users without events are left out."""
        with self.database.read() as connection:
            if len(users) == 1:
                rows = connection.execute(_OF_ONE, {"user": users[0]}).all()
            else:
                parts = [connection.execute(_OF_SEVERAL, {"users": part}) for part in slices(users)]
                rows = [row for part in parts for row in part]
        return {user: version for user, version in rows if version}

    def lock(self, connection: Connection, users: list[str]) -> dict[str, int | None]:
        """The versions of histories, which no other transaction changes until this one ends.

        Args:
            connection: of the transaction.
            users: in the order of their names, so that two transactions never wait for each other.
        """
        found: dict[str, int] = {}
        for part in slices(users):
            statement = _VERSIONS.where(histories.c.user.in_(part)).order_by(histories.c.user).with_for_update()
            found |= {row.user: row.version for row in connection.execute(statement)}
            missing = [user for user in part if user not in found]
            if missing:
                rows = [{"user": user, "version": 0} for user in missing]
                connection.execute(self.database.insert_new(histories), rows)
                # another process may have been faster with one of them
                found |= {row.user: row.version for row in connection.execute(statement)}
        return {user: found[user] or None for user in users}

    def renew(self, connection: Connection, users: list[str]) -> dict[str, int]:
        """New versions of histories: random, so that an erased one that begins again is never taken for the old one."""
        versions = {user: 1 + secrets.randbelow(2**63 - 1) for user in users}
        if users:
            rows = [{"user": user, "version": version} for user, version in versions.items()]
            connection.execute(self.database.upsert(histories, ["user"]), rows)
        return versions
