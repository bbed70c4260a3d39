"""What is asked together is scored together, and events that wait are stored in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from segue.errors import DataError
from segue.event_store.event import Event
from segue.event_store.event_ids import UsedIdError
from segue.event_store.store import open_store
from segue.service.batcher import Batcher
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.event_writer import EventWriter
from segue.service.users.history import History


@pytest.fixture(params=["in the loop", "in threads"])
def threads(request) -> Iterator[ThreadPoolExecutor | None]:
    """Where batches are scored."""
    if request.param == "in the loop":
        yield None
    else:
        with ThreadPoolExecutor(2) as made:
            yield made


def test_queries_of_one_moment_are_one_batch(threads):
    sizes = []

    def score(queries: Sequence[int]) -> list[int]:
        sizes.append(len(queries))
        return [query * query for query in queries]

    async def ask() -> list[int]:
        batches = Batcher(score, max_size=8, threads=threads)
        return await asyncio.gather(*(batches.ask(number) for number in range(20)))

    assert asyncio.run(ask()) == [number * number for number in range(20)]
    assert sorted(sizes) == [4, 8, 8]


def test_a_query_that_fails_fails_alone(threads):
    def score(queries: Sequence[int]) -> list[float]:
        return [1 / query for query in queries]

    async def ask() -> list[float | BaseException]:
        batches = Batcher(score, threads=threads)
        return await asyncio.gather(*(batches.ask(number) for number in (1, 0, 2)), return_exceptions=True)

    one, error, half = asyncio.run(ask())
    assert (one, half) == (1.0, 0.5)
    assert isinstance(error, ZeroDivisionError)


def test_an_error_of_all_is_not_tried_again_for_each(threads):
    """As of one statement for all: with a server that does not answer, each attempt would wait as long as the first."""
    asked = []

    def read(queries: Sequence[int]) -> list[int]:
        asked.append(len(queries))
        raise DataError("no server")

    async def ask() -> list[int | BaseException]:
        batches = Batcher(read, threads=threads, retry=False)
        return await asyncio.gather(*(batches.ask(number) for number in range(16)), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask())] == ["no server"] * 16
    assert asked == [16]


def test_histories_of_a_store_that_does_not_answer_are_asked_for_once(service, monkeypatch):
    asked = []

    def away(users: Sequence[str]) -> dict[str, int]:
        asked.append(len(users))
        raise DataError("no server")

    async def ask() -> None:
        monkeypatch.setattr(service.store.events, "versions", away)
        users = [f"u{number}" for number in range(16)]
        errors = await asyncio.gather(*map(service.history, users), return_exceptions=True)
        assert [str(error) for error in errors] == ["no server"] * 16

    asyncio.run(ask())
    assert asked == [16]


def test_a_client_that_goes_away_does_not_disturb_the_others(threads):
    async def ask() -> list[int]:
        batches = Batcher(lambda queries: [query + 1 for query in queries], threads=threads)
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


def test_a_request_with_a_used_id_is_refused_alone(tmp_path):
    """All in one transaction: the second has an id of the store, the third one that only the second would have."""
    requests = [
        [Event("u", "i", 1, id="a"), Event("u", "j", 2, id="b")],
        [Event("v", "i", 1, id="c"), Event("v", "i", 2, id="old"), Event("v", "k", 3, id="a")],
        [Event("w", "j", 1, id="c")],
        [Event("u", "i", 9, id="a")],
        [Event("u", "k", 3, id="d"), Event("w", "k", 3, id="d")],
        [Event("u", "k", 3, id="d")],
        [Event("x", "k", 3, id="d")],
    ]

    async def main() -> list:
        with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
            store.events.append([Event("old", "i", 1, id="old")])
            writer = EventWriter(store.events, lambda changes: None)
            answers = await asyncio.gather(*(writer.write(events) for events in requests), return_exceptions=True)
            await writer.close()
            assert (writer.stored, writer.duplicates, writer.conflicts) == (4, 1, 4)
            assert [len(store.events.history(user)) for user in "uvwx"] == [3, 0, 1, 0]
            return [sorted(one.places) if isinstance(one, UsedIdError) else one for one in answers]

    answers = asyncio.run(main())
    assert answers == [[True, True], [1, 2], [True], [False], [1], [True], [0]]


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


def test_long_lists_are_found_in_batches_of_their_own(service, monkeypatch):
    loaded, widths = service.deployment.models["hgn"], []
    find = loaded._finder.find
    monkeypatch.setattr(loaded._finder, "find", lambda queries, k: widths.append((len(queries), k)) or find(queries, k))

    async def ask() -> list[int]:
        wanted = (10, 1000, 20, 10)
        answers = await asyncio.gather(*(loaded.ask(None, History(items=["i1"]), k=k) for k in wanted))
        return [len(one.ids) for one in answers]

    assert asyncio.run(ask()) == [10, 29, 20, 10]
    assert sorted(widths) == [(1, 1000), (3, 20)]


def test_a_list_with_caps_is_asked_for_twice_at_most(client, service, monkeypatch):
    client.put("/v1/items", json={"items": [{"item": f"i{n}", "columns": {"kind": "same"}} for n in range(30)]})
    client.put("/v1/rules/few", json={"kind": "cap", "column": "kind", "at_most": 1})
    asked, ask = [], LoadedModel.ask
    monkeypatch.setattr(LoadedModel, "ask", lambda *args, **given: asked.append(given["k"]) or ask(*args, **given))
    assert len(client.get("/v1/recommend?user=u1&k=2").json()["items"]) == 1
    assert asked == [8, 31]
