"""Connections: clients that send nothing, too slowly, or without end."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import uvicorn

from segue.errors import ConfigError
from segue.service.http import connections
from segue.service.http.connections import HEAD_BYTES
from segue.service.http.log_limit import LogLimit
from segue.service.run_server import listen, server_config

FEW = 4
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


WAITING = b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"  # until the client goes away


async def application(scope, receive, send) -> None:
    while scope["path"] == "/wait":
        if (await receive())["type"] == "http.disconnect":
            return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def server() -> uvicorn.Server:
    return uvicorn.Server(server_config(application, FEW))


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)


@pytest.fixture
def port(server) -> Iterator[int]:
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


def wait_for_requests(server: uvicorn.Server, number: int) -> None:
    """Wait until the server is answering so many requests."""
    end = time.monotonic() + 60
    while (found := len(server.server_state.tasks)) != number:
        assert time.monotonic() < end, f"the server answers {found} requests in place of {number}"
        time.sleep(0.01)


def everything(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    found = b""
    with suppress(ConnectionError):  # closed while we still sent
        while part := client.recv(65_536):
            found += part
    return found


def problem(answer: bytes) -> tuple[int, str, dict[str, str]]:
    """Status, detail and headers of an answer with problem details."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    content = json.loads(body)
    assert int(status.split()[1]) == content["status"]
    return content["status"], content["detail"], headers


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2], REQUEST[:-2] + b"X: " + b"y" * 1_000])
def test_a_head_that_does_not_come_is_given_up(port, sent):
    with closing(connect(port)) as client:
        client.sendall(sent)
        assert everything(client) == b""


@pytest.mark.usefixtures("impatient")
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
        answer = everything(client)
        assert answer == b"" or problem(answer)[:2] == (
            431,
            "the address and the headers have more than 65,536 bytes; send less",
        )
        assert sent < 100 * HEAD_BYTES


def test_a_large_head_that_fits_is_read(port):
    with closing(connect(port)) as client:
        client.sendall(REQUEST[:-2] + b"X: " + b"y" * (HEAD_BYTES // 2) + b"\r\n\r\n")
        assert client.recv(65_536).endswith(b"ok")


def test_too_many_connections_are_refused(server, port):
    clients = [connect(port) for _ in range(FEW)]
    try:
        for client in clients:
            client.sendall(WAITING)
        wait_for_requests(server, FEW)
        with closing(connect(port)) as one_more:
            one_more.sendall(REQUEST)
            status, detail, headers = problem(everything(one_more))
        assert (status, headers["retry-after"]) == (503, "1")
        assert detail == "too many connections; close idle ones, or ask again later"
        clients[0].close()
        wait_for_requests(server, FEW - 1)
        with closing(connect(port)) as another:
            another.sendall(REQUEST)
            assert another.recv(65_536).endswith(b"ok")
    finally:
        for client in clients:
            client.close()


def test_the_connection_that_was_idle_for_longest_makes_room(port):
    clients = [connect(port) for _ in range(FEW)]
    try:
        clients[0].sendall(WAITING)
        for client in (clients[2], clients[1], clients[3]):
            client.sendall(REQUEST)
            assert client.recv(65_536).endswith(b"ok")
        with closing(connect(port)) as another:
            another.sendall(REQUEST)
            assert another.recv(65_536).endswith(b"ok")
            assert everything(clients[2]) == b""  # the first of those that wait for a request
            clients[1].sendall(REQUEST)
            assert clients[1].recv(65_536).endswith(b"ok")
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\0\0\0\0\r\n\r\n", "Invalid method"),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n", "Invalid char in url path; .*percent signs"),
        (b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n", "Invalid address; .*percent signs"),
        (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "Invalid header value"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "Expected CRLF"),
        (b"GET / HTTP/9.9\r\n\r\n", "Invalid HTTP version"),
        (POST + b"Content-Length: -5\r\n\r\n", "Invalid character in Content-Length"),
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "Content-Length"),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "Invalid method encountered; .*no TLS"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(port, sent, said):
    with closing(connect(port)) as client:
        client.sendall(sent)
        answer = everything(client)
        status, detail, _ = problem(answer[answer.rindex(b"HTTP/1.1 ") :])
        assert status == 400
        assert re.search(said, detail), detail
        assert ("percent" in detail) == ("percent" in said)


def test_strangers_do_not_fill_the_log(port, caplog):
    times: list[float] = []
    limit, logger = LogLimit(clock=lambda: times[-1]), logging.getLogger("uvicorn.error")
    logger.addFilter(limit)
    try:
        for seconds in (0.0, 1.0, 30.0, 59.9, 60.0, 119.9, 120.0):
            times.append(seconds)
            with closing(connect(port)) as client:
                client.sendall(b"no request\r\n\r\n")
                everything(client)
            logger.warning("something else")
    finally:
        logger.removeFilter(limit)
    lines = [record.getMessage() for record in caplog.records if record.name == "uvicorn.error"]
    assert lines.count("something else") == 7
    assert [line for line in lines if line.startswith("Invalid")] == [
        "Invalid HTTP request received.",
        "Invalid HTTP request received. (3 more since the last such line)",
        "Invalid HTTP request received. (1 more since the last such line)",
    ]


def test_another_protocol_is_not_spoken_and_no_package_is_advised(port, caplog):
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n"
    with caplog.at_level(logging.WARNING), closing(connect(port)) as client:
        client.sendall(REQUEST[:-2] + upgrade + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200")
    assert caplog.messages == []


def test_an_address_is_taken_by_one_service_alone():
    """The second one fails at once, before it has loaded its models."""
    with closing(listen("127.0.0.1", 0)) as first, pytest.raises(ConfigError, match="cannot be listened on"):
        listen("127.0.0.1", first.getsockname()[1])


def test_the_head_and_the_body_of_an_answer_are_one_packet(port):
    with connect(port) as client:
        for _ in range(20):
            client.sendall(REQUEST)
            assert client.recv(65_536).endswith(b"\r\n\r\nok")


def test_an_answer_in_parts_arrives_while_it_is_made(server):
    async def endless(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    server.config.app = endless
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        with connect(listener.getsockname()[1]) as client:
            client.sendall(REQUEST)
            found = b""
            while b"first" not in found:
                found += client.recv(65_536)
        server.should_exit = True
        thread.join()
