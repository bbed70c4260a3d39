"""`BoundedConnection`: a connection that does not wait for slow clients, and does not collect endless headers.

uvicorn limits how long a connection may be idle between two requests. What a client may send before the application is
called has no limit there: a line of a header that never ends, or one byte a minute. Its own refusals are plain text;
here they are problem details, like those of the application. When there are too many connections, the one that has been
idle for longest makes room for a request, so that clients which only hold connections cannot keep the others out.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, cast

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from segue.service.http.log_limit import LIMITED
from segue.service.http.problems import CLOSE, problem_response

HEAD_SECONDS = 10.0  # until the headers of a request are there, from the start of the connection or of the request
HEAD_BYTES = 65_536  # of the address and the headers of a request
ADDRESS = "; in an address, percent signs stand for characters other than ASCII"

logger = logging.getLogger("segue.service")


class JoinedWrites:
    """A transport that sends the head and the body of an answer together: one system call, and one packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send data at the end of the answer, or of this turn of the event loop."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what waits."""
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def close(self) -> None:
        """Send what waits, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedConnection(HttpToolsProtocol):
    """A connection of uvicorn with limits for the head of a request and for the number of connections."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _idle_since = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None  # refused here, not in uvicorn

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        self._writes = JoinedWrites(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._writes))
        self._idle_since = time.monotonic()  # the time of the loop is in whole milliseconds
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came; refuse a head that is too large."""
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, f"the address and the headers have more than {HEAD_BYTES:,} bytes; send less")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; uvicorn asks for it while it handles the error of the parser."""
        self._refuse(400, _why_no_http(sys.exception()))

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing when a client asks for another protocol: it is answered in HTTP/1.1, as the standard allows."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head of a request is there."""
        self._in_head = False
        self._stop_waiting()
        limit = self._max_connections
        is_full = limit is not None and max(len(self.connections), len(self.tasks)) > limit
        self.app = _refuse_connection if is_full and not self._close_idle() else self.config.loaded_app
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The answer is sent, and the connection waits for the next request."""
        self._writes.flush()
        super().on_response_complete()
        self._idle_since = time.monotonic()

    def _close_idle(self) -> bool:
        """Close the connection that has waited for a request for longest, to make room; whether there was one."""
        others = (one for one in self.connections if isinstance(one, BoundedConnection) and one is not self)
        idle = [one for one in others if one._is_idle and not one.transport.is_closing()]
        if not idle:
            return False
        min(idle, key=lambda one: one._idle_since).transport.close()
        return True

    @property
    def _is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with an error that no application sees, and close."""
        if self.transport.is_closing():
            return
        answer = problem_response(status, detail, headers=CLOSE)
        headers = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        self.transport.write(STATUS_LINE[status] + headers + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()


def _why_no_http(error: BaseException | None) -> str:
    """What is wrong with a request, by the error of the parser."""
    reason, advice = str(error), ""
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        advice = "; is it meant for https? The service has no TLS of its own"
    elif isinstance(error, httptools.HttpParserInvalidURLError):
        advice = ADDRESS
    elif isinstance(error, httptools.HttpParserCallbackError):  # the address is split in a callback
        reason, advice = "Invalid address", ADDRESS
    return f"not a request of HTTP/1.1: {reason}{advice}"


async def _refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """The application for a connection more than are allowed."""
    logger.warning("too many connections: one is refused", extra=LIMITED)
    headers = {**CLOSE, "Retry-After": "1"}
    answer = problem_response(503, "too many connections; close idle ones, or ask again later", headers=headers)
    await answer(scope, receive, send)
