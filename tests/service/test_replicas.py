"""Two services on one PostgreSQL: an event that one of them stored counts in the next answer of the other."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from benchmarks.running_service import Connection, running_service
from postgres import new_database, postgres_server

PAIRS = 300


@pytest.fixture
def store():
    with postgres_server() as server, new_database(server) as address:
        yield address


async def event_then_ask(ports: list[int], pairs: int) -> list[tuple[int, int]]:
    """How many events each answer of one service knows, and how many were sent, through the other one, before it."""
    one, other = [await Connection(port).open() for port in ports]
    rng, sent, seen = random.Random(1), dict.fromkeys(("a", "b", "u1"), 0), []
    for user in sent:
        sent[user] = json.loads(await one.get(f"/v1/recommend?user={user}"))["events"]
    for pair in range(pairs):
        writer, asker = (one, other) if rng.random() < 0.5 else (other, one)
        user = rng.choice(list(sent))
        await writer.post("/v1/events", {"user": user, "item": f"i{pair % 30}", "id": f"{pair}"})
        sent[user] += 1
        seen.append((json.loads(await asker.get(f"/v1/recommend?user={user}"))["events"], sent[user]))
    for connection in (one, other):
        connection.writer.close()
        await connection.writer.wait_closed()
    return seen


def test_an_event_counts_in_the_next_answer_of_the_other_service(models, store):
    options = ("--active", "hgn")
    with (
        running_service(models, store, *options) as (one, _, _),
        running_service(models, store, *options) as (two, _, _),
    ):
        pairs = asyncio.run(event_then_ask([one, two], PAIRS))
    assert len(pairs) == PAIRS
    assert all(known == sent for known, sent in pairs)
