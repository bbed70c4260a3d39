"""Says where the time of GET /v1/recommend goes: server, checks, state, scores, answer; and what the products take.

    python -m benchmarks.answer_parts models/hgn-cds
    python -m benchmarks.answer_parts models/hgn-cds --json parts.json

Milliseconds of processor time for each request, when one connection asks and when 64 do. The whole is measured in a
service of its own; the parts are measured in this process, each alone, and the server is what remains.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from starlette.types import ASGIApp, Message

from benchmarks.running_service import Connection, running_service
from benchmarks.service import load
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.models.loaded_model import LoadedModel, _Question
from segue.service.routes.recommend import _encode, _items_of_model
from segue.service.service import Service
from segue.service.start import start_service

ROUNDS = 9
SECONDS = 0.5  # of a round


async def cost(work: Callable[[], Awaitable[object] | object], units: int) -> float:
    """Milliseconds of processor time for each unit of some work: the median of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        done, begin = 0, time.process_time()
        while time.process_time() - begin < SECONDS:
            result = work()
            if isinstance(result, Awaitable):
                await result
            done += units
        rounds.append((time.process_time() - begin) / done * 1e3)
    return statistics.median(rounds)


async def request(app: ASGIApp, user: str) -> None:
    """One request without a server."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/recommend",
        "query_string": f"user={quote(user, safe='')}".encode(),
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200, message

    await app(scope, receive, send)


async def parts(service: Service, users: list[str]) -> dict[str, float]:
    """The parts of requests of some users that come together."""
    app, rows = create_app(service, Limits()), len(users)
    loaded: LoadedModel = service.deployment.in_use[0]
    histories = service.histories.get_all(users)
    questions = [_Question(loaded.query(one.user, one), 10, one) for one in histories]
    answers = loaded._answer(questions)
    service.start()
    found = {
        "application": await cost(lambda: asyncio.gather(*(request(app, user) for user in users)), rows),
        "state": await cost(lambda: service.histories.get_all(users), rows),
        "scores": await cost(lambda: loaded._answer(questions), rows),
        "answer": await cost(lambda: [_encode(_items_of_model(service, loaded, one)) for one in answers], rows),
    }
    model: Any = loaded.model
    with torch.inference_mode():
        vectors, query = model.item_embeddings.contiguous(), torch.randn(rows, model.item_embeddings.shape[1])
        scores = torch.empty(rows, -(-len(vectors) // 64) * 64)[:, : len(vectors)]  # rows begin at whole cache lines
        found["products"] = await cost(lambda: torch.matmul(query, vectors.T, out=scores), rows)
    return found


async def whole(port: int, process: Any, users: list[str], clients: int) -> float:
    """The processor time of a service for each request, in milliseconds."""
    connections = [await Connection(port).open() for _ in range(clients)]

    async def ask(connection: Connection, number: int) -> int:
        await connection.get(f"/v1/recommend?user={quote(users[number % len(users)], safe='')}")
        return 1

    await load("warm-up", process, connections, ask, 2)
    return statistics.median([(await load("", process, connections, ask, 2)).cpu for _ in range(ROUNDS)])


def measure(model: Path) -> dict[str, dict[str, float]]:
    """The parts, by number of connections."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/events.db"
        service = start_service(model, store)
        users = service.deployment.in_use[0].user_names()
        torch.set_num_threads(1)
        for clients in (1, 64):
            found[str(clients)] = asyncio.run(parts(service, users[:clients]))
        service.store.close()
        with running_service(model, store) as (port, process, _):
            for clients in (1, 64):
                one = found[str(clients)]
                one["whole"] = asyncio.run(whole(port, process, users[:clients], clients))
                one["server"] = one["whole"] - one["application"]
                one["checks"] = one["application"] - one["state"] - one["scores"] - one["answer"]
    return found


LINES = {
    "whole": "whole request",
    "server": "server: sockets, HTTP, event loop",
    "checks": "reading and checking the request, metrics, remembering the list",
    "state": "state: whether the history is the newest",
    "scores": "scores and the best ten items",
    "products": "– of this, products of query and item vectors alone",
    "answer": "answer: names, titles, JSON",
}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answer_parts", description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="folder of a saved model that ranks by products of vectors")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    found = measure(args.model)
    print("| CPU ms of a request | 1 connection | 64 connections |\n|---|---:|---:|")
    for part, text in LINES.items():
        print(f"| {text} | {found['1'][part]:.3f} | {found['64'][part]:.3f} |")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
