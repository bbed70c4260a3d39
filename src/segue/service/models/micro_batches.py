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
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

Query = TypeVar("Query")
Answer = TypeVar("Answer")


class MicroBatches(Generic[Query, Answer]):
    """Collects the queries of one event loop, and scores them in batches."""

    def __init__(
        self, score: Callable[[Sequence[Query]], Sequence[Answer]], max_rows: int = 64, threads: Executor | None = None
    ) -> None:
        """Prepare.

        Args:
            score: scores a batch; it returns one answer for each query.
            max_rows: the largest batch.
            threads: where batches are scored, for a `score` that waits for a server; None for the event loop.
        """
        self.score, self.max_rows, self.threads = score, max_rows, threads
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
        work = partial(self._score, [query for query, _ in batch])
        if self.threads is None:
            self._answer(batch, work())
        else:
            scored = asyncio.get_running_loop().run_in_executor(self.threads, work)
            scored.add_done_callback(lambda done: self._answer(batch, done.result()))

    def _score(self, queries: list[Query]) -> list[Answer | Exception]:
        """The answers to a batch; after an error, to each query alone, so that one bad query fails alone."""
        try:
            return [answer for _, answer in zip(queries, self.score(queries), strict=True)]
        except Exception as error:
            if len(queries) == 1:
                return [error]
        return [answer for query in queries for answer in self._score([query])]

    def _answer(self, batch: list[tuple[Query, asyncio.Future[Answer]]], answers: list[Answer | Exception]) -> None:
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the client went away meanwhile
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
