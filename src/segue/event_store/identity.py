"""`Identity`: what tells a store from all others: a random id, and the random salt of the hashes of erased names.

It is made when it is needed first, and a copy of the store has it, too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, select

from segue.event_store.database import Database
from segue.event_store.tables import identity


@dataclass(frozen=True)
class Identity:
    """Two random texts.

    Attributes:
        id: of the store.
        salt: of its hashes.
    """

    id: str
    salt: str


def read_identity(connection: Connection) -> Identity | None:
    """The identity of a store; None if it was not needed yet."""
    row = connection.execute(select(identity.c.id, identity.c.salt)).first()
    return None if row is None else Identity(row.id, row.salt)


def make_identity(connection: Connection, database: Database) -> Identity:
    """The identity of a store, which is made if there is none; `connection` is that of a transaction."""
    row = {"number": 1, "id": secrets.token_hex(16), "salt": secrets.token_hex(16)}
    connection.execute(database.insert_new(identity), [row])
    found = read_identity(connection)
    assert found is not None
    return found
