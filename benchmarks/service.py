"""Measures a running service: latency, throughput, events, and whether an answer knows the event before it.

    python -m benchmarks.service models/hgn-cds models/seq-knn-cds              SQLite, in a temporary folder
    python -m benchmarks.service models/hgn-cds --store postgresql://...        an empty database
    python -m benchmarks.service models/hgn-cds --json service.json
    python -m benchmarks.service models/learnt-counts-cds --no-update           which learns no events

The service runs in a process of its own with one thread, the clients in this one. Latencies are those that a client
sees. The processor time of the service is given beside them, since other work on the machine does not change it much.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
import psutil

from benchmarks.running_service import Connection, running_service

SECONDS = 10.0
RATE = 2_500


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        what: was measured.
        clients: connections that asked at the same time.
        per_second: requests, or events, in a second.
        p50: median latency in milliseconds; likewise p90 and p99.
        cpu: milliseconds of processor time of the service for each request, or event.
        note: what else was seen.
    """

    what: str
    clients: int
    per_second: float
    p50: float
    p90: float
    p99: float
    cpu: float
    note: str = ""

    @classmethod
    def of(cls, latencies: list[float], units: int, elapsed: float, cpu: float, **about: Any) -> Row:
        """The row of some units, with the seconds of each request, of all together, and of the processor."""
        p50, p90, p99 = (float(np.quantile(latencies, share)) * 1e3 for share in (0.5, 0.9, 0.99))
        return cls(**about, per_second=units / elapsed, p50=p50, p90=p90, p99=p99, cpu=cpu / units * 1e3)


async def load(
    what: str,
    process: psutil.Process,
    connections: list[Connection],
    ask: Callable[[Connection, int], Awaitable[int]],
    seconds: float,
    rate: float | None = None,
) -> Row:
    """Let every connection ask again and again for some seconds.

    Args:
        what: is asked.
        process: of the service.
        connections: each asks when its last request was answered.
        ask: makes one request; it returns the number of its units.
        seconds: duration.
        rate: requests a second, over all connections, at equal distances; None for as many as are answered. The
            latency of a request counts from the time at which it was due.
    """
    latencies: list[float] = []
    units = 0
    cpu = sum(process.cpu_times()[:2])
    begin = time.perf_counter()

    async def client(connection: Connection, number: int) -> None:
        nonlocal units
        due = begin + number / (rate or 1)
        while (start := time.perf_counter() if rate is None else due) < begin + seconds:
            await asyncio.sleep(start - time.perf_counter())
            due += len(connections) / (rate or 1)
            done = await ask(connection, number)
            units += done  # after the await: other clients count meanwhile
            latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(client(connection, number) for number, connection in enumerate(connections)))
    elapsed, cpu = time.perf_counter() - begin, sum(process.cpu_times()[:2]) - cpu
    return Row.of(latencies, units, elapsed, cpu, what=what, clients=len(connections))


async def read_your_own_event(
    process: psutil.Process, connections: list[Connection], users: list[str], items: list[str], pairs: int
) -> Row:
    """Send an event, ask at once, over any connection: how many answers know all events that were stored before."""
    rng = random.Random(len(connections))  # ids of events that no other row has sent
    stored = {user: json.loads(await connections[0].get(_path(user)))["events"] for user in users}
    latencies: list[float] = []
    left, known = pairs, 0
    cpu, begin = sum(process.cpu_times()[:2]), time.perf_counter()

    async def client(connection: Connection) -> None:
        nonlocal left, known
        while left > 0:
            left -= 1
            user = rng.choice(users)
            event = {"user": user, "item": rng.choice(items), "id": f"{rng.getrandbits(128):x}"}
            await connection.post("/v1/events", event)
            stored[user] += 1
            expected, start = stored[user], time.perf_counter()
            answer = json.loads(await connection.get(_path(user)))
            latencies.append(time.perf_counter() - start)
            known += answer["events"] >= expected

    await asyncio.gather(*map(client, connections))
    elapsed, cpu = time.perf_counter() - begin, sum(process.cpu_times()[:2]) - cpu
    note = f"{known:,} of {pairs:,} answers know the event ({known / pairs:.3%})"
    return Row.of(latencies, pairs, elapsed, cpu, what="event, then ask", clients=len(connections), note=note)


def _path(user: str) -> str:
    return f"/v1/recommend?user={quote(user, safe='')}&k=10"


class Requests:
    """The requests that are measured, of random users and items; each method makes one and returns its units."""

    def __init__(self, model: Path) -> None:
        names = {
            kind: pl.read_parquet(model / f"{kind}.parquet").to_series(0).cast(pl.String) for kind in ("users", "items")
        }
        self.users, self.items = names["users"].head(3_000).to_list(), names["items"].to_list()
        self.rng = random.Random(0)

    async def health(self, connection: Connection, _: int) -> int:
        """HTTP alone."""
        await connection.get("/healthz")
        return 1

    async def recommend(self, connection: Connection, _: int) -> int:
        """Ask for recommendations."""
        await connection.get(_path(self.rng.choice(self.users)))
        return 1

    async def with_filter(self, connection: Connection, _: int) -> int:
        """Ask for some of one half of the items: see `make_groups`."""
        await connection.get(_path(self.rng.choice(self.users)) + "&where=group:1")
        return 1

    async def event(self, connection: Connection, _: int) -> int:
        """Send an event."""
        await connection.post("/v1/events", self._new_event())
        return 1

    async def events(self, connection: Connection, _: int) -> int:
        """Send a batch of events."""
        batch = [{**self._new_event(), "id": f"{self.rng.getrandbits(128):x}"} for _ in range(100)]
        await connection.post("/v1/events", {"events": batch})
        return len(batch)

    async def make_groups(self, connection: Connection) -> None:
        """Put every other thousand of the items into group 1."""
        for first in range(0, len(self.items), 1_000):
            columns, block = {"group": first // 1_000 % 2}, self.items[first : first + 1_000]
            await connection.post("/v1/items", {"items": [{"item": item, "columns": columns} for item in block]})

    def _new_event(self) -> dict[str, str]:
        return {"user": self.rng.choice(self.users), "item": self.rng.choice(self.items)}


async def measure(port: int, process: psutil.Process, model: Path, pairs: int, seconds: float) -> list[Row]:
    """All rows."""
    do, connections = Requests(model), [await Connection(port).open() for _ in range(64)]
    await do.make_groups(connections[0])
    await load("warm-up", process, connections, do.recommend, seconds / 2)
    return [
        await load("health (HTTP alone)", process, connections[:1], do.health, seconds / 2),
        await load("recommend", process, connections[:1], do.recommend, seconds),
        await load("recommend", process, connections[:16], do.recommend, seconds),
        await load("recommend", process, connections, do.recommend, seconds),
        await load(f"recommend, {RATE:,} a second", process, connections, do.recommend, seconds, RATE),
        await load("recommend, one half of the items", process, connections[:1], do.with_filter, seconds),
        await load("recommend, one half of the items", process, connections[:8], do.with_filter, seconds),
        await load("recommend, one half of the items", process, connections[:16], do.with_filter, seconds),
        await load("events one by one", process, connections[:1], do.event, seconds),
        await load("events one by one", process, connections, do.event, seconds),
        await load("events in batches of 100", process, connections[:4], do.events, seconds),
        await read_your_own_event(process, connections[:1], do.users[:500], do.items, min(pairs, 2_000)),
        await read_your_own_event(process, connections[:8], do.users[:500], do.items, pairs),
    ]


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| what | clients | per second | p50 ms | p90 ms | p99 ms | CPU ms each | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.what} | {row.clients} | {row.per_second:,.0f} | {row.p50:.2f} | {row.p90:.2f} | {row.p99:.2f} | "
            f"{row.cpu:.3f} | {row.note} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, nargs="+", help="folders of saved models, measured one after the other")
    parser.add_argument("--store", help="an empty store, for one model; by default SQLite in a temporary folder")
    parser.add_argument("--pairs", type=int, default=100_000, help="pairs of an event and a question")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="duration of each row")
    parser.add_argument("--no-update", action="store_true", help="let the model learn no events")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    found = {}
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            store = args.store or f"sqlite:///{folder}/events.db"
            options = ["--no-update"] if args.no_update else []
            found[model.name] = measure_model(model, store, args.pairs, args.seconds, options)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def measure_model(
    model: Path, store: str, pairs: int, seconds: float, options: Sequence[str] = ()
) -> dict[str, object]:
    """All figures of one model, served with some options; they are printed, too."""
    with running_service(model, store, *options) as (port, process, _):
        rows = asyncio.run(measure(port, process, model, pairs, seconds))
        memory = process.memory_info().rss / 1e6
    with running_service(model, store, *options) as (_, process, ready):
        cpu = sum(process.cpu_times()[:2])
    print(f"{model.name}\n\n{table(rows)}\n")
    print(f"memory {memory:,.0f} MB; ready {ready:.1f} s ({cpu:.1f} s of processor time) after a restart\n")
    return {"rows": [asdict(row) for row in rows], "memory_mb": memory, "restart_seconds": ready, "restart_cpu": cpu}


if __name__ == "__main__":
    main()
