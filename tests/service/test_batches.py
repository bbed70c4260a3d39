"""What is asked together is scored together, and events that wait are stored in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing

import pytest

from segue.errors import DataError
from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.service.event_writer import EventWriter
from segue.service.micro_batches import MicroBatches


def test_queries_of_one_moment_are_one_batch():
    sizes = []

    def score(queries: Sequence[int]) -> list[int]:
        sizes.append(len(queries))
        return [query * query for query in queries]

    async def ask() -> list[int]:
        batches = MicroBatches(score, max_rows=8)
        return await asyncio.gather(*(batches.ask(number) for number in range(20)))

    assert asyncio.run(ask()) == [number * number for number in range(20)]
    assert sizes == [8, 8, 4]


def test_a_query_that_fails_fails_alone():
    def score(queries: Sequence[int]) -> list[float]:
        return [1 / query for query in queries]

    async def ask() -> list[float | BaseException]:
        batches = MicroBatches(score)
        return await asyncio.gather(*(batches.ask(number) for number in (1, 0, 2)), return_exceptions=True)

    one, error, half = asyncio.run(ask())
    assert (one, half) == (1.0, 0.5)
    assert isinstance(error, ZeroDivisionError)


def test_a_client_that_goes_away_does_not_disturb_the_others():
    async def ask() -> list[int]:
        batches = MicroBatches(lambda queries: [query + 1 for query in queries])
        gone = asyncio.ensure_future(batches.ask(1))
        stays = asyncio.ensure_future(batches.ask(2))
        await asyncio.sleep(0)
        gone.cancel()
        return [await stays]

    assert asyncio.run(ask()) == [3]


def test_events_that_wait_are_stored_together_and_answered_each(tmp_path, monkeypatch):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        transactions, changed = [], []
        append = store.events.append
        monkeypatch.setattr(store.events, "append", lambda new: transactions.append(len(new)) or append(new))

        async def write() -> list[list[bool]]:
            writer = EventWriter(store.events, changed.append)
            requests = [[Event("u", f"i{number}", number), Event("u", "same", 0)] for number in range(5)]
            stored = await asyncio.gather(*(writer.write(events) for events in requests))
            await writer.close()
            return stored

        assert asyncio.run(write()) == [[True, True], *([[True, False]] * 4)]
        assert sum(transactions) == 10
        assert len(transactions) <= 2
        assert sum(len(change["u"].events) for change in changed) == len(store.events) == 6


def test_events_are_answered_whatever_fails_after_they_were_stored(tmp_path, caplog):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:

        def fail(changes: object) -> None:
            raise RuntimeError("some" + "body")

        async def write() -> None:
            writer = EventWriter(store.events, fail)
            async with asyncio.timeout(20):
                assert await writer.write([Event("u", "i", 1)]) == [True]
                assert await writer.write([Event("u", "i", 1), Event("u", "j", 1)]) == [False, True]
                await writer.close()

        asyncio.run(write())
    assert "RuntimeError" in caplog.text
    assert "somebody" not in caplog.text


def test_events_that_cannot_be_stored_are_an_error_of_each_request(tmp_path, monkeypatch):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:

        def full(new: Sequence[Event]) -> None:
            raise DataError("disk full")

        async def write() -> None:
            writer = EventWriter(store.events, lambda changes: None)
            monkeypatch.setattr(store.events, "append", full)
            results = await asyncio.gather(
                *(writer.write([Event("u", "i", 1)]) for _ in range(3)), return_exceptions=True
            )
            assert [str(error) for error in results] == ["disk full"] * 3
            monkeypatch.undo()
            assert await writer.write([Event("u", "i", 1)]) == [True]
            await writer.close()

        asyncio.run(write())


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_writer_that_ends_stores_what_waits(tmp_path, number):
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with closing(open_store(url)) as store:

        async def write() -> None:
            writer = EventWriter(store.events, lambda changes: None)
            waiting = [asyncio.ensure_future(writer.write([Event("u", f"i{n}", n)])) for n in range(number)]
            await asyncio.sleep(0)
            await writer.close()
            await asyncio.gather(*waiting)

        asyncio.run(write())
        assert len(store.events) == number


def test_an_answer_says_how_many_events_it_was_scored_from(service, client, monkeypatch):
    loaded = service.deployment.models["hgn"]
    ask, scored = loaded._batches.ask, []

    async def ask_after_an_event(question):
        scored.append(len(question.query.items))
        await service.writer.write([Event("u1", f"i{len(scored)}", 2 * 10**15)])
        return await ask(question)

    monkeypatch.setattr(loaded._batches, "ask", ask_after_an_event)
    said = [client.get(f"/v1/recommend?user=u1{explain}").json()["events"] for explain in ("", "&explain=true")]
    assert said == scored == [12, 13]
