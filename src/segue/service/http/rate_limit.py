"""`TokenBuckets`: a limit of requests a second for each client.

A bucket holds the tokens of `BURST` seconds. A request takes one; `rate` tokens a second come back.
"""

from __future__ import annotations

from collections import OrderedDict

BURST = 2.0  # seconds whose requests may come at once


class TokenBuckets:
    """The buckets of the clients with the newest requests."""

    def __init__(self, rate: float, max_clients: int = 10_000) -> None:
        """Prepare.

        Args:
            rate: requests a second.
            max_clients: how many buckets are kept; a client whose bucket is dropped begins with a full one.
        """
        self.rate, self.size, self.max_clients = rate, max(1.0, rate * BURST), max_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def wait(self, client: str, now: float) -> float:
        """Take a token: 0 if there is one, else the seconds until there is.

        Args:
            client: name of the client.
            now: seconds of a clock that never goes back.

        >>> buckets = TokenBuckets(rate=0.5)
        >>> buckets.wait("a", 0.0), buckets.wait("a", 1.0), buckets.wait("b", 1.0), buckets.wait("a", 2.0)
        (0.0, 1.0, 0.0, 0.0)
        """
        tokens, then = self._buckets.get(client, (self.size, now))
        tokens = min(self.size, tokens + (now - then) * self.rate)
        is_allowed = tokens >= 1.0
        self._buckets[client] = (tokens - is_allowed, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > self.max_clients:
            self._buckets.popitem(last=False)
        return 0.0 if is_allowed else (1.0 - tokens) / self.rate
