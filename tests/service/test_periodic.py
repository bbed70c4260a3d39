"""Work beside the requests: what fails is tried again, later and later, and the log says so once and without names."""

from __future__ import annotations

import asyncio

import pytest

from segue.errors import DataError
from segue.service.periodic import Periodic


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "segue.service"]


def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(caplog):
    outcomes = iter([None, *[DataError("gone")] * 3, DataError("locked"), None, None, DataError("gone")])

    async def work():
        if error := next(outcomes):
            raise error

    periodic = Periodic("following", work)
    problems = []
    for _ in range(8):
        asyncio.run(periodic.once())
        problems.append(periodic.problem)
    assert problems == [None, "gone", "gone", "gone", "locked", None, None, "gone"]
    assert said(caplog) == [
        "following fails, and is tried again: gone",
        "following fails, and is tried again: locked",
        "following works again",
        "following fails, and is tried again: gone",
    ]


@pytest.mark.parametrize("kind", [KeyError, ValueError, RuntimeError, OSError])
def test_the_log_names_the_place_of_an_unforeseen_error_and_not_its_message(caplog, kind):
    name = f"user-{4700 + 11}"  # the line of the code is logged

    async def work():
        raise kind(name)

    asyncio.run(Periodic("following", work).once())
    (text,) = said(caplog)
    assert "4711" not in caplog.text
    assert kind.__name__ in text
    assert "test_periodic.py" in text


def test_whatever_fails_is_tried_again_later_and_later(monkeypatch):
    waits, times = [], 0

    async def work():
        nonlocal times
        times += 1
        if times < 9:
            raise KeyError(times)

    async def run():
        periodic = Periodic("following", work, 1.0, longest=60.0)

        async def wait_for(waiting, seconds):
            waiting.close()
            waits.append(seconds)
            if len(waits) == 11:
                periodic._closed.set()
            raise TimeoutError

        monkeypatch.setattr(asyncio, "wait_for", wait_for)
        periodic.start()
        await periodic._task

    asyncio.run(run())
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 1, 1, 1]


def test_closing_waits_for_what_is_under_way_and_ends_a_long_wait():
    done = []

    async def work():
        await asyncio.sleep(0.02)
        done.append(True)

    async def run():
        periodic = Periodic("following", work, 3600.0)
        periodic.start()
        await asyncio.sleep(0)
        await periodic.close()
        assert done == [True]

    asyncio.run(run())
