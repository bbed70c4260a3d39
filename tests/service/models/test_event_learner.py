"""What a model has learnt is what the store has, whoever stored events, in whatever order and how often they came."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.data.readers.ingest import read_log
from segue.event_store import arrivals
from segue.event_store.event import Event
from segue.event_store.store import Store, open_store
from segue.models.base.model import Model, Sizes
from segue.models.neighbours import learnt_counts
from segue.models.neighbours.learnt_counts import LearntCounts
from segue.service.models import event_learner, model_updates
from segue.service.models.event_learner import EventLearner
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.history_import import import_histories
from segue.serving.saved_model import SavedModel, load, save

START, SECOND = 1_600_000_000, 1_000_000
NEWEST = (START + 21) * SECOND - 1  # the last microsecond of the newest event's second
ITEMS, SESSIONS = ["i0", "i1", "i2", "i3", "unknown"], ["s1", "s2"]
BATCH = Batch(torch.tensor([0, 0]), torch.tensor([[1, 2, 3], [0, 4, 2]]))
TIME = st.integers(NEWEST - 3 * SECOND, NEWEST + 9 * SECOND)  # some are not newer than the training
EVENT = st.builds(Event, st.sampled_from(["a", "b", "c", *SESSIONS]), st.sampled_from(ITEMS), TIME)
STEP = st.tuples(
    st.sampled_from(["one", "two", "neither", "erase", "join", "restart"]), st.lists(EVENT, min_size=1, max_size=5)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A saved model whose counts are those of a short log."""
    rows = [
        (user, f"i{(step + number) % 4}", START + 5 * step) for number, user in enumerate("ab") for step in range(5)
    ]
    log = read_log(pl.DataFrame(rows, ["user", "item", "time"], orient="row"))
    model = LearntCounts(LearntCounts.configure({"max_examples": 8}), Sizes.of(log))
    model.fit(log)
    return save(model, log, tmp_path_factory.mktemp("model") / "counts")


class Process:
    """A service of a store, as far as its model learns events."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.restart()

    def restart(self) -> None:
        self.model = LoadedModel("counts", loaded(self.folder))
        assert self.model.learner is not None
        self.learner: EventLearner = self.model.learner
        self.learner.catch_up(self.store)

    async def send(self, events: list[Event]) -> None:
        await self.learner.apply(self.store, self.store.events.append(events).changes)

    async def follow(self) -> None:
        for _ in range(2):
            await self.learner.follow(self.store)


def loaded(folder: Path) -> SavedModel:
    saved = load(folder)
    return replace(saved, model=saved.model.double())


def expected(folder: Path, store: Store) -> tuple[Model, int]:
    """A model that learns the events of a store from the beginning, in the order of time, and their number."""
    saved, learnt = loaded(folder), 0
    ids = {token: number for number, token in enumerate(saved.log.items.tokens, 1)}
    histories = defaultdict[str, list](list)
    for block in store.events.blocks():
        for row in block:
            histories[row.user].append(row)
    for rows in histories.values():
        rows.sort(key=lambda row: (row.time, row.seq))
        known = [row for row in rows if row.item in ids]
        for place, row in enumerate(known):
            if row.time > NEWEST:
                saved.model.update([[ids[before.item] for before in known[:place]]], [ids[row.item]])
                learnt += 1
    return saved.model, learnt


async def run(one: Process, two: Process, steps: list) -> None:
    store = one.store
    for kind, events in steps:
        if kind == "erase":
            names = dict.fromkeys(store.erasures.erase(events[0].user).names)
            for process in (one, two):
                await process.learner.forget(names)
        elif kind == "join":
            session, user = SESSIONS[len(events) % 2], events[0].user
            owner = store.sessions.owner(user)
            if store.sessions.owner(session) in (session, owner):
                store.sessions.join(session, owner)
                await one.learner.join(store, session, owner)
                # the other service learns of it with the next event of the user
                await one.send([Event(owner, "i1", NEWEST + 20 * SECOND, id=f"{session} {owner}")])
        elif kind == "restart":
            two.restart()
        elif kind == "neither":
            store.events.append(events)
        else:
            await {"one": one, "two": two}[kind].send(events)
        model, learnt = expected(one.folder, store)
        for process in (one, two):
            await process.follow()
            assert process.learner.num_learnt == learnt
            torch.testing.assert_close(process.model.model.score(BATCH), model.score(BATCH), atol=1e-9, rtol=0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(STEP, max_size=8),
    st.integers(5, 9),  # a transaction has at most 5 events
    st.sampled_from([1, 2, 50]),
    st.integers(1, 5),
)
def test_two_services_have_learnt_each_event_of_the_store_once(
    folder, tmp_path_factory, steps, unsettled, window, at_a_time
):
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'events.db'}"
    with pytest.MonkeyPatch.context() as patch, closing(open_store(url)) as store:
        patch.setattr(arrivals, "UNSETTLED", unsettled)
        for module in (event_learner, model_updates):
            patch.setattr(module, "AT_A_TIME", at_a_time)
        patch.setattr(learnt_counts, "RELATIONS", reaching(window))
        import_histories(store, load(folder))
        asyncio.run(run(Process(folder, store), Process(folder, store), steps))


def reaching(distance: int) -> tuple[learnt_counts.Relation, ...]:
    """The relations of learnt counts for events that are at most so far apart."""
    return tuple(
        replace(one, pairs=replace(one.pairs, max_distance=min(one.pairs.max_distance, distance)))
        for one in learnt_counts.RELATIONS
    )


def test_a_late_event_changes_what_was_learnt_of_the_next_ones_that_read_it(folder, tmp_path, monkeypatch):
    """And of no others, however many events come after it; nor does one that is not newer than the training."""
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        service, updates = Process(folder, store), []
        update = service.model.model.update
        monkeypatch.setattr(
            service.model.model, "update", lambda *args, **kw: (updates.append(args), update(*args, **kw))
        )
        store.events.append([Event("c", ITEMS[n % 4], NEWEST + n * SECOND) for n in range(399, 0, -1)])
        asyncio.run(service.follow())
        assert len(updates) == 399
        store.sessions.join("s1", "c")
        for seconds, num_updates in ((0.5, 101), (-5, 100), (200.5, 101), (399.5, 1)):
            updates.clear()
            asyncio.run(service.send([Event("c", "i3", NEWEST + round(seconds * SECOND))]))
            assert len(updates) == num_updates
        assert_learnt(service)


async def num_served(learning: Awaitable[None], meanwhile: Callable[[], Awaitable[None]] | None = None) -> int:
    """How often others are served while a model learns; at the fourth time, `meanwhile` is."""
    task, served = asyncio.ensure_future(learning), 0
    while not task.done():
        await asyncio.sleep(0)
        served += 1
        if meanwhile is not None and served == 4:
            await meanwhile()
    await task
    return served


@pytest.mark.parametrize("what", ["nothing", "follow", "joined", "joined elsewhere", "erased"])
def test_many_events_are_learnt_a_few_at_a_time_whatever_happens_meanwhile(folder, tmp_path, monkeypatch, what):
    for module in (event_learner, model_updates):
        monkeypatch.setattr(module, "AT_A_TIME", 5)
    first = [Event("s1", ITEMS[n % 4], NEWEST + n * SECOND) for n in range(-3, 40)]
    late = [Event("s1", ITEMS[n % 3], NEWEST + n * SECOND - 9) for n in range(40, -9, -1)]
    other = [Event("c", ITEMS[n], NEWEST + n * SECOND) for n in range(4)]
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        service = Process(folder, store)

        async def meanwhile() -> None:
            if what == "joined":
                store.sessions.join("s1", "a")
                await service.learner.join(store, "s1", "a")
            elif what == "joined elsewhere":  # another service stores the next event of the user
                store.sessions.join("s1", "a")
                store.events.append([Event("a", "i1", NEWEST + 99 * SECOND)])
            elif what == "erased":
                await service.learner.forget(dict.fromkeys(store.erasures.erase("c").names))
            await service.follow()

        for events in ([*first, *other], [*late, *other]):
            served = asyncio.run(num_served(service.send(events), None if what == "nothing" else meanwhile))
            assert served >= (8 if what == "nothing" else 4)
            asyncio.run(service.follow())
            assert_learnt(service)
        known = service.learner.users()
        assert asyncio.run(num_served(service.learner.forget(dict.fromkeys(known)))) >= 8
        assert service.learner.num_learnt == 0


def test_the_events_of_many_users_are_learnt_a_few_at_a_time(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(event_learner, "FEW_USERS", 1000)  # of all, the store is read at once
    for module in (event_learner, model_updates):
        monkeypatch.setattr(module, "AT_A_TIME", 5)
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        service, num_known = Process(folder, store), []

        async def meanwhile() -> None:
            num_known.append(len(service.learner.users()))

        events = [Event(f"u{n}", "i1", NEWEST + SECOND) for n in range(100)]
        asyncio.run(num_served(service.send(events), meanwhile))
        assert 0 < num_known[0] < len(service.learner.users()) == 100


def assert_learnt(service: Process) -> None:
    """Check that a model has learnt what the store has."""
    model, learnt = expected(service.folder, service.store)
    assert service.learner.num_learnt == learnt
    torch.testing.assert_close(service.model.model.score(BATCH), model.score(BATCH), atol=1e-9, rtol=0)


def test_what_is_known_of_a_user_who_came_back_after_an_erasure_is_not_read_with_each_event(
    folder, tmp_path, monkeypatch
):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        service, erased = Process(folder, store), NEWEST + 5 * SECOND
        asyncio.run(service.send([Event("s1", "i1", NEWEST + SECOND), Event("c", "i2", NEWEST + 2 * SECOND)]))
        store.sessions.join("s1", "c")
        asyncio.run(service.learner.join(store, "s1", "c"))
        store.erasures.erase("c")  # with the sessions
        asyncio.run(service.send([Event("c", "i3", erased + SECOND)]))
        asyncio.run(service.learner.forget({"c": erased}))
        store.events.append([Event("c", "i0", erased + 2 * SECOND)])  # by another service
        asyncio.run(service.follow())
        monkeypatch.setattr(store.events, "until", None)
        store.events.append([Event("c", "i1", erased + 3 * SECOND)])
        asyncio.run(service.follow())
        assert service.learner.num_learnt == 3


def test_events_of_a_session_that_is_joined_while_they_are_learnt_are_those_of_its_user(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(event_learner, "FEW_USERS", 0)  # all reads are in threads, beside which the loop goes on
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        import_histories(store, load(folder))
        store.events.append([Event("s1", "i3", NEWEST - SECOND)])
        service, has_read, may_go_on = Process(folder, store), threading.Event(), threading.Event()
        read = store.events.until

        def read_and_wait(*args):
            found = read(*args)
            has_read.set()
            assert may_go_on.wait(30)
            return found

        async def join_after_what_is_learnt_was_read() -> None:
            with monkeypatch.context() as patch:
                patch.setattr(store.events, "until", read_and_wait)
                events = [Event("s1", "i1", NEWEST + SECOND), Event("a", "i2", NEWEST + 2 * SECOND)]
                learning = asyncio.create_task(service.send(events))
                while not has_read.is_set():
                    await asyncio.sleep(0)
            store.sessions.join("s1", "a")
            await service.learner.join(store, "s1", "a")
            may_go_on.set()
            await learning

        async def join_between_commit_and_learning() -> None:
            changes = store.events.append([Event("s2", "i0", NEWEST + 3 * SECOND)]).changes
            store.sessions.join("s2", "b")
            await service.learner.join(store, "s2", "b")
            await service.learner.apply(store, changes)

        for meet in (join_after_what_is_learnt_was_read, join_between_commit_and_learning):
            asyncio.run(meet())
            asyncio.run(service.follow())
            assert_learnt(service)
