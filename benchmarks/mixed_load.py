"""Lets many clients do everything at once with one service, and watches its memory: it must stay flat.

    python -m benchmarks.mixed_load models/                        half an hour
    python -m benchmarks.mixed_load models/ --minutes 5 --json mixed.json

Recommendations of known and new users, events one by one and in batches, items, rules, popular items, similar items,
sessions that are joined, users who are erased, activations, /metrics. Any answer other than 2xx ends the run. Train
the models with `segue run --final`, so that they know every item. The memory after a fifth of the time is compared with
that at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import polars as pl
import psutil

from benchmarks.running_service import Connection, running_service

CLIENTS = 8
WARM_UP = 0.2  # of the time
ALLOWED = 0.05  # growth of the memory after the warm-up


class Mix:
    """What the clients do, at random."""

    def __init__(self, models: list[str], users: list[str], items: list[str]) -> None:
        self.models, self.users, self.items = models, users, items
        self.rng = random.Random(0)
        self.done: Counter[str] = Counter()
        self.kinds: dict[str, tuple[int, Callable[[Connection], Awaitable[bytes]]]] = {
            "recommend": (600, self.recommend),
            "event": (200, self.event),
            "batch of events": (20, self.batch),
            "history": (60, self.history),
            "popular": (30, lambda one: one.get("/v1/popular?k=20")),
            "similar": (40, self.similar),
            "item": (20, self.item),
            "session": (10, self.session),
            "erase": (2, self.erase),
            "rule": (2, self.rule),
            "activate": (1, self.activate),
            "metrics": (5, lambda one: one.get("/metrics")),
        }

    async def step(self, connection: Connection) -> None:
        """Do something."""
        names = list(self.kinds)
        (kind,) = self.rng.choices(names, [self.kinds[name][0] for name in names])
        await self.kinds[kind][1](connection)
        self.done[kind] += 1

    def user(self) -> str:
        """A known user, or now and then a new one."""
        return self.rng.choice(self.users) if self.rng.random() < 0.95 else f"new-{self.rng.randrange(1_000)}"

    def new_event(self) -> dict[str, str]:
        """An event."""
        return {"user": self.user(), "item": self.rng.choice(self.items), "id": f"{self.rng.getrandbits(128):x}"}

    async def recommend(self, connection: Connection) -> bytes:
        """Ask for recommendations."""
        return await connection.get(f"/v1/recommend?user={quote(self.user(), safe='')}")

    async def event(self, connection: Connection) -> bytes:
        """Send an event."""
        return await connection.post("/v1/events", self.new_event())

    async def batch(self, connection: Connection) -> bytes:
        """Send many events."""
        return await connection.post("/v1/events", {"events": [self.new_event() for _ in range(100)]})

    async def history(self, connection: Connection) -> bytes:
        """Ask with a history."""
        content = {"history": self.rng.choices(self.items, k=10), "exclude": self.rng.choices(self.items, k=5)}
        return await connection.post("/v1/recommend", content)

    async def similar(self, connection: Connection) -> bytes:
        """Ask for similar items."""
        return await connection.get(f"/v1/similar?item={quote(self.rng.choice(self.items), safe='')}")

    async def item(self, connection: Connection) -> bytes:
        """Change an item; now and then a new one."""
        name = self.rng.choice(self.items) if self.rng.random() < 0.9 else f"new-{self.rng.randrange(100)}"
        content = {"item": name, "available": self.rng.random() < 0.9, "columns": {"group": self.rng.randrange(5)}}
        return await connection.post("/v1/items", content)

    async def session(self, connection: Connection) -> bytes:
        """A session that becomes a user."""
        name = f"s-{self.rng.getrandbits(64):x}"
        await connection.post("/v1/events", {"user": name, "item": self.rng.choice(self.items)})
        return await connection.post(f"/v1/sessions/{name}/join", {"user": self.user()})

    async def erase(self, connection: Connection) -> bytes:
        """Erase somebody."""
        return await connection.delete(f"/v1/users/new-{self.rng.randrange(1_000)}")

    async def rule(self, connection: Connection) -> bytes:
        """Another rule."""
        content = {"kind": "exclude", "items": self.rng.choices(self.items, k=3)}
        return await connection.put("/v1/rules/mixed", content)

    async def activate(self, connection: Connection) -> bytes:
        """Another model."""
        return await connection.post("/v1/models/activate", {"model": self.rng.choice(self.models)})


async def run(port: int, process: psutil.Process, mix: Mix, seconds: float) -> list[tuple[float, float]]:
    """Memory of the service in MB over the seconds."""
    connections = [await Connection(port).open() for _ in range(CLIENTS)]
    begin, memory = time.perf_counter(), []

    async def client(connection: Connection) -> None:
        while time.perf_counter() - begin < seconds:
            await mix.step(connection)

    async def watch() -> None:
        while time.perf_counter() - begin < seconds:
            memory.append((time.perf_counter() - begin, process.memory_info().rss / 1e6))
            await asyncio.sleep(seconds / 200)

    await asyncio.gather(watch(), *map(client, connections))
    for connection in connections:
        connection.writer.close()
        await connection.writer.wait_closed()
    return memory


def mean_between(memory: list[tuple[float, float]], first: float, last: float) -> float:
    """The mean memory in a part of the time, from 0 to 1."""
    total = memory[-1][0]
    values = [size for moment, size in memory if first <= moment / total <= last]
    return sum(values) / len(values)


def measure(models: Path, seconds: float) -> dict[str, object]:
    """Load a service, and say what it did and how its memory went."""
    folders = sorted(one for one in models.iterdir() if (one / "model.json").is_file())
    names = {
        kind: pl.read_parquet(folders[0] / f"{kind}.parquet").to_series(0).cast(pl.String).to_list()
        for kind in ("users", "items")
    }
    mix = Mix([one.name for one in folders], names["users"][:3_000], names["items"])
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(models, f"sqlite:///{folder}/events.db", "--active", folders[0].name) as (port, process, _),
    ):
        memory = asyncio.run(run(port, process, mix, seconds))
    early, late = mean_between(memory, WARM_UP, WARM_UP + 0.1), mean_between(memory, 0.9, 1.0)
    return {
        "minutes": seconds / 60,
        "requests": mix.done.total(),
        "done": dict(mix.done),
        "memory_mb": {"after warm-up": early, "at the end": late, "most": max(size for _, size in memory)},
        "growth": late / early - 1,
        "memory_over_time": memory,
    }


def main() -> None:
    """Measure, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixed_load", description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, help="folder of saved models")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    found = measure(args.models, args.minutes * 60)
    print(json.dumps({name: value for name, value in found.items() if name != "memory_over_time"}, indent=2))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if found["growth"] > ALLOWED:
        raise SystemExit(f"the memory grew by {found['growth']:.1%}")


if __name__ == "__main__":
    main()
