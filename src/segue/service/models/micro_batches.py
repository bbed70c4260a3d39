"""`MicroBatches`: queries that arrive together are scored together.

    request 1 ──► ask ┐
    request 2 ──► ask ┼──► score([1, 2, 3]) ──► each gets its answer
    request 3 ──► ask ┘

Scoring one batch of 16 takes about 2.5 times as long as scoring one query. No request waits for others to come: what
has arrived when the event loop is free is one batch.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Query = TypeVar("Query")
Answer = TypeVar("Answer")


class MicroBatches(Generic[Query, Answer]):
    """Collects the queries of one event loop, and scores them in batches."""

    def __init__(self, score: Callable[[Sequence[Query]], Sequence[Answer]], max_rows: int = 64) -> None:
        """Prepare.

        Args:
            score: scores a batch; it returns one answer for each query.
            max_rows: the largest batch.
        """
        self.score, self.max_rows = score, max_rows
        self.sizes: Counter[int] = Counter()  # how many batches there were of each size
        self._waiting: list[tuple[Query, asyncio.Future[Answer]]] = []

    async def ask(self, query: Query) -> Answer:
        """The answer to a query."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((query, future))
        if len(self._waiting) == 1:
            # after the requests that are being read in this turn of the loop
            loop.call_soon(loop.call_soon, self._score_waiting)
        return await future

    def _score_waiting(self) -> None:
        batch, self._waiting = self._waiting[: self.max_rows], self._waiting[self.max_rows :]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._score_waiting)
        batch = [(query, future) for query, future in batch if not future.done()]  # without those who went away
        if not batch:
            return
        self.sizes[len(batch)] += 1
        try:
            answered = list(zip(batch, self.score([query for query, _ in batch]), strict=True))
        except Exception as error:
            self._fail(batch, error)
            return
        for (_, future), answer in answered:
            future.set_result(answer)

    def _fail(self, batch: list[tuple[Query, asyncio.Future[Answer]]], error: Exception) -> None:
        """Score the queries one by one after an error, so that one bad query does not fail the others."""
        for query, future in batch:
            try:
                if len(batch) == 1:
                    raise error
                future.set_result(self.score([query])[0])
            except Exception as own_error:
                future.set_exception(own_error)
