"""`ErasedNames`: the users who were erased. The store keeps salted hashes of their names and never the names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ErasedNames:
    """Who was erased from a store.

    A name that can be guessed, such as a number, could be found by hashing guesses. The salt is random for each store,
    so that this takes the store itself, and no table of hashes that was made before serves.

    Attributes:
        salt: of the store.
        times: when each was erased, in microseconds since 1970, by the hash of the name.
    """

    salt: str
    times: Mapping[str, int] = field(default_factory=dict)

    def hashes(self, names: Iterable[str]) -> list[str]:
        """The salted hash of each name."""
        key = self.salt.encode()
        return [
            hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()
            for name in names
        ]

    def among(self, names: Sequence[str]) -> dict[str, int]:
        """Those of some users who were erased, and when."""
        if not self.times:
            return {}
        times = zip(names, map(self.times.get, self.hashes(names)), strict=True)
        return {name: time for name, time in times if time is not None}

    def __len__(self) -> int:
        return len(self.times)
