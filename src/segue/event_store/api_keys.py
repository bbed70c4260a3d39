"""`ApiKeys`: who may use a service. A key is shown once, when it is made; the store keeps its hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import delete, select

from segue.errors import require
from segue.event_store.clock import now
from segue.event_store.database import Database
from segue.event_store.tables import api_keys

Role = Literal["read", "write", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may


@dataclass(frozen=True)
class ApiKey:
    """A key of the store.

    Attributes:
        hash: the SHA-256 of the key, in hex digits.
        role: "read" answers questions, "write" adds events and items, "admin" changes models, rules and users.
        label: what it is for.
        created: microseconds since 1970.
    """

    hash: str
    role: Role
    label: str
    created: int

    def allows(self, role: Role) -> bool:
        """Whether the key may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class ApiKeys:
    """The keys of a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def new(self, role: Role, label: str = "") -> str:
        """Make a key and return it. It cannot be read again.

        Raises:
            ConfigError: an unknown role.
        """
        require(role in ROLES, f"role={role!r}: must be one of {', '.join(ROLES)}")
        key = f"segue-{role}-{secrets.token_urlsafe(32)}"
        row = {"hash": key_hash(key), "role": role, "label": label, "created": now()}
        with self.database.write() as connection:
            connection.execute(api_keys.insert(), [row])
        return key

    def revoke(self, hash_prefix: str) -> int:
        """Delete the keys whose hash begins with at least 8 given digits; how many there were."""
        require(len(hash_prefix) >= 8, f"{hash_prefix!r}: give at least 8 digits of the hash of the key")
        with self.database.write() as connection:
            condition = api_keys.c.hash.startswith(hash_prefix, autoescape=True)
            return int(connection.execute(delete(api_keys).where(condition)).rowcount)

    def all(self) -> list[ApiKey]:
        """All keys, the oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created)).all()
        return [ApiKey(row.hash, row.role, row.label, row.created) for row in rows]


def find_key(keys: list[ApiKey], key: str) -> ApiKey | None:
    """The key of this text; None if there is none. The time does not depend on how much of it is right."""
    wanted, found = key_hash(key), None
    for one in keys:
        if hmac.compare_digest(one.hash, wanted):
            found = one
    return found


def key_hash(key: str) -> str:
    """The hash of a key. The keys are long random texts, so that a fast hash cannot be reversed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
