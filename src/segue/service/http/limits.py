"""`Limits`: whose requests a service answers, and what one client may use of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a service.

    Attributes:
        keys: whether every request needs an API key, except questions for the state of the process.
        hosts: the names by which programs of this machine call it; requests to other names, and from the pages of other
            sites, are refused. None allows all: then `keys` protects.
        rate: requests a second of one key, or of one address where no key is needed; None for no limit.
        body: bytes of a request.
        body_seconds: how long a client may take to send a request.
        connections: at the same time, those that are idle included.
    """

    keys: bool = False
    hosts: frozenset[str] | None = None
    rate: float | None = None
    body: int = 1_000_000
    body_seconds: float = 20.0
    connections: int = 512
