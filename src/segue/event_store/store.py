"""`Store`: events, items and all that a service remembers, in SQLite or PostgreSQL.

store = open_store("sqlite:///segue-events.db")
store.events.append([Event("u1", "sku7", 1_764_410_400_000_000)])
store.events.history("u1")
"""

from __future__ import annotations

from dataclasses import dataclass

from segue.event_store.api_keys import ApiKeys
from segue.event_store.database import Database
from segue.event_store.documents import Documents
from segue.event_store.erasure_table import ErasureTable
from segue.event_store.event_log import EventLog
from segue.event_store.identity import make_identity
from segue.event_store.imports import Imports
from segue.event_store.item_table import ItemTable
from segue.event_store.outcomes import Outcomes
from segue.event_store.sessions import Sessions


@dataclass(frozen=True)
class Store:
    """The tables of a store.

    Attributes:
        database: its connections.
        events: what happened.
        sessions: whom anonymous sessions belong to.
        erasures: who was erased.
        items: titles, columns and availability.
        imports: the logs that were copied into it.
        rules: the rules of the shop.
        deployments: which models answer.
        keys: who may use the service.
        outcomes: recommended lists, and the ranks of what came next.
    """

    database: Database
    events: EventLog
    sessions: Sessions
    erasures: ErasureTable
    items: ItemTable
    imports: Imports
    rules: Documents
    deployments: Documents
    keys: ApiKeys
    outcomes: Outcomes

    @property
    def name(self) -> str:
        """Its address, without the password."""
        return self.database.name

    def make_id(self) -> str:
        """Its random id, which tells it from other stores; made when it is first needed."""
        with self.database.write() as connection:
            return make_identity(connection, self.database).id

    def check(self) -> None:
        """Raise `DataError` if it cannot be used now."""
        self.database.check()
        self.events.version("")

    def close(self) -> None:
        """Close its connections."""
        self.database.close()


def open_store(url: str, *, create: bool = True) -> Store:
    """Open a store, create it if there is none, and migrate it to the newest schema.

    Args:
        url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.
        create: whether an SQLite file that does not exist is created.

    Raises:
        DataError: it cannot be opened; the message says why.
    """
    database = Database(url, create=create)
    return Store(
        database=database,
        events=EventLog(database),
        sessions=Sessions(database),
        erasures=ErasureTable(database),
        items=ItemTable(database),
        imports=Imports(database),
        rules=Documents(database, "rule"),
        deployments=Documents(database, "deployment"),
        keys=ApiKeys(database),
        outcomes=Outcomes(database),
    )
