"""Measures a running service: latency, throughput, events, and whether an answer knows the event before it.

    python -m benchmarks.service models/hgn-cds models/seq-knn-cds              SQLite, in a temporary folder
    python -m benchmarks.service models/hgn-cds --store postgresql://...        an empty database
    python -m benchmarks.service models/hgn-cds --json service.json

The service runs in a process of its own with one thread, the clients in this one. Latencies are those that a client
sees. The processor time of the service is given beside them, since other work on the machine does not change it much.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
import psutil

READY = re.compile(r"segue is ready: http://127\.0\.0\.1:(\d+)")
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


class Connection:
    """One HTTP connection that stays open."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> Connection:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def get(self, path: str) -> bytes:
        """The body of an answer; anything but 200 is an error."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def post(self, path: str, content: Any) -> bytes:
        """Send JSON; the body of the answer."""
        return await self._send("POST", path, content)

    async def put(self, path: str, content: Any) -> bytes:
        """As `post`."""
        return await self._send("PUT", path, content)

    async def delete(self, path: str) -> bytes:
        """Delete something; the body of the answer."""
        return await self._ask(f"DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def _send(self, method: str, path: str, content: Any) -> bytes:
        body = json.dumps(content).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return await self._ask(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _ask(self, request: bytes) -> bytes:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None, head
        body = await self.reader.readexactly(int(length[1]))
        assert head[9:10] == b"2", head + body
        return body


@contextmanager
def running_service(model: Path, store: str, *options: str) -> Iterator[tuple[int, psutil.Process, float]]:
    """A service in a process of its own: its port, its process, and the seconds until it was ready."""
    command = [sys.executable, "-m", "segue", "serve", str(model), "--store", store, "--port", "0", *options]
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                found = READY.search(line)
                if found:
                    yield int(found[1]), psutil.Process(process.pid), time.perf_counter() - begin
                    break
            else:
                raise SystemExit(f"the service did not start: {' '.join(command)}")
        finally:
            process.terminate()


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
    elapsed = time.perf_counter() - begin
    cpu = sum(process.cpu_times()[:2]) - cpu
    p50, p90, p99 = (float(np.quantile(latencies, share)) * 1e3 for share in (0.5, 0.9, 0.99))
    return Row(what, len(connections), units / elapsed, p50, p90, p99, cpu / units * 1e3)


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
    p50, p90, p99 = (float(np.quantile(latencies, share)) * 1e3 for share in (0.5, 0.9, 0.99))
    note = f"{known:,} of {pairs:,} answers know the event ({known / pairs:.3%})"
    return Row("event, then ask", len(connections), pairs / elapsed, p50, p90, p99, cpu / pairs * 1e3, note)


def _path(user: str) -> str:
    return f"/v1/recommend?user={quote(user, safe='')}&k=10"


async def measure(port: int, process: psutil.Process, model: Path, pairs: int, seconds: float) -> list[Row]:
    """All rows."""
    names = {
        kind: pl.read_parquet(model / f"{kind}.parquet").to_series(0).cast(pl.String) for kind in ("users", "items")
    }
    users, items = names["users"].head(3_000).to_list(), names["items"].to_list()
    connections = [await Connection(port).open() for _ in range(64)]
    rng = random.Random(0)

    async def recommend(connection: Connection, _: int) -> int:
        await connection.get(_path(rng.choice(users)))
        return 1

    async def with_filter(connection: Connection, _: int) -> int:
        await connection.get(_path(rng.choice(users)) + "&where=group:1")
        return 1

    async def health(connection: Connection, _: int) -> int:
        await connection.get("/healthz")
        return 1

    async def events(connection: Connection, _: int) -> int:
        batch = [
            {"user": rng.choice(users), "item": rng.choice(items), "id": f"{rng.getrandbits(128):x}"}
            for _ in range(100)
        ]
        await connection.post("/v1/events", {"events": batch})
        return len(batch)

    async def event(connection: Connection, _: int) -> int:
        await connection.post("/v1/events", {"user": rng.choice(users), "item": rng.choice(items)})
        return 1

    for first in range(0, len(items), 1_000):
        some = [{"item": item, "columns": {"group": first // 1_000 % 2}} for item in items[first : first + 1_000]]
        await connections[0].post("/v1/items", {"items": some})
    await load("warm-up", process, connections, recommend, seconds / 2)
    return [
        await load("health (HTTP alone)", process, connections[:1], health, seconds / 2),
        await load("recommend", process, connections[:1], recommend, seconds),
        await load("recommend", process, connections[:16], recommend, seconds),
        await load("recommend", process, connections, recommend, seconds),
        await load(f"recommend, {RATE:,} a second", process, connections, recommend, seconds, RATE),
        await load("recommend, one half of the items", process, connections[:1], with_filter, seconds),
        await load("recommend, one half of the items", process, connections[:8], with_filter, seconds),
        await load("recommend, one half of the items", process, connections[:16], with_filter, seconds),
        await load("events one by one", process, connections[:1], event, seconds),
        await load("events one by one", process, connections, event, seconds),
        await load("events in batches of 100", process, connections[:4], events, seconds),
        await read_your_own_event(process, connections[:1], users[:500], items, min(pairs, 2_000)),
        await read_your_own_event(process, connections[:8], users[:500], items, pairs),
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
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    found = {}
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            store = args.store or f"sqlite:///{folder}/events.db"
            found[model.name] = measure_model(model, store, args.pairs, args.seconds)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def measure_model(model: Path, store: str, pairs: int, seconds: float) -> dict[str, object]:
    """All figures of one model, which are printed, too."""
    with running_service(model, store) as (port, process, _):
        rows = asyncio.run(measure(port, process, model, pairs, seconds))
        memory = process.memory_info().rss / 1e6
    with running_service(model, store) as (_, process, ready):
        cpu = sum(process.cpu_times()[:2])
    print(f"{model.name}\n\n{table(rows)}\n")
    print(f"memory {memory:,.0f} MB; ready {ready:.1f} s ({cpu:.1f} s of processor time) after a restart\n")
    return {"rows": [asdict(row) for row in rows], "memory_mb": memory, "restart_seconds": ready, "restart_cpu": cpu}


if __name__ == "__main__":
    main()
