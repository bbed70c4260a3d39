"""Connections: clients that send nothing, too slowly, or without end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import uvicorn

from segue.service import connections
from segue.service.connections import HEAD_BYTES, BoundedConnection

FEW = 4
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def application(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(application, http=BoundedConnection, limit_concurrency=FEW, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def everything(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    found = b""
    with suppress(ConnectionError):  # closed while we still sent
        while part := client.recv(65_536):
            found += part
    return found


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2], REQUEST[:-2] + b"X: " + b"y" * 1_000])
def test_a_head_that_does_not_come_is_given_up(port, sent):
    with closing(connect(port)) as client:
        client.sendall(sent)
        assert everything(client) == b""


def test_a_second_request_has_a_time_limit_too(port):
    with closing(connect(port)) as client:
        client.sendall(REQUEST)
        assert client.recv(65_536).endswith(b"ok")
        time.sleep(0.5)  # idle between two requests is allowed
        client.sendall(REQUEST)
        assert client.recv(65_536).endswith(b"ok")
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert everything(client) == b""


@pytest.mark.parametrize("start", [b"GET /" + b"x" * 100, REQUEST[:-2] + b"X: "])
def test_a_head_without_end_is_refused(port, start):
    with closing(connect(port)) as client:
        sent = 0
        with suppress(ConnectionError):  # closed while we still sent
            client.sendall(start)
            for _ in range(100 * HEAD_BYTES // 1_000):
                sent += client.send(b"y" * 1_000)
        assert everything(client)[:12] in (b"HTTP/1.1 431", b"")
        assert sent < 100 * HEAD_BYTES


def test_a_large_head_that_fits_is_read(port):
    with closing(connect(port)) as client:
        client.sendall(REQUEST[:-2] + b"X: " + b"y" * (HEAD_BYTES // 2) + b"\r\n\r\n")
        assert client.recv(65_536).endswith(b"ok")


def test_too_many_connections_are_refused(port):
    clients = [connect(port) for _ in range(FEW + 1)]
    try:
        clients[-1].sendall(REQUEST)
        assert everything(clients[-1]).startswith(b"HTTP/1.1 503")
    finally:
        for client in clients:
            client.close()
