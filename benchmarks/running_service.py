"""`running_service`: a service in a process of its own, and `Connection`: a client of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

READY = re.compile(r"segue is ready: http://127\.0\.0\.1:(\d+)")


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
