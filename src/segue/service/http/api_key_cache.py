"""`ApiKeyCache`: the API keys of a store in memory. Keys made or revoked elsewhere count within two seconds."""

from __future__ import annotations

import asyncio

from segue.event_store.api_keys import ApiKey, ApiKeys, find_key

MAX_LENGTH = 200  # of a key


class ApiKeyCache:
    """The keys that a service knows. While the store cannot be read, the known ones stay valid."""

    def __init__(self, keys: ApiKeys) -> None:
        self.store = keys
        self.keys = keys.all()

    def find(self, authorization: str) -> ApiKey | None:
        """The key of a header Authorization: "Bearer KEY"; None if it is none of the store."""
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key or len(key) > MAX_LENGTH:
            return None
        return find_key(self.keys, key)

    async def follow(self) -> None:
        """Read the keys of the store again.

        Raises:
            DataError: it cannot be read.
        """
        self.keys = await asyncio.to_thread(self.store.all)
